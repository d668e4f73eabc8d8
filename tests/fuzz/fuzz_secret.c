/*
 * Stored secrets and base64: what parses must come out of the other end the
 * same; kinds and checks never crash.
 */
#include "core/passwd.h"
#include "core/scramkeys.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool fact)
{
	if (!fact)
		abort();
}

static void check_base64(const char *text, size_t len)
{
	uint8_t plain[SCRAM_SALT_MAX];
	uint8_t again[SCRAM_SALT_MAX];
	char made[SCRAM_BASE64_ROOM];
	size_t plain_len = 0;
	size_t again_len = 0;
	size_t made_len;

	if (!scramkeys_decode(text, len, plain, sizeof(plain), &plain_len))
		return;
	made_len = scramkeys_encode(plain, plain_len, made, sizeof(made));
	require(made_len == len);
	require(scramkeys_decode(made, made_len, again, sizeof(again),
				 &again_len));
	require(again_len == plain_len && memcmp(plain, again, plain_len) == 0);
}

static void check_secret(const char *text)
{
	static const uint8_t salt[PASSWD_SALT_LEN] = { 1, 2, 3, 4 };
	enum passwd_kind kind = passwd_kind_of(text);
	struct scramkeys_salt scram_salt;
	struct scramkeys keys;
	char md5[PASSWD_MD5_ROOM];
	char made[SCRAM_SECRET_ROOM];

	if (scramkeys_parse(text, &scram_salt, &keys)) {
		require(kind == PASSWD_SCRAM);
		require(scram_salt.len > 0 && scram_salt.len <= SCRAM_SALT_MAX);
		require(scram_salt.iterations > 0 &&
			scram_salt.iterations <= SCRAM_ITERATIONS_MAX);
		if (scramkeys_format(&scram_salt, &keys, made))
			require(scramkeys_parse(made, &scram_salt, &keys));
	}
	if (passwd_md5_response(text, "user", salt, md5)) {
		require(kind == PASSWD_PLAIN || kind == PASSWD_MD5);
		require(strlen(md5) == PASSWD_MD5_ROOM - 1);
		require(passwd_verify_md5(text, "user", salt, md5));
	}
	if (kind == PASSWD_PLAIN)
		require(passwd_verify_plain(text, "user", text));
	if (kind == PASSWD_MD5 || kind == PASSWD_NONE)
		require(!passwd_verify_plain(text, "user", text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);

	check_base64(text, size);
	check_secret(text);
	free(text);
	return 0;
}
