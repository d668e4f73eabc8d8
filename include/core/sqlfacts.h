#ifndef PGWEIR_CORE_SQLFACTS_H
#define PGWEIR_CORE_SQLFACTS_H

/*
 * The words in which the SQL rooms speak to each other and to routing: what a
 * statement may do, what it leaves behind, and how harmful a function or a
 * relation is.  Values only; sqlclass.h and catalog.h include this.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct catalog;

/*
 * Of several statements the worst counts: NONE, READ, UNKNOWN, WRITE.  WRITE
 * is what changes data, or calls or reads what only the primary may serve;
 * UNKNOWN the rest that must not leave it (SHOW, LISTEN, EXECUTE, node-local
 * statistics, names that the catalog does not know, texts not understood).
 * SET, BEGIN, CLOSE and the like are NONE: their effects and command say all.
 * READ with REASON_CATALOG looks at the system catalog.
 */
enum sqlclass_access {
	ACCESS_NONE,   /* empty text, or nothing that touches data (BEGIN) */
	ACCESS_READ,   /* a replica may serve it */
	ACCESS_WRITE,  /* known to belong on the primary */
	ACCESS_UNKNOWN /* not understood: primary */
};

/* Why it is not ACCESS_READ: label of metrics, word of debug lines. */
#define SQLCLASS_REASONS(X)                     \
	X(NONE, "none")                         \
	X(VERB, "write")                        \
	X(LOCKING, "row_lock")                  \
	X(DML_CTE, "dml_in_cte")                \
	X(INTO, "select_into")                  \
	X(FUNCTION, "unsafe_function")          \
	X(FUNCTION_UNKNOWN, "unknown_function") \
	X(RELATION, "unsafe_relation")          \
	X(RELATION_UNKNOWN, "unknown_relation") \
	X(NODE_LOCAL, "node_local")             \
	X(CATALOG, "system_catalog")            \
	X(UTILITY, "utility")                   \
	X(COPY, "copy")                         \
	X(LEX, "not_understood")                \
	X(TOO_LONG, "too_long")                 \
	X(NO_CATALOG, "catalog_not_loaded")

enum sqlclass_reason {
#define SQLCLASS_ENUM(id, name) REASON_##id,
	SQLCLASS_REASONS(SQLCLASS_ENUM)
#undef SQLCLASS_ENUM
};

/* Transaction control; of a text with several statements: COMMAND_MIXED. */
enum sqlclass_command {
	COMMAND_OTHER,
	COMMAND_BEGIN,           /* BEGIN, START TRANSACTION */
	COMMAND_COMMIT,          /* COMMIT, END */
	COMMAND_ROLLBACK,        /* ROLLBACK, ABORT (not TO SAVEPOINT) */
	COMMAND_ROLLBACK_TO,     /* ... to a savepoint */
	COMMAND_SET_TRANSACTION, /* SET TRANSACTION ... */
	COMMAND_MIXED /* several statements, one of them of the above */
};

