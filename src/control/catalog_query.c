/*
 * The text that asks a server for its catalog snapshot: what stands in the
 * database that routing must know of, and what uses what.
 *
 * What a view, a policy, a default or a body of SQL uses is read from its
 * stored parse tree, since pg_depend leaves out everything that is built in.
 * Bodies that are text are searched for names, quoted or not: a name that only
 * looks like a use costs load.  Whatever is followed further is followed in
 * C (control/catalog_graph), for all kinds of objects alike.
 *
 * Objects are called by one letter and their id: f function, r relation,
 * o operator; of a type d (its values are made here), c (they may be cast
 * unseen) and k (others are cast to it).
 */
#include "control/catalog_query.h"

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

/*
 * Types that run functions: checks of domains, input, casts from and to them,
 * what sorts and hashes them (in C that is taken for harmless); and the
 * domains, arrays, rows and ranges made of them, at any depth.
 */
#define TYPES                                                                  \
	"own(type, function, kind) AS ("                                       \
	"SELECT k.contypid, m[1]::pg_catalog.oid, 'd'"                         \
	" FROM pg_catalog.pg_constraint k"                                     \
	" CROSS JOIN LATERAL pg_catalog.regexp_matches(k.conbin::text,"        \
	" ':(?:funcid|opfuncid) ([0-9]+)', 'g') m"                             \
	" WHERE k.contypid >= " USER_OID                                       \
	" UNION SELECT k.contypid, 1299, 'd' FROM pg_catalog.pg_constraint k"  \
	" WHERE k.contypid >= " USER_OID                                       \
	" AND k.conbin::text ~ '{SQLVALUEFUNCTION :op [0-8] '"                 \
	" UNION SELECT y.oid, y.typinput::pg_catalog.oid, 'd'"                 \
	" FROM pg_catalog.pg_type y"                                           \
	" WHERE y.typinput::pg_catalog.oid >= " USER_OID                       \
	" UNION SELECT k.casttarget, k.castfunc, 'k' FROM pg_catalog.pg_cast " \
	"k"                                                                    \
	" WHERE k.oid >= " USER_OID " AND k.castfunc <> 0"                     \
	" UNION SELECT k.castsource, k.castfunc, 'c' FROM pg_catalog.pg_cast " \
	"k"                                                                    \
	" WHERE k.oid >= " USER_OID " AND k.castfunc <> 0"                     \
	" AND k.castsource >= " USER_OID                                       \
	" UNION SELECT c.opcintype, a.amproc::pg_catalog.oid, 'c'"             \
	" FROM pg_catalog.pg_opclass c"                                        \
	" JOIN pg_catalog.pg_amproc a ON a.amprocfamily = c.opcfamily"         \
	" JOIN pg_catalog.pg_proc p ON p.oid = a.amproc::pg_catalog.oid"       \
	" JOIN pg_catalog.pg_language l"                                       \
	" ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal')"         \
	" WHERE c.opcdefault AND p.oid >= " USER_OID "),"                      \
	" part(above, below) AS (SELECT y.oid, y.typbasetype"                  \
	" FROM pg_catalog.pg_type y WHERE y.typbasetype >= " USER_OID          \
	" UNION ALL SELECT y.oid, y.typelem"                                   \
	" FROM pg_catalog.pg_type y WHERE y.typelem >= " USER_OID              \
	" UNION ALL SELECT c.reltype, a.atttypid"                              \
	" FROM pg_catalog.pg_attribute a"                                      \
	" JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"                    \
	" WHERE a.atttypid >= " USER_OID                                       \
	" AND a.attnum > 0 AND c.reltype <> 0"                                 \
	" UNION ALL SELECT r.rngtypid, r.rngsubtype"                           \
	" FROM pg_catalog.pg_range r WHERE r.rngsubtype >= " USER_OID          \
	" UNION ALL SELECT (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')"       \
	"::pg_catalog.oid, r.rngtypid FROM pg_catalog.pg_range r"              \
	" WHERE r.rngtypid >= " USER_OID                                       \
	" UNION ALL SELECT k.contypid, m[1]::pg_catalog.oid"                   \
	" FROM pg_catalog.pg_constraint k"                                     \
	" CROSS JOIN LATERAL pg_catalog.regexp_matches(k.conbin::text,"        \
	" ':resulttype ([0-9]+)', 'g') m WHERE k.contypid >= " USER_OID "),"   \
	" reach(type, function, kind) AS (SELECT type, function, kind FROM "   \
	"own"                                                                  \
	" UNION SELECT part.above, reach.function, reach.kind"                 \
	" FROM reach JOIN part ON part.below = reach.type)"

