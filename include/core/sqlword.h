#ifndef PGWEIR_CORE_SQLWORD_H
#define PGWEIR_CORE_SQLWORD_H

/*
 * The keywords that the verdict depends on, and the freedom of each: what the
 * grammar lets it be besides a keyword (documentation, appendix C).  All
 * reserved words and all words that cannot name a function are here; of the
 * free ones those that we act on.
 */
#include "core/sqllex.h"

enum sqlword_freedom {
	NAME_FREE,    /* any name: table, function, alias */
	NAME_COLUMN,  /* table, column or alias, never a function */
	NAME_TYPE,    /* function or type, never a table or bare alias */
	NAME_RESERVED /* none, except after AS or a dot */
};

/*
 * Sorted by name, since sqlword_of() searches by bisection: the id is the name
 * in capitals.  Which freedom a word has is in PostgreSQL's
 * src/include/parser/kwlist.h: COL_NAME_KEYWORD is NAME_COLUMN here,
 * TYPE_FUNC_NAME_KEYWORD is NAME_TYPE.
 */
#define SQLWORDS(X)                                 \
	X(ABORT, NAME_FREE)                         \
	X(ALL, NAME_RESERVED)                       \
	X(ALTER, NAME_FREE)                         \
	X(ANALYSE, NAME_RESERVED)                   \
	X(ANALYZE, NAME_RESERVED)                   \
	X(AND, NAME_RESERVED)                       \
	X(ANY, NAME_RESERVED)                       \
	X(ARRAY, NAME_RESERVED)                     \
	X(AS, NAME_RESERVED)                        \
	X(ASC, NAME_RESERVED)                       \
	X(ASYMMETRIC, NAME_RESERVED)                \
	X(ATOMIC, NAME_FREE)                        \
	X(AUTHORIZATION, NAME_TYPE)                 \
	X(BEGIN, NAME_FREE)                         \
	X(BETWEEN, NAME_COLUMN)                     \
	X(BIGINT, NAME_COLUMN)                      \
	X(BINARY, NAME_TYPE)                        \
	X(BIT, NAME_COLUMN)                         \
	X(BOOLEAN, NAME_COLUMN)                     \
	X(BOTH, NAME_RESERVED)                      \
	X(BY, NAME_FREE)                            \
	X(CALL, NAME_FREE)                          \
	X(CASE, NAME_RESERVED)                      \
	X(CAST, NAME_RESERVED)                      \
	X(CHAIN, NAME_FREE)                         \
	X(CHAR, NAME_COLUMN)                        \
	X(CHARACTER, NAME_COLUMN)                   \
	X(CHARACTERISTICS, NAME_FREE)               \
	X(CHECK, NAME_RESERVED)                     \
	X(CHECKPOINT, NAME_FREE)                    \
	X(CLOSE, NAME_FREE)                         \
	X(CLUSTER, NAME_FREE)                       \
	X(COALESCE, NAME_COLUMN)                    \
	X(COLLATE, NAME_RESERVED)                   \
	X(COLLATION, NAME_TYPE)                     \
	X(COLUMN, NAME_RESERVED)                    \
	X(COMMENT, NAME_FREE)                       \
	X(COMMIT, NAME_FREE)                        \
	X(CONCURRENTLY, NAME_TYPE)                  \
	X(CONSTRAINT, NAME_RESERVED)                \
	X(CONSTRAINTS, NAME_FREE)                   \
	X(COPY, NAME_FREE)                          \
	X(CREATE, NAME_RESERVED)                    \
	X(CROSS, NAME_TYPE)                         \
	X(CUBE, NAME_FREE)                          \
	X(CURRENT_CATALOG, NAME_RESERVED)           \
	X(CURRENT_DATE, NAME_RESERVED)              \
	X(CURRENT_ROLE, NAME_RESERVED)              \
	X(CURRENT_SCHEMA, NAME_TYPE)                \
	X(CURRENT_TIME, NAME_RESERVED)              \
	X(CURRENT_TIMESTAMP, NAME_RESERVED)         \
	X(CURRENT_USER, NAME_RESERVED)              \
	X(CURSOR, NAME_FREE)                        \
	X(CYCLE, NAME_FREE)                         \
	X(DEALLOCATE, NAME_FREE)                    \
	X(DEC, NAME_COLUMN)                         \
	X(DECIMAL, NAME_COLUMN)                     \
	X(DECLARE, NAME_FREE)                       \
	X(DEFAULT, NAME_RESERVED)                   \
	X(DEFAULT_TRANSACTION_ISOLATION, NAME_FREE) \
	X(DEFERRABLE, NAME_RESERVED)                \
	X(DELETE, NAME_FREE)                        \
	X(DESC, NAME_RESERVED)                      \
	X(DISCARD, NAME_FREE)                       \
	X(DISTINCT, NAME_RESERVED)                  \
	X(DO, NAME_RESERVED)                        \
	X(DROP, NAME_FREE)                          \
	X(ELSE, NAME_RESERVED)                      \
	X(END, NAME_RESERVED)                       \
	X(ESCAPE, NAME_FREE)                        \
	X(EXCEPT, NAME_RESERVED)                    \
	X(EXECUTE, NAME_FREE)                       \
	X(EXISTS, NAME_COLUMN)                      \
	X(EXPLAIN, NAME_FREE)                       \
	X(EXTRACT, NAME_COLUMN)                     \
	X(FALSE, NAME_RESERVED)                     \
	X(FETCH, NAME_RESERVED)                     \
	X(FILTER, NAME_FREE)                        \
	X(FIRST, NAME_FREE)                         \
	X(FLOAT, NAME_COLUMN)                       \
	X(FOR, NAME_RESERVED)                       \
	X(FOREIGN, NAME_RESERVED)                   \
	X(FREEZE, NAME_TYPE)                        \
	X(FROM, NAME_RESERVED)                      \
	X(FULL, NAME_TYPE)                          \
	X(FUNCTION, NAME_FREE)                      \
	X(GLOBAL, NAME_FREE)                        \
	X(GRANT, NAME_RESERVED)                     \
	X(GREATEST, NAME_COLUMN)                    \
	X(GROUP, NAME_RESERVED)                     \
	X(GROUPING, NAME_COLUMN)                    \
	X(HAVING, NAME_RESERVED)                    \
	X(HOLD, NAME_FREE)                          \
	X(ILIKE, NAME_TYPE)                         \
	X(IMPORT, NAME_FREE)                        \
	X(IN, NAME_RESERVED)                        \
	X(INITIALLY, NAME_RESERVED)                 \
	X(INNER, NAME_TYPE)                         \
	X(INOUT, NAME_COLUMN)                       \
	X(INSERT, NAME_FREE)                        \
	X(INT, NAME_COLUMN)                         \
	X(INTEGER, NAME_COLUMN)                     \
	X(INTERSECT, NAME_RESERVED)                 \
	X(INTERVAL, NAME_COLUMN)                    \
	X(INTO, NAME_RESERVED)                      \
	X(IS, NAME_TYPE)                            \
	X(ISNULL, NAME_TYPE)                        \
	X(ISOLATION, NAME_FREE)                     \
	X(JOIN, NAME_TYPE)                          \
	X(KEY, NAME_FREE)                           \
	X(LATERAL, NAME_RESERVED)                   \
	X(LEADING, NAME_RESERVED)                   \
	X(LEAST, NAME_COLUMN)                       \
	X(LEFT, NAME_TYPE)                          \
	X(LEVEL, NAME_FREE)                         \
	X(LIKE, NAME_TYPE)                          \
	X(LIMIT, NAME_RESERVED)                     \
	X(LISTEN, NAME_FREE)                        \
	X(LOAD, NAME_FREE)                          \
	X(LOCAL, NAME_FREE)                         \
	X(LOCALTIME, NAME_RESERVED)                 \
	X(LOCALTIMESTAMP, NAME_RESERVED)            \
	X(LOCK, NAME_FREE)                          \
	X(MATERIALIZED, NAME_FREE)                  \
	X(MERGE, NAME_FREE)                         \
	X(MOVE, NAME_FREE)                          \
	X(NATIONAL, NAME_COLUMN)                    \
	X(NATURAL, NAME_TYPE)                       \
	X(NCHAR, NAME_COLUMN)                       \
	X(NEXT, NAME_FREE)                          \
	X(NO, NAME_FREE)                            \
	X(NONE, NAME_COLUMN)                        \
	X(NOT, NAME_RESERVED)                       \
	X(NOTIFY, NAME_FREE)                        \
	X(NOTNULL, NAME_TYPE)                       \
	X(NULL, NAME_RESERVED)                      \
	X(NULLIF, NAME_COLUMN)                      \
	X(NUMERIC, NAME_COLUMN)                     \
	X(OFFSET, NAME_RESERVED)                    \
	X(ON, NAME_RESERVED)                        \
	X(ONLY, NAME_RESERVED)                      \
	X(OPERATOR, NAME_FREE)                      \
	X(OR, NAME_RESERVED)                        \
	X(ORDER, NAME_RESERVED)                     \
	X(ORDINALITY, NAME_FREE)                    \
	X(OUT, NAME_COLUMN)                         \
	X(OUTER, NAME_TYPE)                         \
	X(OVER, NAME_FREE)                          \
	X(OVERLAPS, NAME_TYPE)                      \
	X(OVERLAY, NAME_COLUMN)                     \
	X(PARTITION, NAME_FREE)                     \
	X(PG_TEMP, NAME_FREE)                       \
	X(PLACING, NAME_RESERVED)                   \
	X(PLANS, NAME_FREE)                         \
	X(POSITION, NAME_COLUMN)                    \
	X(PRECISION, NAME_COLUMN)                   \
	X(PREPARE, NAME_FREE)                       \
	X(PREPARED, NAME_FREE)                      \
	X(PRIMARY, NAME_RESERVED)                   \
	X(PROCEDURE, NAME_FREE)                     \
	X(PROGRAM, NAME_FREE)                       \
	X(RANGE, NAME_FREE)                         \
	X(READ, NAME_FREE)                          \
	X(REAL, NAME_COLUMN)                        \
	X(REASSIGN, NAME_FREE)                      \
	X(RECURSIVE, NAME_FREE)                     \
	X(REFERENCES, NAME_RESERVED)                \
	X(REFRESH, NAME_FREE)                       \
	X(REINDEX, NAME_FREE)                       \
	X(RELEASE, NAME_FREE)                       \
	X(REPEATABLE, NAME_FREE)                    \
	X(REPLACE, NAME_FREE)                       \
	X(RESET, NAME_FREE)                         \
	X(RETURNING, NAME_RESERVED)                 \
	X(REVOKE, NAME_FREE)                        \
	X(RIGHT, NAME_TYPE)                         \
	X(ROLLBACK, NAME_FREE)                      \
	X(ROLLUP, NAME_FREE)                        \
	X(ROW, NAME_COLUMN)                         \
	X(ROWS, NAME_FREE)                          \
	X(RULE, NAME_FREE)                          \
	X(SAVEPOINT, NAME_FREE)                     \
	X(SEARCH, NAME_FREE)                        \
	X(SECURITY, NAME_FREE)                      \
	X(SELECT, NAME_RESERVED)                    \
	X(SEQUENCES, NAME_FREE)                     \
	X(SERIALIZABLE, NAME_FREE)                  \
	X(SESSION, NAME_FREE)                       \
	X(SESSION_USER, NAME_RESERVED)              \
	X(SET, NAME_FREE)                           \
	X(SETOF, NAME_COLUMN)                       \
	X(SETS, NAME_FREE)                          \
	X(SHARE, NAME_FREE)                         \
	X(SHOW, NAME_FREE)                          \
	X(SIMILAR, NAME_TYPE)                       \
	X(SMALLINT, NAME_COLUMN)                    \
	X(SNAPSHOT, NAME_FREE)                      \
	X(SOME, NAME_RESERVED)                      \
	X(START, NAME_FREE)                         \
	X(STDIN, NAME_FREE)                         \
	X(STDOUT, NAME_FREE)                        \
	X(SUBSTRING, NAME_COLUMN)                   \
	X(SYMMETRIC, NAME_RESERVED)                 \
	X(SYSTEM_USER, NAME_RESERVED)               \
	X(TABLE, NAME_RESERVED)                     \
	X(TABLESAMPLE, NAME_TYPE)                   \
	X(TEMP, NAME_FREE)                          \
	X(TEMPORARY, NAME_FREE)                     \
	X(THEN, NAME_RESERVED)                      \
	X(TIES, NAME_FREE)                          \
	X(TIME, NAME_COLUMN)                        \
	X(TIMESTAMP, NAME_COLUMN)                   \
	X(TO, NAME_RESERVED)                        \
	X(TRAILING, NAME_RESERVED)                  \
	X(TRANSACTION, NAME_FREE)                   \
	X(TRANSACTION_ISOLATION, NAME_FREE)         \
	X(TREAT, NAME_COLUMN)                       \
	X(TRIM, NAME_COLUMN)                        \
	X(TRUE, NAME_RESERVED)                      \
	X(TRUNCATE, NAME_FREE)                      \
	X(UESCAPE, NAME_FREE)                       \
	X(UNION, NAME_RESERVED)                     \
	X(UNIQUE, NAME_RESERVED)                    \
	X(UNLISTEN, NAME_FREE)                      \
	X(UNLOGGED, NAME_FREE)                      \
	X(UPDATE, NAME_FREE)                        \
	X(USER, NAME_RESERVED)                      \
	X(USING, NAME_RESERVED)                     \
	X(VACUUM, NAME_FREE)                        \
	X(VALUES, NAME_COLUMN)                      \
	X(VARCHAR, NAME_COLUMN)                     \
	X(VARIADIC, NAME_RESERVED)                  \
	X(VARYING, NAME_FREE)                       \
	X(VERBOSE, NAME_TYPE)                       \
	X(VIEW, NAME_FREE)                          \
	X(WHEN, NAME_RESERVED)                      \
	X(WHERE, NAME_RESERVED)                     \
	X(WINDOW, NAME_RESERVED)                    \
	X(WITH, NAME_RESERVED)                      \
	X(WITHIN, NAME_FREE)                        \
	X(WITHOUT, NAME_FREE)                       \
	X(WORK, NAME_FREE)                          \
	X(WRITE, NAME_FREE)                         \
	X(XMLATTRIBUTES, NAME_COLUMN)               \
	X(XMLCONCAT, NAME_COLUMN)                   \
	X(XMLELEMENT, NAME_COLUMN)                  \
	X(XMLEXISTS, NAME_COLUMN)                   \
	X(XMLFOREST, NAME_COLUMN)                   \
	X(XMLNAMESPACES, NAME_COLUMN)               \
	X(XMLPARSE, NAME_COLUMN)                    \
	X(XMLPI, NAME_COLUMN)                       \
	X(XMLROOT, NAME_COLUMN)                     \
	X(XMLSERIALIZE, NAME_COLUMN)                \
	X(XMLTABLE, NAME_COLUMN)                    \
	X(ZONE, NAME_FREE)

enum sqlword {
	NO_WORD, /* not a keyword, or not one of these */
#define SQLWORD_ENUM(id, freedom) WORD_##id,
	SQLWORDS(SQLWORD_ENUM)
#undef SQLWORD_ENUM
};

/* The keyword that a token is; NO_WORD for anything but a SQLLEX_WORD. */
enum sqlword sqlword_of(const struct sqllex_token *token);

enum sqlword_freedom sqlword_freedom(enum sqlword word);

#endif
