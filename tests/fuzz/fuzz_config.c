/*
 * The whole way from the bytes of a file to a configuration, and back: what
 * was accepted can be shown, compared and released; what was refused says why.
 */
#include "core/config.h"

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_row(void *context, const char *key, const char *value,
		     const char *fallback, bool is_changeable)
{
	size_t *bytes = context;

	(void)is_changeable;
	*bytes += strlen(key) + strlen(value) + strlen(fallback);
}

static void use(const struct config *config)
{
	size_t bytes = 0;
	struct config_show_sink sink = { take_row, &bytes };
	struct buf out = BUF_INIT;

	config_show(config, &sink);
	config_explain_restart(config, config, &out);
	if (bytes == 0 || buf_len(&out) != 0)
		abort();
	buf_free(&out);
	for (unsigned i = 0; i < config->database_count; i++) {
		const struct config_database *database = &config->databases[i];

		if (config_find_database(config, database->name) != database ||
		    database->node_count == 0)
			abort();
		for (unsigned j = 0; j < database->node_count; j++)
			if (database->nodes[j] >= config->node_count)
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf error = BUF_INIT;
	struct buf warnings = BUF_INIT;
	struct config *config = config_load_text("fuzz", (const char *)data,
						 size, &error, &warnings);

	/* A file is either taken or there is a reason; never both. */
	if (!config != (buf_len(&error) > 0))
		abort();
	if (config)
		use(config);
	config_release(config);
	buf_free(&error);
	buf_free(&warnings);
	return 0;
}