/*
 * Parse trees, and whose they are: views, policies, bodies of SQL (BEGIN
 * ATOMIC, since 14), defaults of arguments.
 */
#define TREES                                                         \
	"tree(above, body) AS ("                                      \
	"SELECT 'r' || r.ev_class, r.ev_action::text"                 \
	" FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c"    \
	" ON c.oid = r.ev_class AND c.relkind = 'v'"                  \
	" WHERE r.ev_type = '1' AND r.ev_class >= " USER_OID          \
	" UNION ALL SELECT 'r' || o.polrelid, o.polqual::text"        \
	" FROM pg_catalog.pg_policy o JOIN pg_catalog.pg_class c"     \
	" ON c.oid = o.polrelid AND c.relrowsecurity"                 \
	" WHERE o.polcmd IN ('r', '*')"                               \
	" UNION ALL SELECT 'f' || p.oid, pg_catalog.to_jsonb(p) ->> " \
	"'prosqlbody'"                                                \
	" FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l"    \
	" ON l.oid = p.prolang AND l.lanname = 'sql'"                 \
	" WHERE p.oid >= " USER_OID " AND p.provolatile <> 'v'"       \
	" UNION ALL SELECT 'f' || p.oid, p.proargdefaults::text"      \
	" FROM pg_catalog.pg_proc p"                                  \
	" WHERE p.oid >= " USER_OID " AND p.provolatile <> 'v')"

/*
 * Texts of bodies, and the names that matter in them: of all functions that
 * are not immutable and built in, of relations that are more than a table, of
 * types and operators that run functions.
 */
#define NAMES                                                                 \
	"body(above, text) AS MATERIALIZED ("                                 \
	"SELECT 'f' || p.oid, pg_catalog.lower(p.prosrc)"                     \
	" FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l"            \
	" ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal')"        \
	" WHERE p.oid >= " USER_OID " AND p.provolatile <> 'v'),"             \
	" word(above, word) AS (SELECT DISTINCT b.above,"                     \
	" pg_catalog.substr(m[1], 1, 63) FROM body b CROSS JOIN LATERAL"      \
	" pg_catalog.regexp_matches(b.text, '[[:alpha:]_][[:alnum:]_$]*', "   \
	"'g') m),"                                                            \
	" thing(kind, id, name) AS MATERIALIZED ("                            \
	"SELECT 'f', p.oid, pg_catalog.lower(p.proname)"                      \
	" FROM pg_catalog.pg_proc p WHERE p.oid >= " USER_OID                 \
	" OR (p.provolatile <> 'i'"                                           \
	"  AND p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace)"       \
	" UNION ALL SELECT 'r', c.oid, pg_catalog.lower(c.relname)"           \
	" FROM pg_catalog.pg_class c WHERE c.relpersistence <> 't' AND"       \
	" CASE WHEN c.oid < " USER_OID " THEN c.relkind IN ('r', 'v')"        \
	"  AND c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace"        \
	" ELSE c.relkind IN ('v', 'S', 'f') OR (c.relkind IN ('r', 'p', 'm')" \
	"  AND (c.relpersistence = 'u' OR c.relrowsecurity OR "               \
	"c.relhassubclass"                                                    \
	"  OR c.oid IN (SELECT a.attrelid FROM pg_catalog.pg_attribute a"     \
	"   JOIN reach h ON h.type = a.atttypid AND h.kind = 'c')"            \
	"  OR c.reltype IN (SELECT h.type FROM reach h WHERE h.kind = 'c')))" \
	" END"                                                                \
	" UNION ALL SELECT DISTINCT h.kind, y.oid, "                          \
	"pg_catalog.lower(y.typname)"                                         \
	" FROM reach h JOIN pg_catalog.pg_type y ON y.oid = h.type"           \
	" WHERE y.oid >= " USER_OID                                           \
	" UNION ALL SELECT 'o', o.oid, o.oprname::text"                       \
	" FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p"            \
	" ON p.oid = o.oprcode JOIN pg_catalog.pg_language l"                 \
	" ON l.oid = p.prolang WHERE o.oid >= " USER_OID                      \
	" AND (p.provolatile = 'v' OR l.lanname NOT IN ('c', 'internal')"     \
	"  OR p.oid < " USER_OID "))"

