/*
 * The auth_file: any bytes either parse or are refused with one line that
 * names the place.
 */
#include "core/users.h"

#include "base/buf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf error = BUF_INIT;
	struct users *users =
		users_parse((const char *)data, size, "list", &error);

	if ((users != NULL) != (buf_len(&error) == 0))
		abort();
	if (!users && memcmp(buf_head(&error), "list:", 5) != 0)
		abort();
	(void)users_find(users, "user");
	users_release(users);
	buf_free(&error);
	return 0;
}
