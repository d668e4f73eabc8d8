/*
 * A console's command: any text is read, or refused with a SQLSTATE and a
 * message; whoever is no administrator gets no command for administrators.
 */
#include "control/admin_command.h"

#include "base/util.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	struct admin_parsed parsed;

	for (int is_admin = 0; is_admin < 2; is_admin++) {
		if (!admin_parse(text, is_admin, &parsed)) {
			if (strlen(parsed.sqlstate) != 5 || !*parsed.error)
				abort();
		} else if (parsed.command && parsed.command->is_admin &&
			   !is_admin) {
			abort();
		}
	}
	free(text);
	return 0;
}
