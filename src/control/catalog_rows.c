/*
 * From rows of the system catalog to a snapshot: which user functions may run
 * on a replica, which relations may be read there, and where functions hide
 * that no text shows (operators, domains, casts, row security).
 *
 * Functions are judged by their declared volatility; the declaration is not
 * trusted where the body names something that a volatile function does.  What
 * a view or a policy calls is read from its stored parse tree: pg_depend leaves
 * out everything that is built in.  Relations below a view, a policy or a
 * parent table count as the relation itself, all the way down.
 *
 * Only names cross into the snapshot; object ids stay here.  Main thread.
 */
#include "control/catalog_rows.h"

#include "base/strmap.h"
#include "base/util.h"
#include "core/catalog_builtin.h"

#include <stdlib.h>
#include <string.h>

/* User objects have ids from FirstNormalObjectId on. */
#define USER_OID "16384"

/*
 * Functions that may leave something behind in the session, by the words of
 * their bodies or because they name one that does.  Texts are looked at with
 * and without what looks like comments; too many only cost a question.
 */
#define LEAVERS                                                             \
	"WITH RECURSIVE body(oid, name, text, leaves) AS MATERIALIZED ("    \
	"SELECT p.oid, p.proname::pg_catalog.text,"                         \
	" pg_catalog.lower(p.prosrc),"                                      \
	" l.lanname NOT IN ('sql', 'plpgsql')"                              \
	" OR pg_catalog.to_jsonb(p) ->> 'prosqlbody' IS NOT NULL"           \
	" OR p.prosrc ~* "                                                  \
	"'[[:<:]](set_config|pg_(try_)?advisory_lock(_shared)?"             \
	"|pg_advisory_unlock[a-z_]*|setseed|dblink[a-z_]*|execute|listen"   \
	"|unlisten|prepare|deallocate|discard|load|temp|temporary|pg_temp"  \
	"|hold|pg_replication_origin[a-z_]*)[[:>:]]'"                       \
	" OR EXISTS (SELECT FROM pg_catalog.unnest(ARRAY[p.prosrc,"         \
	"  pg_catalog.regexp_replace(pg_catalog.regexp_replace("            \
	"  p.prosrc, '--[^\n]*', ' ', 'g'), '/[*].*?[*]/', ' ', 'g')])"     \
	"  s(text) WHERE s.text ~*"                                         \
	"  '(^|\\x3b|>>|[[:<:]](begin|then|else|loop|as|declare)[[:>:]])"   \
	"[[:space:]]*(set|reset)[[:>:]]')"                                  \
	" FROM pg_catalog.pg_proc p"                                        \
	" JOIN pg_catalog.pg_language l ON l.oid = p.prolang"               \
	" WHERE p.oid >= " USER_OID                                         \
	" AND (p.provolatile = 'v' OR p.prosrc ~* 'set_config|advisory'))," \
	" leaver(oid, name) AS (SELECT oid, name FROM body WHERE leaves"    \
	" UNION SELECT b.oid, b.name FROM leaver v JOIN body b"             \
	" ON NOT b.leaves AND"                                              \
	" pg_catalog.strpos(b.text, pg_catalog.lower(v.name)) > 0)"

/* What volatile functions do and only one server knows: words of bodies. */
#define SUSPECT                                                            \
	"nextval|setval|currval|lastval|set_config|setseed|pg_advisory"    \
	"|pg_try_advisory|dblink|pg_is_in_recovery|current_setting"        \
	"|pg_notify|txid_|pg_current_|pg_stat|pg_wal|pg_last_|pg_read_"    \
	"|pg_ls_|lo_|loread|lowrite|http_|execute|inet_|pg_backend_pid"    \
	"|pg_postmaster|pg_conf_load|pg_locks|pg_lock_status|pg_settings"  \
	"|pg_show_|pg_sequence|pg_cursor|pg_prepared|pg_replication"       \
	"|pg_export|pg_listening|pg_terminate|pg_cancel|pg_reload"         \
	"|pg_promote|pg_switch|pg_logical|pg_create_|pg_drop_|pg_xact"     \
	"|pg_blocking|pg_control|pg_hba|pg_file|query_to_xml|table_to_xml" \
	"|cursor_to_xml|schema_to_xml|database_to_xml|ts_stat|ts_rewrite"  \
	"|last_value|is_called|version$"

