/*
 * Logging in at a server that says what it likes: it is accepted only when
 * it asked for nothing, or for a password it was given.
 */
#include "core/login.h"

#include "base/buf.h"
#include "core/pgwire.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* SASL was begun: nothing but a proof may end in acceptance. */
static bool is_sasl(const struct pgwire_message *message)
{
	return message->body_len >= 4 && pgwire_u32(message->body) == 10;
}

static void run(struct login *login, const uint8_t *data, size_t size)
{
	struct buf out = BUF_INIT;
	bool has_sasl = false;

	/* A byte of length, then a body, over and over. */
	while (size > 0) {
		size_t len = data[0] < size ? data[0] : size - 1;
		struct pgwire_message message = { .type = 'R',
						  .body = data + 1,
						  .body_len = len,
						  .body_here = len };
		enum login_result result = login_step(login, &message, &out);

		if (result == LOGIN_ACCEPTED && has_sasl)
			abort();
		if ((result == LOGIN_REFUSED) != (*login_error(login) != '\0'))
			abort();
		if (result != LOGIN_MORE)
			break;
		has_sasl |= is_sasl(&message);
		data += len + 1;
		size -= len + 1;
	}
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const secrets[] = {
		"password",
		NULL,
		"md5aaaabbbbccccddddeeeeffff00001111",
		"SCRAM-SHA-256$4096:c2FsdA==$AAAA:BBBB",
	};

	for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets); i++) {
		struct login *login = login_new(
			&(struct login_credentials){ .user = "user",
						     .secret = secrets[i],
						     .has_keys = i == 3 });

		run(login, data, size);
		login_free(login);
	}
	return 0;
}
