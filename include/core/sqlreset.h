#ifndef PGWEIR_CORE_SQLRESET_H
#define PGWEIR_CORE_SQLRESET_H

/*
 * Statements that give settings the value which the session began with:
 * RESET, SET ... TO DEFAULT, SET TIME ZONE LOCAL, DISCARD ALL.
 */
#include <stdbool.h>
#include <stddef.h>

enum sqlreset_kind {
	SQLRESET_NONE, /* something else, or not this alone */
	SQLRESET_ONE,  /* one setting */
	SQLRESET_ALL   /* all but role and session_authorization */
};

enum { SQLRESET_NAME_MAX = 200 };

/*
 * What the text, which is one statement, resets: for ONE its name, folded,
 * NUL-terminated.  SET LOCAL is none of them.
 */
enum sqlreset_kind sqlreset_read(const char *sql, size_t len,
				 char name[static SQLRESET_NAME_MAX + 1]);

#endif