/*
 * Functions whose bodies name what must not run on a replica, or a function
 * or relation of the user's that must not be used there, at any depth.  A word
 * that only looks like one costs load.
 */
#define TAINTED                                                               \
	", word(oid, word) AS MATERIALIZED (SELECT DISTINCT p.oid, m[1]"      \
	" FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l"            \
	" ON l.oid = p.prolang CROSS JOIN LATERAL pg_catalog.regexp_matches(" \
	" pg_catalog.lower(p.prosrc), '[[:alpha:]_][[:alnum:]_$]*', 'g') m"   \
	" WHERE p.oid >= " USER_OID " AND p.provolatile <> 'v'"               \
	" AND l.lanname IN ('sql', 'plpgsql')),"                              \
	" tainted(oid, name) AS (SELECT p.oid, pg_catalog.lower(p.proname)"   \
	" FROM pg_catalog.pg_proc p WHERE p.oid >= " USER_OID                 \
	" AND p.provolatile = 'v' AND p.proname !~"                           \
	" '^(gen_random_bytes|gen_salt|uuid_generate_v(1|1mc|4))$'"           \
	" UNION SELECT w.oid, pg_catalog.lower(p.proname) FROM word w"        \
	" JOIN pg_catalog.pg_proc p ON p.oid = w.oid"                         \
	" WHERE w.word ~ '^(" SUSPECT ")'"                                    \
	" UNION SELECT p.oid, pg_catalog.lower(p.proname)"                    \
	" FROM pg_catalog.pg_proc p CROSS JOIN LATERAL"                       \
	" pg_catalog.regexp_matches(pg_catalog.to_jsonb(p) ->> 'prosqlbody'," \
	" ':relid ([0-9]+)', 'g') m"                                          \
	" JOIN pg_catalog.pg_class c ON c.oid = m[1]::pg_catalog.oid"         \
	" WHERE p.oid >= " USER_OID " AND (c.relkind IN ('S', 'f')"           \
	" OR c.relpersistence = 'u' OR c.relname ~ '^(" SUSPECT ")')"         \
	" UNION SELECT c.oid, pg_catalog.lower(c.relname)"                    \
	" FROM pg_catalog.pg_class c WHERE c.oid >= " USER_OID                \
	" AND (c.relkind IN ('S', 'f') OR c.relpersistence = 'u')"            \
	" UNION SELECT w.oid, pg_catalog.lower(p.proname) FROM tainted d"     \
	" JOIN word w ON w.word = d.name"                                     \
	" JOIN pg_catalog.pg_proc p ON p.oid = w.oid)"

/*
 * Types that run functions: checks of domains, input, casts from and to them;
 * and the domains, arrays, rows and ranges made of them, at any depth.
 */
#define TYPES                                                                  \
	"own(type, function) AS (SELECT k.contypid,"                           \
	" m[1]::pg_catalog.oid FROM pg_catalog.pg_constraint k"                \
	" CROSS JOIN LATERAL pg_catalog.regexp_matches(k.conbin::text,"        \
	" ':(?:funcid|opfuncid) ([0-9]+)', 'g') m"                             \
	" WHERE k.contypid >= " USER_OID                                       \
	" UNION SELECT y.oid, y.typinput::pg_catalog.oid"                      \
	" FROM pg_catalog.pg_type y"                                           \
	" WHERE y.typinput::pg_catalog.oid >= " USER_OID                       \
	" UNION SELECT k.casttarget, k.castfunc FROM pg_catalog.pg_cast k"     \
	" WHERE k.castfunc >= " USER_OID                                       \
	" UNION SELECT k.castsource, k.castfunc FROM pg_catalog.pg_cast k"     \
	" WHERE k.castfunc >= " USER_OID " AND k.castsource >= " USER_OID ")," \
	" edge(above, below) AS (SELECT y.oid, y.typbasetype"                  \
	" FROM pg_catalog.pg_type y WHERE y.typbasetype >= " USER_OID          \
	" UNION ALL SELECT y.oid, y.typelem"                                   \
	" FROM pg_catalog.pg_type y WHERE y.typelem >= " USER_OID              \
	" UNION ALL SELECT c.reltype, a.atttypid FROM "                        \
	"pg_catalog.pg_attribute a"                                            \
	" JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"                    \
	" WHERE a.atttypid >= " USER_OID                                       \
	" AND a.attnum > 0 AND c.reltype <> 0"                                 \
	" UNION ALL SELECT r.rngtypid, r.rngsubtype"                           \
	" FROM pg_catalog.pg_range r WHERE r.rngsubtype >= " USER_OID "),"     \
	" reach(type, function) AS (SELECT type, function FROM own"            \
	" UNION SELECT edge.above, reach.function"                             \
	" FROM reach JOIN edge ON edge.below = reach.type)"

