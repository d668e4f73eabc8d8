/*
 * Keys of SCRAM-SHA-256: derivation, the stored form, and the table that
 * spares a second derivation.
 *
 * The table is bounded: a few entries in each of many sets, the set chosen
 * by the entry's name, the oldest entry of the set giving way.  The name is
 * an HMAC of password, salt and iterations under a key of this process, so
 * that the table holds no password and strangers cannot aim at a set.  A
 * password that proved wrong is never entered.
 *
 * Invariant: cryptography runs outside the lock.  Any thread.  Algorithms
 * are fetched once: fetching is what makes OpenSSL 3 slow.
 */
#include "core/scramkeys.h"

#include "base/util.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define SECRET_PREFIX "SCRAM-SHA-256$"

enum {
	PASSWORD_MAX = 65536,
	CACHE_SETS = 256,
	CACHE_WAYS = 4,
	PART_COUNT_MAX = 3
};

struct part {
	const void *data;
	size_t len;
};

/* name is a random-looking text already: its first byte chooses the set. */
struct cache_entry {
	bool is_used;
	uint8_t name[SCRAM_KEY_LEN];
	struct scramkeys keys;
};

struct cache_set {
	struct cache_entry ways[CACHE_WAYS];
	unsigned next; /* the way that gives way next */
};

static struct {
	pthread_mutex_t lock;
	struct {
		struct cache_set sets[CACHE_SETS];
	} shared;
} cache = { .lock = PTHREAD_MUTEX_INITIALIZER };

static pthread_once_t crypto_once = PTHREAD_ONCE_INIT;
static EVP_MAC *crypto_mac;
static EVP_MD *crypto_sha256;
static uint8_t process_key[SCRAM_KEY_LEN];

/*
 * Never freed: they live as long as the process, and OpenSSL's own clean-up at
 * exit may run before a last use.
 */
static void crypto_open(void)
{
	crypto_mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	crypto_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	util_random(process_key, sizeof(process_key));
}

/* False when OpenSSL has no HMAC or SHA-256, as a policy may have it. */
static bool crypto_is_open(void)
{
	(void)pthread_once(&crypto_once, crypto_open);
	return crypto_mac && crypto_sha256;
}

static bool hmac_run(EVP_MAC_CTX *context, const uint8_t *key,
		     const struct part *parts, unsigned count, uint8_t *out)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(
					OSSL_MAC_PARAM_DIGEST, digest, 0),
				OSSL_PARAM_construct_end() };
	size_t len = 0;

	if (!EVP_MAC_init(context, key, SCRAM_KEY_LEN, params))
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (!EVP_MAC_update(context, parts[i].data, parts[i].len))
			return false;
	}
	return EVP_MAC_final(context, out, &len, SCRAM_KEY_LEN) &&
	       len == SCRAM_KEY_LEN;
}

/*
 * A context per call: EVP_MAC_CTX is no thread's own, and making one is cheap
 * once the algorithm has been fetched.
 */
static bool hmac_parts(const uint8_t *key, const struct part *parts,
		       unsigned count, uint8_t *out)
{
	EVP_MAC_CTX *context = NULL;
	bool is_done = false;

	assert(count <= PART_COUNT_MAX);
	if (!crypto_is_open())
		return false;
	context = EVP_MAC_CTX_new(crypto_mac);
	if (context)
		is_done = hmac_run(context, key, parts, count, out);
	EVP_MAC_CTX_free(context);
	return is_done;
}

bool scramkeys_hmac(const uint8_t key[SCRAM_KEY_LEN], const void *data,
		    size_t len, uint8_t out[SCRAM_KEY_LEN])
{
	struct part part = { data, len };

	return hmac_parts(key, &part, 1, out);
}

bool scramkeys_hash(const void *data, size_t len, uint8_t out[SCRAM_KEY_LEN])
{
	unsigned out_len = 0;

	return crypto_is_open() &&
	       EVP_Digest(data, len, out, &out_len, crypto_sha256, NULL) &&
	       out_len == SCRAM_KEY_LEN;
}

/* The name of an entry; false also when the question is out of limits. */
static bool cache_name(const char *password, const struct scramkeys_salt *salt,
		       uint8_t *name)
{
	uint32_t sizes[2] = { salt->iterations, (uint32_t)salt->len };
	struct part parts[PART_COUNT_MAX] = {
		{ sizes, sizeof(sizes) },
		{ salt->bytes, salt->len },
		{ password, strlen(password) },
	};

	if (salt->iterations == 0 || salt->iterations > SCRAM_ITERATIONS_MAX ||
	    salt->len == 0 || salt->len > SCRAM_SALT_MAX ||
	    parts[2].len > PASSWORD_MAX)
		return false;
	if (!crypto_is_open())
		return false;
	return hmac_parts(process_key, parts, PART_COUNT_MAX, name);
}

