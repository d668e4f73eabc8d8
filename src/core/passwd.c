/*
 * The three forms of a stored secret, and the plain and MD5 methods.
 *
 * Refuses: to take the text of an MD5 or SCRAM secret for a password, so
 * that a stolen secret is not itself a way in where a password is asked.  A
 * text that only begins like a SCRAM secret counts as a broken one: nobody
 * logs in with it.
 *
 * Keeps no state but the algorithm, fetched once.  Copies of secrets are
 * wiped before return.  Any thread.
 */
#include "core/passwd.h"

#include "base/util.h"
#include "core/scramkeys.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

enum { MD5_LEN = 16, MD5_HEX_LEN = 2 * MD5_LEN, MD5_SECRET_LEN = 35 };

static pthread_once_t md5_once = PTHREAD_ONCE_INIT;
static EVP_MD *md5_algorithm;

static void md5_open(void)
{
	md5_algorithm = EVP_MD_fetch(NULL, "MD5", NULL);
}

enum passwd_kind passwd_kind_of(const char *secret)
{
	if (!secret || secret[0] == '\0')
		return PASSWD_NONE;
	if (scramkeys_is_secret(secret))
		return PASSWD_SCRAM;
	if (strlen(secret) == MD5_SECRET_LEN &&
	    strncmp(secret, "md5", 3) == 0 &&
	    strspn(secret + 3, "0123456789abcdef") == MD5_HEX_LEN)
		return PASSWD_MD5;
	return PASSWD_PLAIN;
}

static void write_md5(const uint8_t *digest, char *out)
{
	static const char digits[] = "0123456789abcdef";

	memcpy(out, "md5", 3);
	out += 3;
	for (unsigned i = 0; i < MD5_LEN; i++) {
		*out++ = digits[digest[i] >> 4];
		*out++ = digits[digest[i] & 15];
	}
	*out = '\0';
}

/* "md5" + md5(one + other) */
static bool md5_pair(const char *one, size_t one_len, const void *other,
		     size_t other_len, char *out)
{
	EVP_MD_CTX *context = NULL;
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	bool is_done = false;

	(void)pthread_once(&md5_once, md5_open);
	if (!md5_algorithm)
		return false;
	context = EVP_MD_CTX_new();
	is_done = context && EVP_DigestInit_ex(context, md5_algorithm, NULL) &&
		  EVP_DigestUpdate(context, one, one_len) &&
		  EVP_DigestUpdate(context, other, other_len) &&
		  EVP_DigestFinal_ex(context, digest, &len) && len == MD5_LEN;
	EVP_MD_CTX_free(context);
	if (is_done)
		write_md5(digest, out);
	util_wipe(digest, sizeof(digest));
	return is_done;
}

bool passwd_md5_secret(const char *password, const char *user,
		       char out[PASSWD_MD5_ROOM])
{
	return md5_pair(password, strlen(password), user, strlen(user), out);
}

bool passwd_md5_response(const char *secret, const char *user,
			 const uint8_t salt[PASSWD_SALT_LEN],
			 char out[PASSWD_MD5_ROOM])
{
	enum passwd_kind kind = passwd_kind_of(secret);
	char stored[PASSWD_MD5_ROOM];
	bool is_done = false;

	if (kind == PASSWD_MD5)
		is_done = util_copy(stored, sizeof(stored), secret);
	else if (kind == PASSWD_PLAIN)
		is_done = passwd_md5_secret(secret, user, stored);
	if (is_done)
		is_done = md5_pair(stored + 3, MD5_HEX_LEN, salt,
				   PASSWD_SALT_LEN, out);
	util_wipe(stored, sizeof(stored));
	return is_done;
}

/* Equal texts; only their lengths can be learnt from the time it takes. */
static bool is_equal_text(const char *one, const char *other)
{
	size_t len = strlen(one);

	return strlen(other) == len && util_equal_secret(one, other, len);
}

static bool verify_md5_stored(const char *secret, const char *user,
			      const char *password)
{
	char made[PASSWD_MD5_ROOM];
	bool is_equal = passwd_md5_secret(password, user, made) &&
			is_equal_text(made, secret);

	util_wipe(made, sizeof(made));
	return is_equal;
}

bool passwd_verify_plain(const char *secret, const char *user,
			 const char *password)
{
	if (password[0] == '\0')
		return false;
	switch (passwd_kind_of(secret)) {
	case PASSWD_PLAIN: return is_equal_text(secret, password);
	case PASSWD_MD5: return verify_md5_stored(secret, user, password);
	case PASSWD_SCRAM: return scramkeys_verify(secret, password);
	case PASSWD_NONE: break;
	}
	return false;
}

bool passwd_verify_md5(const char *secret, const char *user,
		       const uint8_t salt[PASSWD_SALT_LEN],
		       const char *response)
{
	char expected[PASSWD_MD5_ROOM];
	bool is_equal = passwd_md5_response(secret, user, salt, expected) &&
			is_equal_text(expected, response);

	util_wipe(expected, sizeof(expected));
	return is_equal;
}
