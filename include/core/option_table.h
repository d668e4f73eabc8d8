#ifndef PGWEIR_CORE_OPTION_TABLE_H
#define PGWEIR_CORE_OPTION_TABLE_H

/*
 * The rows: every key of every section of the file.  To add an option, add
 * its field to core/config_data.h and its row here; parser, defaults,
 * SHOW CONFIG, help, sample and documents follow.
 */
#include "core/config_data.h"
#include "core/option.h"

/* What a line of [databases] fills before its hosts are made into nodes. */
struct database_draft {
	struct config_database database; /* first: rows point into both */
	char *host;
	char *port;
	char *weight;
	char *backup;
};

/* [pgweir], into struct config_settings. */
extern const struct option_table option_settings;

/* A line of [databases], into struct database_draft. */
extern const struct option_table option_database;

/* A line of [users], into struct config_user. */
extern const struct option_table option_user;

#endif