/* A copy, made under the lock: an entry may give way right after it. */
static bool cache_find(const uint8_t *name, struct scramkeys *out)
{
	bool is_found = false;

	(void)pthread_mutex_lock(&cache.lock);
	const struct cache_set *set = &cache.shared.sets[name[0]];

	for (unsigned i = 0; i < CACHE_WAYS && !is_found; i++) {
		const struct cache_entry *entry = &set->ways[i];

		if (entry->is_used &&
		    memcmp(entry->name, name, SCRAM_KEY_LEN) == 0) {
			*out = entry->keys;
			is_found = true;
		}
	}
	(void)pthread_mutex_unlock(&cache.lock);
	return is_found;
}

/*
 * Two threads may have derived the same keys: the second entry is a waste of a
 * place, no more.
 */
static void cache_put(const uint8_t *name, const struct scramkeys *keys)
{
	(void)pthread_mutex_lock(&cache.lock);
	struct cache_set *set = &cache.shared.sets[name[0]];
	struct cache_entry *entry = &set->ways[set->next];

	set->next = (set->next + 1) % CACHE_WAYS;
	memcpy(entry->name, name, SCRAM_KEY_LEN);
	entry->keys = *keys;
	entry->is_used = true;
	(void)pthread_mutex_unlock(&cache.lock);
}

/* RFC 5802 section 3: SaltedPassword, ClientKey, StoredKey, ServerKey. */
static bool derive(const char *password, const struct scramkeys_salt *salt,
		   struct scramkeys *out)
{
	static const char client_word[] = "Client Key";
	static const char server_word[] = "Server Key";
	uint8_t salted[SCRAM_KEY_LEN];
	bool is_done;

	assert(salt->iterations > 0 && salt->len <= SCRAM_SALT_MAX);
	is_done =
		PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt->bytes,
				  (int)salt->len, (int)salt->iterations,
				  crypto_sha256, sizeof(salted), salted) &&
		scramkeys_hmac(salted, client_word, sizeof(client_word) - 1,
			       out->client_key) &&
		scramkeys_hmac(salted, server_word, sizeof(server_word) - 1,
			       out->server_key) &&
		scramkeys_hash(out->client_key, SCRAM_KEY_LEN, out->stored_key);
	util_wipe(salted, sizeof(salted));
	return is_done;
}

/*
 * About 1 ms for 4096 iterations the first time (PBKDF2 is slow on purpose),
 * microseconds from then on.
 */
bool scramkeys_derive(const char *password, const struct scramkeys_salt *salt,
		      struct scramkeys *out)
{
	uint8_t name[SCRAM_KEY_LEN];

	if (!cache_name(password, salt, name))
		return false;
	if (cache_find(name, out))
		return true;
	if (!derive(password, salt, out))
		return false;
	cache_put(name, out);
	return true;
}

/*
 * Wrong passwords cost a derivation each time: they are never entered, or a
 * stranger's guesses would push the good ones out.
 */
bool scramkeys_verify(const char *secret, const char *password)
{
	struct scramkeys_salt salt;
	struct scramkeys stored;
	struct scramkeys derived;
	uint8_t name[SCRAM_KEY_LEN];
	bool is_equal = false;

	if (!scramkeys_parse(secret, &salt, &stored) ||
	    !cache_name(password, &salt, name))
		return false;
	if (cache_find(name, &derived)) {
		is_equal = util_equal_secret(derived.stored_key,
					     stored.stored_key, SCRAM_KEY_LEN);
	} else if (derive(password, &salt, &derived)) {
		is_equal = util_equal_secret(derived.stored_key,
					     stored.stored_key, SCRAM_KEY_LEN);
		if (is_equal)
			cache_put(name, &derived);
	}
	util_wipe(&derived, sizeof(derived));
	return is_equal;
}

/*
 * The same for a user as long as the process lives: a salt that changed would
 * tell that there is no such user.
 */
bool scramkeys_salt_of(const char *user, uint32_t iterations,
		       struct scramkeys_salt *out)
{
	static const char word[] = "salt of";
	struct part parts[] = { { word, sizeof(word) },
				{ user, strlen(user) } };
	uint8_t digest[SCRAM_KEY_LEN];

	if (!crypto_is_open() || !hmac_parts(process_key, parts, 2, digest))
		return false;
	out->iterations = iterations;
	out->len = SCRAM_SALT_LEN;
	memcpy(out->bytes, digest, SCRAM_SALT_LEN);
	return true;
}

/* ---- text forms --------------------------------------------------------- */

/* RFC 4648 section 4, the standard alphabet; no line breaks. */
static bool is_base64(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '+' || c == '/';
}