/* What is left behind in the session, or matters beyond this statement. */
enum sqlclass_effect {
	EFFECT_TEMP = 1 << 0,      /* CREATE TEMP, SELECT INTO TEMP */
	EFFECT_SET = 1 << 1,       /* SET, RESET, set_config(), SET ROLE ... */
	EFFECT_SET_LOCAL = 1 << 2, /* SET LOCAL, SET TRANSACTION, CONSTRAINTS */
	EFFECT_LISTEN = 1 << 3,    /* (UN)LISTEN, pg_listening_channels */
	EFFECT_ADVISORY = 1 << 4,  /* session-level advisory lock taken */
	EFFECT_UNLOCK = 1 << 5,    /* advisory unlock */
	EFFECT_PREPARE = 1 << 6,   /* SQL PREPARE */
	EFFECT_EXECUTE = 1 << 7,   /* SQL EXECUTE, pg_prepared_statements */
	EFFECT_DEALLOCATE = 1 << 8,     /* SQL DEALLOCATE [ALL] */
	EFFECT_HOLD = 1 << 9,           /* DECLARE ... WITH HOLD */
	EFFECT_DISCARD_ALL = 1 << 10,   /* DISCARD ALL */
	EFFECT_DISCARD = 1 << 11,       /* DISCARD PLANS, SEQUENCES, TEMP */
	EFFECT_SEQUENCE = 1 << 12,      /* nextval, setval by name */
	EFFECT_SEQUENCE_READ = 1 << 13, /* currval, lastval */
	EFFECT_LOAD = 1 << 14,          /* LOAD */
	EFFECT_DDL = 1 << 15,           /* the catalog changes */
	/* Anything: DO, CALL, volatile user function, text not understood. */
	EFFECT_HIDDEN = 1 << 16,
	EFFECT_COPY_IN = 1 << 17,      /* COPY ... FROM STDIN */
	EFFECT_COPY_OUT = 1 << 18,     /* COPY ... TO STDOUT */
	EFFECT_SERIALIZABLE = 1 << 19, /* asks for SERIALIZABLE */
	EFFECT_READ_ONLY = 1 << 20,    /* BEGIN/SET TRANSACTION READ ONLY */
	EFFECT_READ_WRITE = 1 << 21,   /* ... READ WRITE */
	EFFECT_TWO_PHASE = 1 << 22,    /* PREPARE TRANSACTION ... */
	EFFECT_CHAIN = 1 << 23,        /* COMMIT/ROLLBACK AND CHAIN */
	EFFECT_CURSOR = 1 << 24,       /* DECLARE, FETCH, MOVE, CLOSE */
	EFFECT_CATALOG_READ = 1 << 25, /* looks at the system catalog */
	/* What ends a state of the session's altogether. */
	EFFECT_RESET_ALL = 1 << 26,    /* RESET ALL */
	EFFECT_UNLISTEN_ALL = 1 << 27, /* UNLISTEN * */
	EFFECT_CLOSE_ALL = 1 << 28,    /* CLOSE ALL */
	EFFECT_UNLOCK_ALL = 1 << 29,   /* pg_advisory_unlock_all() */
	/* SET of a parameter whose changes the server reports. */
	EFFECT_SET_REPORTED = 1 << 30
};

/* What a comment of the text asks for (core/sqlhint). */
enum sqlclass_hint { HINT_NONE, HINT_REPLICA, HINT_PRIMARY };

struct sqlclass {
	uint8_t access;      /* enum sqlclass_access */
	uint8_t reason;      /* enum sqlclass_reason */
	uint8_t command;     /* enum sqlclass_command */
	bool is_certain;     /* made of known-safe parts: cannot be refused */
	uint16_t statements; /* how many non-empty ones, saturating */
	bool may_draw;       /* from a sequence: a default, a trigger... */
	uint8_t hint;        /* enum sqlclass_hint; no part of the shape */
	bool is_global;      /* of databases or roles: core/dbddl has more */
	bool shows_position; /* SHOW pgweir.lsn */
	bool tells_time;     /* names something that core/sqltime cannot see */
	bool redefines;      /* DDL that may make another thing of a read */
	uint8_t shape_turn;  /* of the entry that it came from: ... */
	uint16_t shape;      /* ... its number in core/shapes, 0 none */
	uint32_t effects;    /* bits of enum sqlclass_effect */
};

/* How the session's settings make the lexer read a text. */
struct sqlclass_context {
	const struct catalog *catalog; /* NULL: not loaded, functions unknown */
	bool plain_backslash;  /* standard_conforming_strings on (usual) */
	bool is_safe_encoding; /* no trail byte below 0x80 (not SJIS, GBK...) */
};

/* From harmless to harmful: the worst wins. */
enum catalog_function {
	FUNCTION_SAFE,         /* anywhere */
	FUNCTION_MISSING,      /* no function of that name */
	FUNCTION_PRIMARY,      /* on the primary only */
	FUNCTION_NEVER_REPLICA /* would do harm on a replica */
};

enum catalog_relation {
	RELATION_PLAIN,
	RELATION_SYSTEM, /* pg_catalog, information_schema */
	RELATION_MISSING,
	RELATION_PRIMARY,   /* sequence, unlogged, foreign, unsafe view */
	RELATION_NODE_LOCAL /* statistics of this very server */
};

#endif