/* What uses what. */
#define USES                                                                 \
	"found(above, kind, below) AS ("                                     \
	"SELECT t.above, CASE m[1] WHEN 'relid' THEN 'r' WHEN 'resulttype' " \
	"THEN 'd'"                                                           \
	"  WHEN 'typid' THEN 'd' ELSE 'f' END, m[2]::pg_catalog.oid"         \
	" FROM tree t CROSS JOIN LATERAL pg_catalog.regexp_matches(t.body,"  \
	" ':(funcid|opfuncid|aggfnoid|winfnoid|relid|resulttype|typid) "     \
	"([0-9]+)',"                                                         \
	" 'g') m"                                                            \
	" UNION SELECT t.above, 'd', s.id::pg_catalog.oid"                   \
	" FROM tree t CROSS JOIN LATERAL pg_catalog.regexp_matches(t.body,"  \
	" ':(?:func)?coltypes [(]o ([0-9 ]+)[)]', 'g') m"                    \
	" CROSS JOIN LATERAL pg_catalog.regexp_split_to_table(m[1], ' ') "   \
	"s(id)"                                                              \
	" UNION SELECT t.above, 'f', 1299 FROM tree t"                       \
	" WHERE t.body ~ '{SQLVALUEFUNCTION :op [0-8] '"                     \
	" UNION SELECT w.above, g.kind, g.id"                                \
	" FROM word w JOIN thing g ON g.name = w.word"                       \
	" UNION SELECT b.above, g.kind, g.id FROM thing g JOIN body b"       \
	" ON pg_catalog.strpos(b.text, pg_catalog.replace(g.name, '\"', "    \
	"'\"\"')) > 0"                                                       \
	" WHERE g.name !~ '^[a-z_][a-z0-9_$]*$'"                             \
	" UNION SELECT 'f' || p.oid, 'f', q.oid FROM pg_catalog.pg_proc p"   \
	" JOIN pg_catalog.pg_language l"                                     \
	" ON l.oid = p.prolang AND l.lanname = 'internal'"                   \
	" JOIN pg_catalog.pg_proc q ON q.prosrc = p.prosrc AND q.oid "       \
	"< " USER_OID " WHERE p.oid >= " USER_OID                            \
	" UNION SELECT 'f' || a.aggfnoid::pg_catalog.oid, 'f', s.id"         \
	" FROM pg_catalog.pg_aggregate a CROSS JOIN LATERAL "                \
	"pg_catalog.unnest("                                                 \
	" ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn,"  \
	" a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]"  \
	"::pg_catalog.oid[]) s(id)"                                          \
	" WHERE a.aggfnoid::pg_catalog.oid >= " USER_OID " AND s.id <> 0"    \
	" UNION SELECT 'f' || p.oid, g.kind, s.id FROM pg_catalog.pg_proc p" \
	" CROSS JOIN LATERAL pg_catalog.unnest(COALESCE(p.proallargtypes,"   \
	"  p.proargtypes::pg_catalog.oid[]) || p.prorettype) s(id)"          \
	" CROSS JOIN (VALUES ('d'), ('c')) g(kind)"                          \
	" WHERE p.oid >= " USER_OID " AND p.provolatile <> 'v'"              \
	" AND s.id >= " USER_OID                                             \
	" UNION SELECT 'r' || i.inhparent, 'r', i.inhrelid"                  \
	" FROM pg_catalog.pg_inherits i WHERE i.inhparent >= " USER_OID      \
	" UNION SELECT 'r' || a.attrelid, 'c', a.atttypid"                   \
	" FROM pg_catalog.pg_attribute a WHERE a.attnum > 0"                 \
	" AND a.atttypid >= " USER_OID                                       \
	" UNION SELECT 'r' || c.oid, 'c', c.reltype"                         \
	" FROM pg_catalog.pg_class c WHERE c.reltype >= " USER_OID           \
	" UNION SELECT 'o' || m.amopopr, 'f', a.amproc::pg_catalog.oid"      \
	" FROM pg_catalog.pg_amop m"                                         \
	" JOIN pg_catalog.pg_amproc a ON a.amprocfamily = m.amopfamily"      \
	" WHERE m.amopopr >= " USER_OID                                      \
	" AND a.amproc::pg_catalog.oid >= " USER_OID                         \
	" UNION SELECT 'populate', 'd', h.type FROM reach h"                 \
	" UNION SELECT h.kind || h.type, 'f', h.function FROM reach h)"