static const char common_text[] =
	/* 0: operators and functions of strangers must not be found */
	"SELECT pg_catalog.set_config('search_path', '', false);"
	/* 1: functions */
	LEAVERS TAINTED " SELECT p.oid, n.nspname, p.proname, l.lanname,"
	" CASE WHEN p.provolatile = 'v' OR EXISTS (SELECT 1"
	"  FROM pg_catalog.pg_aggregate a JOIN pg_catalog.pg_proc f ON f.oid IN"
	"  (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn,"
	"  a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)"
	"  WHERE a.aggfnoid = p.oid AND f.provolatile = 'v')"
	"  THEN 'v' ELSE 's' END,"
	" l.lanpltrusted OR l.lanname IN ('c', 'internal'),"
	" p.provolatile <> 'v' AND p.oid IN (SELECT oid FROM tainted),"
	" p.pronargs - p.pronargdefaults <= 1 AND p.pronargs >= 1 AND"
	"  EXISTS (SELECT 1 FROM pg_catalog.pg_type y"
	"  WHERE y.oid = p.proargtypes[0] AND y.typtype IN ('c', 'd', 'p')),"
	" p.oid IN (SELECT oid FROM leaver)"
	" FROM pg_catalog.pg_proc p"
	" JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
	" JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
	" WHERE p.oid >= " USER_OID " AND n.nspname !~ '^pg_temp_';"
	/* 2: functions that bodies of SQL (BEGIN ATOMIC, since 14) call */
	"WITH tree(oid, body) AS (SELECT p.oid,"
	" pg_catalog.to_jsonb(p) ->> 'prosqlbody' FROM pg_catalog.pg_proc p"
	" WHERE p.oid >= " USER_OID " AND p.provolatile <> 'v')"
	"SELECT DISTINCT t.oid, f.oid, f.proname, f.provolatile, n.nspname,"
	" p.proname FROM tree t JOIN pg_catalog.pg_proc p ON p.oid = t.oid"
	" JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
	" CROSS JOIN LATERAL pg_catalog.regexp_matches(t.body,"
	" ':(?:funcid|opfuncid|aggfnoid|winfnoid) ([0-9]+)', 'g') m"
	" JOIN pg_catalog.pg_proc f ON f.oid = m[1]::pg_catalog.oid;"
	/* 3: relations */
	"SELECT c.oid, n.nspname, c.relname,"
	" c.relkind IN ('S', 'f') OR c.relpersistence = 'u' OR"
	" (c.relkind = 'v' AND EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite r"
	"  WHERE r.ev_class = c.oid AND r.ev_type = '1'"
	"  AND pg_catalog.strpos(r.ev_action::text, '{ROWMARKCLAUSE') > 0))"
	" FROM pg_catalog.pg_class c"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE c.oid >= " USER_OID " AND c.relpersistence <> 't'"
	" AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')"
	" AND n.nspname <> 'pg_toast';"
	/* 4: functions that views and policies call, by their types as well,
	   and casts that columns may undergo unseen */
	"WITH RECURSIVE " TYPES
	", tree(oid, body) AS (SELECT r.ev_class, r.ev_action::text"
	"  FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c"
	"  ON c.oid = r.ev_class AND c.relkind = 'v' WHERE r.ev_type = '1'"
	" UNION ALL SELECT o.polrelid, o.polqual::text"
	"  FROM pg_catalog.pg_policy o JOIN pg_catalog.pg_class c"
	"  ON c.oid = o.polrelid AND c.relrowsecurity"
	"  WHERE o.polcmd IN ('r', '*'))"
	"SELECT DISTINCT t.oid, p.oid, p.proname, p.provolatile"
	" FROM tree t CROSS JOIN LATERAL pg_catalog.regexp_matches(t.body,"
	" ':(?:funcid|opfuncid|aggfnoid|winfnoid) ([0-9]+)', 'g') m"
	" JOIN pg_catalog.pg_proc p ON p.oid = m[1]::pg_catalog.oid"
	" WHERE t.oid >= " USER_OID
	" UNION SELECT t.oid, p.oid, p.proname, p.provolatile"
	" FROM tree t CROSS JOIN LATERAL pg_catalog.regexp_matches(t.body,"
	" ':resulttype ([0-9]+)', 'g') m"
	" JOIN reach r ON r.type = m[1]::pg_catalog.oid"
	" JOIN pg_catalog.pg_proc p ON p.oid = r.function"
	" WHERE t.oid >= " USER_OID
	" UNION SELECT a.attrelid, p.oid, p.proname, p.provolatile"
	" FROM pg_catalog.pg_cast k JOIN pg_catalog.pg_attribute a"
	" ON a.atttypid = k.castsource AND a.attnum > 0"
	" JOIN pg_catalog.pg_proc p ON p.oid = k.castfunc"
	" WHERE k.castfunc >= " USER_OID " AND k.castsource >= " USER_OID ";"
	/* 5: relations below views, policies and parents, at any depth */
	"WITH RECURSIVE edge(above, below) AS ("
	"SELECT r.ev_class, m[1]::pg_catalog.oid FROM pg_catalog.pg_rewrite r"
	"  JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind = 'v'"
	"  CROSS JOIN LATERAL pg_catalog.regexp_matches(r.ev_action::text,"
	"  ':relid ([0-9]+)', 'g') m WHERE r.ev_type = '1'"
	" UNION SELECT o.polrelid, m[1]::pg_catalog.oid"
	"  FROM pg_catalog.pg_policy o CROSS JOIN LATERAL"
	"  pg_catalog.regexp_matches(o.polqual::text, ':relid ([0-9]+)', 'g') m"
	" UNION SELECT i.inhparent, i.inhrelid FROM pg_catalog.pg_inherits i),"
	" reach(above, below) AS (SELECT above, below FROM edge"
	"  WHERE above >= " USER_OID
	" UNION SELECT reach.above, edge.below FROM reach JOIN edge"
	"  ON edge.above = reach.below WHERE reach.below >= " USER_OID ")"
	"SELECT r.above, c.oid, n.nspname, c.relname FROM reach r"
	" JOIN pg_catalog.pg_class c ON c.oid = r.below"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE r.above <> r.below"
	" AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f');"
	/* 6: operators */
	"SELECT o.oprname, o.oprcode::pg_catalog.oid FROM "
	"pg_catalog.pg_operator o"
	" WHERE o.oprcode::pg_catalog.oid >= " USER_OID ";"
	/* 7: types that run functions */
	"WITH RECURSIVE " TYPES
	"SELECT y.typname, p.oid, p.proname, p.provolatile FROM reach r"
	" JOIN pg_catalog.pg_type y ON y.oid = r.type"
	" JOIN pg_catalog.pg_proc p ON p.oid = r.function;"
	/* 8: triggers that leave something behind */
	LEAVERS "SELECT 1 FROM pg_catalog.pg_trigger t"
	" WHERE NOT t.tgisinternal AND t.tgfoid IN (SELECT oid FROM leaver)"
	" LIMIT 1;"
	/* 9: defaults, checks, views and rules that call currval, lastval */
	"SELECT 1 FROM (SELECT adbin::text FROM pg_catalog.pg_attrdef"
	" UNION ALL SELECT conbin::text FROM pg_catalog.pg_constraint"
	"  WHERE conbin IS NOT NULL"
	" UNION ALL SELECT ev_action::text FROM pg_catalog.pg_rewrite"
	"  WHERE ev_class >= " USER_OID ") tree(body)"
	" WHERE body ~ ':funcid (1575|2559) ' LIMIT 1;"
	/* 10: what logins find set: of a role, of all ("") */
	"SELECT coalesce(r.rolname, ''), o.line FROM"
	" pg_catalog.pg_db_role_setting s CROSS JOIN LATERAL"
	" pg_catalog.unnest(s.setconfig) o(line)"
	" LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole"
	" WHERE s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database"
	"  WHERE datname = pg_catalog.current_database()));";

