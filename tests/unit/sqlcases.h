#ifndef PGWEIR_TESTS_SQLCASES_H
#define PGWEIR_TESTS_SQLCASES_H

/* The rows of sqlcases.tsv, one at a time. */
#include "core/sqlclass.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SQLCASE_MAX = 4096 };

struct sqlcase {
	unsigned line;
	struct sqlclass expected; /* access, reason, effects, is_certain */
	char sql[SQLCASE_MAX];
	size_t len;
};

static const char *const sqlcase_effects[] = {
	"TEMP",       "SET",           "SET_LOCAL",    "LISTEN",
	"ADVISORY",   "UNLOCK",        "PREPARE",      "EXECUTE",
	"DEALLOCATE", "HOLD",          "DISCARD_ALL",  "DISCARD",
	"SEQUENCE",   "SEQUENCE_READ", "LOAD",         "DDL",
	"HIDDEN",     "COPY_IN",       "COPY_OUT",     "SERIALIZABLE",
	"READ_ONLY",  "READ_WRITE",    "TWO_PHASE",    "CHAIN",
	"CURSOR",     "CATALOG_READ",  "RESET_ALL",    "UNLISTEN_ALL",
	"CLOSE_ALL",  "UNLOCK_ALL",    "SET_REPORTED",
};

static const char *const sqlcase_accesses[] = {
	[ACCESS_NONE] = "NONE",
	[ACCESS_READ] = "READ",
	[ACCESS_WRITE] = "WRITE",
	[ACCESS_UNKNOWN] = "UNKNOWN",
};

static const char *const sqlcase_reasons[] = {
#define SQLCASE_REASON(id, name) #id,
	SQLCLASS_REASONS(SQLCASE_REASON)
#undef SQLCASE_REASON
};

#define SQLCASE_COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* Ends the test program when the word is none of the list. */
static inline unsigned sqlcase_index(const char *const *list, size_t count,
				     const char *word, unsigned line)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], word) == 0)
			return (unsigned)i;
	(void)fprintf(stderr, "sqlcases.tsv:%u: no such word: %s\n", line,
		      word);
	exit(1);
}

static inline uint32_t sqlcase_read_effects(char *words, unsigned line)
{
	uint32_t effects = 0;
	char *rest = NULL;

	if (strcmp(words, "-") == 0)
		return 0;
	for (char *word = strtok_r(words, "|", &rest); word;
	     word = strtok_r(NULL, "|", &rest))
		effects |= 1U << sqlcase_index(sqlcase_effects,
					       SQLCASE_COUNT(sqlcase_effects),
					       word, line);
	return effects;
}

static inline void sqlcase_read_text(struct sqlcase *row, const char *text)
{
	row->len = 0;
	for (; *text; text++) {
		char byte = *text;

		if (byte == '\\' && text[1]) {
			byte = *++text;
			if (byte == 'n')
				byte = '\n';
		}
		row->sql[row->len++] = byte;
	}
	row->sql[row->len] = '\0';
}

static inline FILE *sqlcases_open(void)
{
	const char *folder = getenv("PGWEIR_SRCDIR");
	char path[1024];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/tests/unit/sqlcases.tsv",
		       folder ? folder : ".");
	file = fopen(path, "r");
	if (!file) {
		perror(path);
		exit(1);
	}
	return file;
}

/* The next row; false at the end.  row->line counts, from 0. */
static inline bool sqlcases_next(FILE *file, struct sqlcase *row)
{
	char line[SQLCASE_MAX];
	char *columns[5];

	do {
		if (!fgets(line, sizeof(line), file))
			return false;
		row->line++;
	} while (line[0] == '#');
	line[strcspn(line, "\n")] = '\0';
	columns[0] = line;
	for (size_t i = 1; i < 5; i++) {
		columns[i] = strchr(columns[i - 1], '\t');
		if (!columns[i]) {
			(void)fprintf(stderr, "sqlcases.tsv:%u: short\n",
				      row->line);
			exit(1);
		}
		*columns[i]++ = '\0';
	}
	row->expected.access = (uint8_t)sqlcase_index(
		sqlcase_accesses, SQLCASE_COUNT(sqlcase_accesses), columns[0],
		row->line);
	row->expected.reason = (uint8_t)sqlcase_index(
		sqlcase_reasons, SQLCASE_COUNT(sqlcase_reasons), columns[1],
		row->line);
	row->expected.effects = sqlcase_read_effects(columns[2], row->line);
	row->expected.is_certain = strcmp(columns[3], "c") == 0;
	sqlcase_read_text(row, columns[4]);
	return true;
}

#endif