static const char common_text[] =
	/*
	 * 0: operators and functions of strangers must not be found; what is
	 * asked is large enough for the compiler, which takes far longer
	 */
	"SELECT pg_catalog.set_config('search_path', '', false)"
	" UNION ALL SELECT pg_catalog.set_config(s.name, 'off', false)"
	" FROM pg_catalog.pg_settings s WHERE s.name = 'jit';"
	/* 1: functions */
	LEAVERS " SELECT p.oid, n.nspname, p.proname, l.lanname, p.provolatile,"
	" l.lanpltrusted OR l.lanname IN ('c', 'internal'),"
	" p.provolatile <> 'v' AND CASE WHEN l.lanname = 'internal' THEN false"
	"  WHEN l.lanname = 'c' THEN p.prosrc ~ "
	"'^(crosstab|connectby|xpath_table|hstore_populate_record"
	"|(accept_)?weak_input)'"
	"  ELSE p.prosrc ~* '[[:<:]]execute[[:>:]]|spi_|u&\"' END,"
	" p.pronargs - p.pronargdefaults <= 1 AND p.pronargs >= 1 AND"
	"  EXISTS (SELECT 1 FROM pg_catalog.pg_type y"
	"  WHERE y.oid = p.proargtypes[0] AND y.typtype IN ('c', 'd', 'p')),"
	" p.oid IN (SELECT oid FROM leaver),"
	" l.lanname NOT IN ('c', 'internal') AND p.prosrc ~* '[[:<:]](now|today"
	"|tomorrow|yesterday|current_date|current_time|localtime"
	"|current_timestamp|localtimestamp|transaction_timestamp)[[:>:]]'"
	" FROM pg_catalog.pg_proc p"
	" JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
	" JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
	" WHERE p.oid >= " USER_OID " AND n.nspname !~ '^pg_temp_';"
	/* 2: relations */
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
	/* 3: types that run functions, and whether nobody has to name them */
	"WITH RECURSIVE " TYPES " SELECT y.oid, y.typname, y.oid < " USER_OID
	" AND ("
	" EXISTS (SELECT FROM pg_catalog.pg_cast k"
	"  WHERE k.casttarget = y.oid AND k.oid >= " USER_OID
	"  AND k.castsource < " USER_OID ")"
	" OR EXISTS (SELECT FROM own WHERE own.type = y.oid"
	"  AND own.kind = 'c'))"
	" FROM pg_catalog.pg_type y WHERE y.oid IN (SELECT type FROM reach);"
	/* 4: operators */
	"SELECT o.oid, o.oprname, o.oprcode::pg_catalog.oid,"
	" CASE WHEN p.oid < " USER_OID " THEN p.proname END,"
	" p.provolatile FROM pg_catalog.pg_operator o"
	" JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode"
	" WHERE o.oid >= " USER_OID ";"
	/* 5: what uses what; of built-in objects with their names */
	"WITH RECURSIVE " TYPES ", " TREES ", " NAMES ", " USES
	" SELECT e.above, e.kind || e.below, n.nspname,"
	" COALESCE(p.proname, c.relname), p.provolatile FROM found e"
	" LEFT JOIN pg_catalog.pg_proc p"
	" ON e.kind = 'f' AND p.oid = e.below AND p.oid < " USER_OID
	" LEFT JOIN pg_catalog.pg_class c"
	" ON e.kind = 'r' AND c.oid = e.below AND c.oid < " USER_OID
	" LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE e.kind IN ('f', 'r', 'o')"
	" OR e.below IN (SELECT type FROM reach);"
	/* 6: triggers that leave something behind */
	LEAVERS "SELECT 1 FROM pg_catalog.pg_trigger t"
	" WHERE NOT t.tgisinternal AND t.tgfoid IN (SELECT oid FROM leaver)"
	" LIMIT 1;"
	/* 7: defaults, checks, views and rules that call currval, lastval */
	"SELECT 1 FROM (SELECT adbin::text FROM pg_catalog.pg_attrdef"
	" UNION ALL SELECT conbin::text FROM pg_catalog.pg_constraint"
	"  WHERE conbin IS NOT NULL"
	" UNION ALL SELECT ev_action::text FROM pg_catalog.pg_rewrite"
	"  WHERE ev_class >= " USER_OID ") tree(body)"
	" WHERE body ~ ':funcid (1575|2559) ' LIMIT 1;"
	/* 8: what logins find set: of a role, of all ("") */
	"SELECT coalesce(r.rolname, ''), o.line FROM"
	" pg_catalog.pg_db_role_setting s CROSS JOIN LATERAL"
	" pg_catalog.unnest(s.setconfig) o(line)"
	" LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole"
	" WHERE s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database"
	"  WHERE datname = pg_catalog.current_database()));";

static const char own_text[] =
	/* 9: ... and what every login finds set by the server's own files */
	"SELECT '', name || '=' || setting FROM"
	" pg_catalog.pg_settings WHERE source <> 'user'"
	" AND name IN ('synchronous_commit', 'default_transaction_isolation')"
	" UNION ALL SELECT '', 'late' FROM pg_catalog.pg_settings"
	" WHERE name = 'wal_writer_delay' AND setting::integer > 300;";

const char *catalog_query_common(void)
{
	return common_text;
}

const char *catalog_query_own(void)
{
	return own_text;
}