static const char own_text[] =
	/* 11: ... and what every login finds set by the server's own files */
	"SELECT '', name || '=' || setting FROM"
	" pg_catalog.pg_settings WHERE source <> 'user'"
	"  AND name IN ('synchronous_commit', "
	"'default_transaction_isolation')"
	" UNION ALL SELECT '', 'late' FROM pg_catalog.pg_settings"
	" WHERE name = 'wal_writer_delay' AND setting::integer > 300;";

enum { RESULTS = 12 };

/* Volatile, but harmless: they only draw random numbers. */
static const char *const harmless_names[] = {
	"gen_random_bytes",   "gen_salt",         "uuid_generate_v1",
	"uuid_generate_v1mc", "uuid_generate_v4",
};

/* What is known of a relation so far; it only gets worse. */
struct relation {
	char *schema;
	char *name;
	enum catalog_relation kind;
};

struct catalog_rows {
	struct catalog_builder *builder;
	struct strmap *functions; /* id -> function_kinds[] */
	struct strmap *relations; /* id -> struct relation */
	unsigned results;
};

/* What the map of functions points to. */
static enum catalog_function function_kinds[] = {
	[FUNCTION_SAFE] = FUNCTION_SAFE,
	[FUNCTION_MISSING] = FUNCTION_MISSING,
	[FUNCTION_PRIMARY] = FUNCTION_PRIMARY,
	[FUNCTION_NEVER_REPLICA] = FUNCTION_NEVER_REPLICA,
};

