#ifndef PGWEIR_CORE_SCRAMKEYS_H
#define PGWEIR_CORE_SCRAMKEYS_H

/*
 * The keys of SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677): derived from a
 * password, or read from a secret as PostgreSQL stores it.  Deriving costs a
 * millisecond, so results are remembered in a small table shared by all
 * threads.  Every function here may be called by any thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SCRAM_KEY_LEN = 32,
	SCRAM_SALT_MAX = 256,
	SCRAM_SALT_LEN = 16, /* of the salts that we make */
	SCRAM_ITERATIONS = 4096,
	SCRAM_ITERATIONS_MAX = 10000000,
	/* "SCRAM-SHA-256$n:salt$key:key" of a secret that we make, and NUL */
	SCRAM_SECRET_ROOM = 160
};

struct scramkeys_salt {
	uint32_t iterations; /* 1..SCRAM_ITERATIONS_MAX */
	size_t len;          /* 1..SCRAM_SALT_MAX */
	uint8_t bytes[SCRAM_SALT_MAX];
};

struct scramkeys {
	uint8_t client_key[SCRAM_KEY_LEN]; /* zeros when not known */
	uint8_t stored_key[SCRAM_KEY_LEN];
	uint8_t server_key[SCRAM_KEY_LEN];
};

/*
 * Derives all three keys from a password (raw bytes: ASCII needs no
 * normalising, other texts are taken as they come), or finds them in the
 * table.  False when OpenSSL refuses or the salt is out of its limits.
 */
bool scramkeys_derive(const char *password, const struct scramkeys_salt *salt,
		      struct scramkeys *out);

/*
 * Reads "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>"; false
 * on any other text.  The client key stays zero: a secret does not hold it.
 */
bool scramkeys_parse(const char *secret, struct scramkeys_salt *salt,
		     struct scramkeys *keys);

/* Writes that form; false when the salt is longer than SCRAM_SALT_LEN. */
bool scramkeys_format(const struct scramkeys_salt *salt,
		      const struct scramkeys *keys,
		      char out[SCRAM_SECRET_ROOM]);

/* True when the text claims to be a SCRAM secret, whole or broken. */
bool scramkeys_is_secret(const char *secret);

/* True when the password is the one behind a well-formed SCRAM secret. */
bool scramkeys_verify(const char *secret, const char *password);

/*
 * A salt for a user who has none of his own: the same for a name as long as
 * the process lives, whether there is such a user or not.
 */
bool scramkeys_salt_of(const char *user, uint32_t iterations,
		       struct scramkeys_salt *out);

/* HMAC-SHA-256 and SHA-256; false when OpenSSL refuses. */
bool scramkeys_hmac(const uint8_t key[SCRAM_KEY_LEN], const void *data,
		    size_t len, uint8_t out[SCRAM_KEY_LEN]);
bool scramkeys_hash(const void *data, size_t len, uint8_t out[SCRAM_KEY_LEN]);

/* A decimal number in 1..SCRAM_ITERATIONS_MAX, nothing around it. */
bool scramkeys_parse_iterations(const char *text, size_t len, uint32_t *out);

/* Base64 with padding and without blanks; text needs no NUL. */
enum { SCRAM_BASE64_ROOM = 2 * SCRAM_SALT_MAX };

/*
 * Writes the base64 of len bytes and a NUL.  Returns the length without it,
 * or 0 when they do not fit into room bytes.
 */
size_t scramkeys_encode(const void *data, size_t len, char *out, size_t room);

/* Reads strict base64; false when malformed or over room bytes long. */
bool scramkeys_decode(const char *text, size_t text_len, uint8_t *out,
		      size_t room, size_t *len);

#endif
