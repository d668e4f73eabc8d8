#ifndef PGWEIR_CORE_PASSWD_H
#define PGWEIR_CORE_PASSWD_H

/*
 * Stored secrets in their three forms, and the checks of the plain and the
 * MD5 method (PostgreSQL docs, "Message Flow").  SCRAM is in core/scram.  All
 * functions may be called by any thread; comparisons take a time that does
 * not depend on where two secrets differ.
 */
#include <stdbool.h>
#include <stdint.h>

enum passwd_kind {
	PASSWD_NONE,  /* NULL or empty: nobody logs in with it */
	PASSWD_PLAIN, /* the password itself */
	PASSWD_MD5,   /* "md5" and 32 hex digits */
	PASSWD_SCRAM  /* "SCRAM-SHA-256$...", whole or broken */
};

enum {
	PASSWD_SALT_LEN = 4, /* of AuthenticationMD5Password */
	PASSWD_MD5_ROOM = 36 /* "md5", 32 hex digits, NUL */
};

enum passwd_kind passwd_kind_of(const char *secret);

/*
 * The stored form "md5" + md5(password + user).  False when OpenSSL has no
 * MD5 (FIPS).
 */
bool passwd_md5_secret(const char *password, const char *user,
		       char out[PASSWD_MD5_ROOM]);

/*
 * The answer to AuthenticationMD5Password, for logging in at a server: from
 * a plain password or an MD5 secret.  False with any other kind of secret.
 */
bool passwd_md5_response(const char *secret, const char *user,
			 const uint8_t salt[PASSWD_SALT_LEN],
			 char out[PASSWD_MD5_ROOM]);

/*
 * True when the password that a client sent in clear text fits the secret,
 * whatever the form of that.  An empty password never fits.
 */
bool passwd_verify_plain(const char *secret, const char *user,
			 const char *password);

/*
 * True when response answers our salt.  False for a SCRAM secret: it cannot
 * be checked by MD5.
 */
bool passwd_verify_md5(const char *secret, const char *user,
		       const uint8_t salt[PASSWD_SALT_LEN],
		       const char *response);

#endif