static void free_relation(void *value)
{
	struct relation *relation = value;

	free(relation->schema);
	free(relation->name);
	free(relation);
}

const char *catalog_rows_query(enum catalog_rows_part part)
{
	return part == CATALOG_ROWS_COMMON ? common_text : own_text;
}

struct catalog_rows *catalog_rows_new(void)
{
	struct catalog_rows *rows = xcalloc(1, sizeof(*rows));

	rows->builder = catalog_builder_new();
	rows->functions = strmap_new();
	rows->relations = strmap_new();
	return rows;
}

void catalog_rows_free(struct catalog_rows *rows)
{
	if (!rows)
		return;
	catalog_builder_free(rows->builder);
	strmap_free(rows->functions, NULL);
	strmap_free(rows->relations, free_relation);
	free(rows);
}

static bool is_true(const PGresult *result, int row, int column)
{
	return PQgetvalue(result, row, column)[0] == 't';
}

static bool is_harmless(const char *name)
{
	size_t count = sizeof(harmless_names) / sizeof(harmless_names[0]);

	for (size_t i = 0; i < count; i++)
		if (strcmp(harmless_names[i], name) == 0)
			return true;
	return false;
}

enum {
	FUNCTION_ID,
	FUNCTION_SCHEMA,
	FUNCTION_NAME,
	FUNCTION_LANGUAGE,
	FUNCTION_VOLATILITY,
	FUNCTION_IS_TRUSTED, /* its language, or compiled */
	FUNCTION_IS_SUSPECT, /* the body names what volatile ones do */
	FUNCTION_IS_ATTRIBUTE,
	FUNCTION_LEAVES, /* something behind in the session, perhaps */
	FUNCTION_COLUMNS
};

/* C and untrusted languages can do anything outside the database. */
static enum catalog_function judge_function(const PGresult *result, int row)
{
	const char *language = PQgetvalue(result, row, FUNCTION_LANGUAGE);
	bool is_volatile = *PQgetvalue(result, row, FUNCTION_VOLATILITY) == 'v';
	bool is_compiled = strcmp(language, "c") == 0;
	bool is_trusted = is_true(result, row, FUNCTION_IS_TRUSTED);

	if (is_compiled && is_harmless(PQgetvalue(result, row, FUNCTION_NAME)))
		return FUNCTION_SAFE;
	if (is_volatile && (is_compiled || !is_trusted))
		return FUNCTION_NEVER_REPLICA;
	if (is_volatile || !is_trusted ||
	    is_true(result, row, FUNCTION_IS_SUSPECT))
		return FUNCTION_PRIMARY;
	return FUNCTION_SAFE;
}

/* Needs to come first: all others look functions up. */
static void add_functions(struct catalog_rows *rows, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		const char *name = PQgetvalue(result, row, FUNCTION_NAME);
		enum catalog_function kind = judge_function(result, row);

		catalog_add_function(
			rows->builder, PQgetvalue(result, row, FUNCTION_SCHEMA),
			name, kind,
			is_true(result, row, FUNCTION_LEAVES) ? EFFECT_HIDDEN
							      : 0);
		(void)strmap_put(rows->functions,
				 PQgetvalue(result, row, FUNCTION_ID),
				 &function_kinds[kind]);
		if (kind != FUNCTION_SAFE &&
		    is_true(result, row, FUNCTION_IS_ATTRIBUTE))
			catalog_add_hidden(rows->builder, HIDDEN_ATTRIBUTE,
					   name);
	}
}