size_t scramkeys_encode(const void *data, size_t len, char *out, size_t room)
{
	if (len > SCRAM_BASE64_ROOM || room < (len + 2) / 3 * 4 + 1)
		return 0;
	return (size_t)EVP_EncodeBlock((unsigned char *)out, data, (int)len);
}

/* How many '=' end a well-formed text; -1 when it is not one. */
static int count_padding(const char *text, size_t len)
{
	int padding = 0;

	if (len == 0 || len % 4 != 0)
		return -1;
	while (padding < 2 && text[len - 1 - (size_t)padding] == '=')
		padding++;
	for (size_t i = 0; i < len - (size_t)padding; i++) {
		if (!is_base64(text[i]))
			return -1;
	}
	return padding;
}

/*
 * The form is checked here, because EVP_DecodeBlock skips blanks, takes '-'
 * for an end, and counts the padding as bytes.
 */
bool scramkeys_decode(const char *text, size_t text_len, uint8_t *out,
		      size_t room, size_t *len)
{
	uint8_t plain[SCRAM_BASE64_ROOM];
	size_t plain_len;
	int padding;

	if (text_len > sizeof(plain))
		return false;
	padding = count_padding(text, text_len);
	if (padding < 0)
		return false;
	plain_len = text_len / 4 * 3 - (size_t)padding;
	if (plain_len > room)
		return false;
	if (EVP_DecodeBlock(plain, (const unsigned char *)text, (int)text_len) <
	    0)
		return false;
	memcpy(out, plain, plain_len);
	util_wipe(plain, sizeof(plain));
	*len = plain_len;
	return true;
}

/* Digits alone: a sign or a blank is a forged message. */
bool scramkeys_parse_iterations(const char *text, size_t len, uint32_t *out)
{
	char copy[16];
	uint64_t value = 0;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (!util_parse_u64(copy, SCRAM_ITERATIONS_MAX, &value) || value == 0)
		return false;
	*out = (uint32_t)value;
	return true;
}

bool scramkeys_is_secret(const char *secret)
{
	return strncmp(secret, SECRET_PREFIX, strlen(SECRET_PREFIX)) == 0;
}

static bool decode_key(const char *text, size_t text_len, uint8_t *key)
{
	size_t len = 0;

	return scramkeys_decode(text, text_len, key, SCRAM_KEY_LEN, &len) &&
	       len == SCRAM_KEY_LEN;
}

/* The field at *at up to the character end, which is skipped. */
static bool take_field(const char **at, char end, struct part *field)
{
	const char *stop = strchr(*at, end);

	if (!stop)
		return false;
	*field = (struct part){ *at, (size_t)(stop - *at) };
	*at = end == '\0' ? stop : stop + 1;
	return true;
}

/*
 * SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, as the
 * documentation of pg_authid has it.  The client key is not in it.
 */
bool scramkeys_parse(const char *secret, struct scramkeys_salt *salt,
		     struct scramkeys *keys)
{
	struct part fields[4];
	const char *at = secret;

	if (!scramkeys_is_secret(secret))
		return false;
	at += strlen(SECRET_PREFIX);
	if (!take_field(&at, ':', &fields[0]) ||
	    !take_field(&at, '$', &fields[1]) ||
	    !take_field(&at, ':', &fields[2]) ||
	    !take_field(&at, '\0', &fields[3]))
		return false;
	memset(keys, 0, sizeof(*keys));
	return scramkeys_parse_iterations(fields[0].data, fields[0].len,
					  &salt->iterations) &&
	       scramkeys_decode(fields[1].data, fields[1].len, salt->bytes,
				sizeof(salt->bytes), &salt->len) &&
	       decode_key(fields[2].data, fields[2].len, keys->stored_key) &&
	       decode_key(fields[3].data, fields[3].len, keys->server_key);
}

/* The same form; secrets of our own have a salt of SCRAM_SALT_LEN. */
bool scramkeys_format(const struct scramkeys_salt *salt,
		      const struct scramkeys *keys, char out[SCRAM_SECRET_ROOM])
{
	char salt_text[SCRAM_SALT_LEN * 2];
	char stored_text[SCRAM_KEY_LEN * 2];
	char server_text[SCRAM_KEY_LEN * 2];
	int len;

	if (salt->len > SCRAM_SALT_LEN ||
	    !scramkeys_encode(salt->bytes, salt->len, salt_text,
			      sizeof(salt_text)) ||
	    !scramkeys_encode(keys->stored_key, SCRAM_KEY_LEN, stored_text,
			      sizeof(stored_text)) ||
	    !scramkeys_encode(keys->server_key, SCRAM_KEY_LEN, server_text,
			      sizeof(server_text)))
		return false;
	len = snprintf(out, SCRAM_SECRET_ROOM, SECRET_PREFIX "%u:%s$%s:%s",
		       salt->iterations, salt_text, stored_text, server_text);
	return len > 0 && len < SCRAM_SECRET_ROOM;
}
