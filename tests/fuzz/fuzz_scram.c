/*
 * Both roles of SCRAM against arbitrary messages, and an exchange between
 * honest ends through a line that alters it: nothing altered may end in
 * success, nothing may crash, and what a role says is always bounded.
 */
#include "core/scram.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REPLY_MAX = 3 * SCRAM_MESSAGE_MAX };

static const char secret[] = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
			     "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
			     ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
static const uint8_t client_key[SCRAM_KEY_LEN] = "not the right one";

static void require(bool fact)
{
	if (!fact)
		abort();
}

static void check(enum scram_result result, const struct buf *out)
{
	require(result == SCRAM_CONTINUE || result == SCRAM_DONE ||
		buf_len(out) == 0);
	require(buf_len(out) <= REPLY_MAX);
}

/* Each line of the input is a message. */
static void feed_server(const uint8_t *data, size_t size)
{
	struct scram_server *server = scram_server_new(secret, "user", 0);

	scram_server_set_nonce(server, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
	while (size > 0) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end - data) : size;
		struct buf out = BUF_INIT;

		check(scram_server_step(server, data, len, &out), &out);
		buf_free(&out);
		len += end != NULL;
		data += len;
		size -= len;
	}
	scram_server_free(server);
}

static void feed_client(const uint8_t *data, size_t size)
{
	struct scram_client *client =
		scram_client_new_with_keys(client_key, client_key);
	struct buf out = BUF_INIT;

	scram_client_set_nonce(client, "rOprNGfwEbeRWgbNEkqO");
	scram_client_first(client, &out);
	buf_free(&out);
	while (size > 0) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end - data) : size;
		enum scram_result result =
			scram_client_step(client, data, len, &out);

		check(result, &out);
		buf_free(&out);
		len += end != NULL;
		data += len;
		size -= len;
	}
	scram_client_free(client);
}

/* The line: each pair of input bytes alters one byte of the message. */
static bool alter(struct buf *message, const uint8_t **data, size_t *size)
{
	struct buf before = BUF_INIT;
	bool is_altered;

	buf_append(&before, buf_head(message), buf_len(message));
	while (*size >= 2 && (*data)[0] != 0xff) {
		buf_head(message)[(*data)[0] % buf_len(message)] ^= (*data)[1];
		*data += 2;
		*size -= 2;
	}
	if (*size > 0) {
		(*data)++;
		(*size)--;
	}
	is_altered = memcmp(buf_head(&before), buf_head(message),
			    buf_len(message)) != 0;
	buf_free(&before);
	return is_altered;
}

/*
 * Client-first and client-final pass the line.  What is altered in the first
 * shows in AuthMessage, except "n" for "y", which shows in client-final; the
 * spare bits at the end of the proof's base64 mean nothing.
 */
static void run_altered(const uint8_t *data, size_t size)
{
	struct scram_server *server = scram_server_new("pencil", "user", 2);
	struct scram_client *client = scram_client_new("pencil");
	struct buf up = BUF_INIT;
	struct buf down = BUF_INIT;
	enum scram_result result;
	bool is_first_altered;
	bool is_final_altered = false;

	scram_server_set_nonce(server, "servernonce");
	scram_client_set_nonce(client, "clientnonce");
	scram_client_first(client, &up);
	is_first_altered = alter(&up, &data, &size);
	result = scram_server_step(server, buf_head(&up), buf_len(&up), &down);
	check(result, &down);
	buf_free(&up);
	if (result == SCRAM_CONTINUE &&
	    scram_client_step(client, buf_head(&down), buf_len(&down), &up) ==
		    SCRAM_CONTINUE) {
		buf_free(&down);
		is_final_altered = alter(&up, &data, &size);
		result = scram_server_step(server, buf_head(&up), buf_len(&up),
					   &down);
		check(result, &down);
	}
	require(!is_first_altered || is_final_altered || result != SCRAM_DONE);
	require(is_first_altered || is_final_altered || result == SCRAM_DONE);
	buf_free(&up);
	buf_free(&down);
	scram_client_free(client);
	scram_server_free(server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 3) {
	case 0: feed_server(data + 1, size - 1); break;
	case 1: feed_client(data + 1, size - 1); break;
	default: run_altered(data + 1, size - 1); break;
	}
	return 0;
}