/* Whether something that runs this function must stay on the primary. */
static bool is_unsafe(const struct catalog_rows *rows, const char *id,
		      const char *name, const char *volatility)
{
	const enum catalog_function *user = strmap_get(rows->functions, id);
	enum catalog_function kind;
	uint32_t effects;

	if (user)
		return *user != FUNCTION_SAFE;
	kind = catalog_builtin_function(name, strlen(name), &effects);
	/* The table leaves out what only implements operators. */
	if (kind == FUNCTION_MISSING)
		return *volatility == 'v';
	return kind != FUNCTION_SAFE;
}

enum { CALL_OF, CALL_ID, CALL_NAME, CALL_VOLATILITY, CALL_COLUMNS };

static bool calls_unsafe(const struct catalog_rows *rows,
			 const PGresult *result, int row)
{
	return is_unsafe(rows, PQgetvalue(result, row, CALL_ID),
			 PQgetvalue(result, row, CALL_NAME),
			 PQgetvalue(result, row, CALL_VOLATILITY));
}

enum { BODY_SCHEMA = CALL_COLUMNS, BODY_NAME, BODY_COLUMNS };

/* The declaration promised too much: the worse entry wins. */
static void add_bodies(struct catalog_rows *rows, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		if (!calls_unsafe(rows, result, row))
			continue;
		catalog_add_function(rows->builder,
				     PQgetvalue(result, row, BODY_SCHEMA),
				     PQgetvalue(result, row, BODY_NAME),
				     FUNCTION_PRIMARY, EFFECT_HIDDEN);
		(void)strmap_put(rows->functions,
				 PQgetvalue(result, row, CALL_OF),
				 &function_kinds[FUNCTION_PRIMARY]);
	}
}

enum { RELATION_ID, RELATION_SCHEMA, RELATION_NAME, RELATION_IS_UNSAFE };

static void add_relations(struct catalog_rows *rows, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct relation *relation = xcalloc(1, sizeof(*relation));
		struct relation *before;

		relation->schema =
			xstrdup(PQgetvalue(result, row, RELATION_SCHEMA));
		relation->name =
			xstrdup(PQgetvalue(result, row, RELATION_NAME));
		relation->kind = is_true(result, row, RELATION_IS_UNSAFE)
					 ? RELATION_PRIMARY
					 : RELATION_PLAIN;
		before = strmap_put(rows->relations,
				    PQgetvalue(result, row, RELATION_ID),
				    relation);
		if (before)
			free_relation(before);
	}
}

/* Views of the system catalog are in no row: they are not the user's. */
static void worsen(struct catalog_rows *rows, const char *id,
		   enum catalog_relation kind)
{
	struct relation *relation = strmap_get(rows->relations, id);

	if (relation && kind > relation->kind)
		relation->kind = kind;
}

/* A view or policy that calls something unsafe is unsafe. */
static void add_calls(struct catalog_rows *rows, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++)
		if (calls_unsafe(rows, result, row))
			worsen(rows, PQgetvalue(result, row, CALL_OF),
			       RELATION_PRIMARY);
}

enum { BELOW_OF, BELOW_ID, BELOW_SCHEMA, BELOW_NAME, BELOW_COLUMNS };

/* The kind that the relation itself has, whatever lies below it. */
static enum catalog_relation kind_below(const struct catalog_rows *rows,
					const PGresult *result, int row)
{
	const struct relation *relation =
		strmap_get(rows->relations, PQgetvalue(result, row, BELOW_ID));
	const char *schema = PQgetvalue(result, row, BELOW_SCHEMA);
	const char *name = PQgetvalue(result, row, BELOW_NAME);

	if (relation)
		return relation->kind;
	return catalog_find_relation(NULL, schema, strlen(schema), name,
				     strlen(name));
}

/* ... and so is what stands above it, however far. */
static void add_below(struct catalog_rows *rows, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++)
		worsen(rows, PQgetvalue(result, row, BELOW_OF),
		       kind_below(rows, result, row));
}

/* Operators that the grammar uses by itself: IN, LIKE, BETWEEN, CASE ... */
static bool is_implied(const char *name)
{
	static const char *const implied[] = { "=",  "<>",  "<",   "<=",
					       ">",  ">=",  "~",   "!~",
					       "~~", "!~~", "~~*", "!~~*" };

	for (size_t i = 0; i < sizeof(implied) / sizeof(*implied); i++)
		if (strcmp(name, implied[i]) == 0)
			return true;
	return false;
}

/* Operators of built-in functions are not asked for. */
static void add_operators(struct catalog_rows *rows, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		const char *name = PQgetvalue(result, row, 0);

		if (!is_unsafe(rows, PQgetvalue(result, row, 1), "", "v"))
			continue;
		catalog_add_hidden(rows->builder, HIDDEN_OPERATOR, name);
		if (is_implied(name))
			catalog_set_treacherous(rows->builder);
	}
}

/*
 * A user's type is named in a text that casts to it; a cast to a built-in
 * type may come unseen, or only from types that nobody uses.
 */
static void add_types(struct catalog_rows *rows, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		const char *name = PQgetvalue(result, row, CALL_OF);

		if (!calls_unsafe(rows, result, row))
			continue;
		if (catalog_builtin_has_type(name, strlen(name)))
			catalog_set_uncertain(rows->builder);
		else
			catalog_add_hidden(rows->builder, HIDDEN_TYPE, name);
	}
}

static void add_reading_back(struct catalog_rows *rows, const PGresult *result)
{
	if (PQntuples(result) > 0)
		catalog_set_reading_back(rows->builder);
}

static void add_triggers(struct catalog_rows *rows, const PGresult *result)
{
	if (PQntuples(result) > 0)
		catalog_set_hidden_writes(rows->builder);
}

/* "name=value", of two names that matter; the role's, or everybody's. */
static void add_defaults(struct catalog_rows *rows, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		const char *role = PQgetvalue(result, row, 0);
		const char *line = PQgetvalue(result, row, 1);

		if (strcmp(line, "late") == 0)
			catalog_add_hidden(rows->builder, HIDDEN_LATE, "");
		if (strcasecmp(line, "synchronous_commit=off") == 0)
			catalog_add_hidden(rows->builder, HIDDEN_ASYNCHRONOUS,
					   role);
		if (strncasecmp(line, "default_transaction_isolation=", 30) ==
			    0 &&
		    strcasecmp(line + 30, "read committed") != 0 &&
		    strcasecmp(line + 30, "read uncommitted") != 0)
			catalog_add_hidden(rows->builder, HIDDEN_SNAPSHOTS,
					   role);
	}
}

/* What the next result must look like, and who takes it. */
struct step {
	int columns;
	void (*add)(struct catalog_rows *rows, const PGresult *result);
};

static const struct step steps[RESULTS] = {
	{ 1, NULL },
	{ FUNCTION_COLUMNS, add_functions },
	{ BODY_COLUMNS, add_bodies },
	{ RELATION_IS_UNSAFE + 1, add_relations },
	{ CALL_COLUMNS, add_calls },
	{ BELOW_COLUMNS, add_below },
	{ 2, add_operators },
	{ CALL_COLUMNS, add_types },
	{ 1, add_triggers },
	{ 1, add_reading_back },
	{ 2, add_defaults },
	{ 2, add_defaults },
};

bool catalog_rows_add(struct catalog_rows *rows, const PGresult *result)
{
	const struct step *step;

	if (rows->results == RESULTS ||
	    PQresultStatus(result) != PGRES_TUPLES_OK)
		return false;
	step = &steps[rows->results++];
	if (PQnfields(result) != step->columns)
		return false;
	if (step->add)
		step->add(rows, result);
	return true;
}

struct catalog *catalog_rows_finish(struct catalog_rows *rows)
{
	struct catalog *catalog;
	void *value;
	size_t at = 0;

	if (rows->results < RESULTS)
		return NULL;
	while (strmap_next(rows->relations, &at, NULL, &value)) {
		const struct relation *relation = value;

		catalog_add_relation(rows->builder, relation->schema,
				     relation->name, relation->kind);
	}
	catalog = catalog_finish(rows->builder);
	rows->builder = NULL;
	catalog_rows_free(rows);
	return catalog;
}
