-- Statement forms of PostgreSQL's grammar that a splitter may take for reads,
-- and reads that it should know. Run by tests/routing/differential, which
-- judges each of them as it does the regression suite, after fixture.sql.
-- Anything that fails on the primary fails alike on the standby.
CREATE SCHEMA hidden;
CREATE FUNCTION hidden.upper(text) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(20); END$$;
CREATE FUNCTION "FW"() RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(21); END$$;
CREATE FUNCTION overl(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION overl(text) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(22); END$$;
CREATE FUNCTION dflt(int DEFAULT 1, text DEFAULT 'x') RETURNS text
LANGUAGE plpgsql AS $$BEGIN RETURN fw_swallow(23); END$$;
CREATE FUNCTION vari(VARIADIC int[]) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(24); END$$;
CREATE FUNCTION named(a int, b int DEFAULT 2) RETURNS text
LANGUAGE plpgsql AS $$BEGIN RETURN fw_swallow(25); END$$;
CREATE FUNCTION srf() RETURNS SETOF t LANGUAGE plpgsql AS
$$BEGIN PERFORM fw_swallow(26); RETURN QUERY SELECT * FROM t LIMIT 2; END$$;
CREATE FUNCTION tabl() RETURNS TABLE (a int, b text) LANGUAGE plpgsql AS
$$BEGIN a := 1; b := fw_swallow(27); RETURN NEXT; END$$;
CREATE FUNCTION outs(OUT a int, OUT b text) LANGUAGE plpgsql AS
$$BEGIN a := 1; b := fw_swallow(28); END$$;
CREATE FUNCTION definer() RETURNS text SECURITY DEFINER LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(29); END$$;
CREATE FUNCTION nodal() RETURNS bool STABLE LANGUAGE sql AS
'SELECT pg_is_in_recovery()';
CREATE FUNCTION nodal2() RETURNS bool STABLE LANGUAGE plpgsql AS
$$BEGIN RETURN current_setting('transaction_read_only')::bool; END$$;
CREATE FUNCTION nodal3() RETURNS bigint STABLE LANGUAGE sql AS
'SELECT last_value FROM sq';
CREATE FUNCTION nodal4() RETURNS bigint STABLE LANGUAGE sql AS
'SELECT count(*) FROM pg_stat_replication';
CREATE FUNCTION nodal5() RETURNS int STABLE LANGUAGE sql AS
'SELECT pg_backend_pid()';
CREATE FUNCTION nodal6() RETURNS bool STABLE LANGUAGE sql
RETURN pg_is_in_recovery();
CREATE FUNCTION nodal7() RETURNS bigint STABLE LANGUAGE sql
BEGIN ATOMIC SELECT last_value FROM sq; END;
CREATE FUNCTION nodal8() RETURNS bigint STABLE LANGUAGE sql AS
'SELECT count(*) FROM pg_locks WHERE pid <> 0 AND mode = ''x''';
CREATE FUNCTION nodal9() RETURNS text STABLE LANGUAGE sql AS
'SELECT inet_server_port()::text';
CREATE FUNCTION nodal10() RETURNS text STABLE LANGUAGE sql AS
'SELECT pg_postmaster_start_time()::text';
CREATE FUNCTION calls_volatile() RETURNS text STABLE LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(30); END$$;
CREATE FUNCTION calls_stable() RETURNS text STABLE LANGUAGE plpgsql AS
$$BEGIN RETURN calls_volatile(); END$$;
CREATE FUNCTION calls_nodal() RETURNS bool STABLE LANGUAGE sql AS
'SELECT nodal()';
CREATE VIEW v_nodal AS SELECT nodal() AS x;
CREATE VIEW v_now AS SELECT pg_is_in_recovery() AS x;
CREATE VIEW v_setting AS SELECT current_setting('in_hot_standby') AS x;
CREATE VIEW v_sub AS SELECT (SELECT fw_swallow(31)) AS x;
CREATE VIEW v_cte AS WITH c AS (SELECT fw_swallow(32) AS x) SELECT * FROM c;
CREATE VIEW v_dom AS SELECT 5::mydomain AS x;
CREATE VIEW v_op AS SELECT 1 <&&> 2 AS x;
CREATE VIEW v_att AS SELECT t.att AS x FROM t WHERE id = 1;
CREATE VIEW v_lock AS SELECT id FROM t WHERE id = 1 FOR UPDATE;
CREATE VIEW v_srf AS SELECT * FROM srf();
CREATE VIEW v_locks AS SELECT count(*) FROM pg_locks WHERE mode = 'x';
CREATE VIEW v_on_unlogged AS SELECT * FROM u;
CREATE VIEW v_v_v AS SELECT * FROM v_on_unlogged;
CREATE VIEW v_rule AS SELECT 1 AS x;
CREATE TABLE gen (a int, b int GENERATED ALWAYS AS (a * 2) STORED);
CREATE TYPE rng AS RANGE (subtype = int4);
CREATE AGGREGATE bad_final(int) (SFUNC = int4pl, STYPE = int, INITCOND = 0,
 FINALFUNC = fw);
CREATE FUNCTION jsonb_swallow(jsonb) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(34); END$$;
CREATE FUNCTION vcode(anyelement) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(35); END$$;
CREATE FUNCTION rec(record) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(36); END$$;
CREATE FUNCTION of_view(v_plain) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(37); END$$;
CREATE FUNCTION "over"(int) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(38); END$$;
CREATE FUNCTION filter(int) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(39); END$$;
CREATE FUNCTION "left"(int) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(40); END$$;
CREATE FUNCTION cube(int) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(41); END$$;
CREATE FUNCTION "operator"(int) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(42); END$$;
CREATE FUNCTION "like"(int, int) RETURNS bool LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(43) IS NULL; END$$;
CREATE FUNCTION lax_like(text, text) RETURNS bool LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(44) IS NULL; END$$;
CREATE OPERATOR @!@ (RIGHTARG = int, FUNCTION = fw);
CREATE OPERATOR - (LEFTARG = text, RIGHTARG = text, FUNCTION = lax_like);
CREATE TABLE listy (k int) PARTITION BY LIST (k);
CREATE FOREIGN TABLE listy1 PARTITION OF listy FOR VALUES IN (1) SERVER far;
CREATE EXTENSION tablefunc;
CREATE FUNCTION dflt_call(int DEFAULT fw(300)) RETURNS int IMMUTABLE
LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION dflt_swallow(text DEFAULT fw_swallow(51)) RETURNS text STABLE
LANGUAGE plpgsql AS $$BEGIN RETURN $1; END$$;
CREATE FUNCTION dflt_nodal(bool DEFAULT pg_is_in_recovery()) RETURNS bool
IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION dflt_view(bigint DEFAULT (SELECT last_value FROM v_seq))
RETURNS bigint STABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION lax_step(bool, int) RETURNS bool STABLE LANGUAGE sql AS
'SELECT pg_is_in_recovery()';
CREATE AGGREGATE nodal_agg(int) (SFUNC = lax_step, STYPE = bool);
CREATE FUNCTION atom3() RETURNS bool STABLE LANGUAGE sql
RETURN pg_is_in_recovery();
CREATE FUNCTION atom2() RETURNS bool STABLE LANGUAGE sql RETURN atom3();
CREATE FUNCTION atom1() RETURNS bool STABLE LANGUAGE sql RETURN atom2();
CREATE FUNCTION calls_atom() RETURNS bool STABLE LANGUAGE sql AS
'SELECT atom1()';
CREATE FUNCTION atom_text() RETURNS bool STABLE LANGUAGE sql
RETURN calls_atom();
CREATE FUNCTION calls_mixed() RETURNS text STABLE LANGUAGE plpgsql AS
$$BEGIN RETURN "Mixed Fn"(); END$$;
CREATE FUNCTION calls_umlaut() RETURNS text STABLE LANGUAGE plpgsql AS
$$BEGIN RETURN "schrödinger"(); END$$;
CREATE FUNCTION calls_unicode() RETURNS text STABLE LANGUAGE plpgsql AS
$$BEGIN RETURN U&"fw\005Fswallow"(60); END$$;
CREATE FUNCTION calls_long() RETURNS text STABLE LANGUAGE plpgsql AS $$BEGIN
RETURN aaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggXYZ();
END$$;
CREATE FUNCTION calls_op() RETURNS bool STABLE LANGUAGE sql AS
'SELECT 1 <&&> 2';
CREATE FUNCTION calls_dom() RETURNS int STABLE LANGUAGE sql AS
'SELECT (5::mydomain)::int';
CREATE FUNCTION has_dom() RETURNS int STABLE LANGUAGE plpgsql AS
$$DECLARE d mydomain := 4; BEGIN RETURN d; END$$;
CREATE FUNCTION calls_view() RETURNS text STABLE LANGUAGE sql AS
'SELECT x FROM v_sub';
CREATE FUNCTION calls_seq_view() RETURNS bigint STABLE LANGUAGE sql AS
'SELECT last_value FROM v_seq';
CREATE FUNCTION calls_rls() RETURNS bigint STABLE LANGUAGE sql AS
'SELECT count(*) FROM rls';
CREATE FUNCTION calls_cast() RETURNS int STABLE LANGUAGE sql AS
$$SELECT 'ok'::mood + 1$$;
CREATE FUNCTION makes_mood() RETURNS mood STABLE LANGUAGE sql AS
$$SELECT 'ok'::mood$$;
CREATE FUNCTION takes_dom(mydomain) RETURNS int IMMUTABLE LANGUAGE sql AS
'SELECT 1';
CREATE FUNCTION takes_doms(VARIADIC mydomain[]) RETURNS int IMMUTABLE
LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION makes_dom() RETURNS mydomain STABLE LANGUAGE plpgsql AS
$$BEGIN RETURN 6; END$$;
CREATE FUNCTION makes_doms() RETURNS TABLE (a mydomain) STABLE LANGUAGE plpgsql
AS $$BEGIN a := 6; RETURN NEXT; END$$;
CREATE TYPE dom_range AS RANGE (subtype = mydomain);
CREATE TABLE dom_table (a int, b mydomain);
INSERT INTO dom_table VALUES (1, 2);
CREATE TABLE mood_rows (r moods, a mood[]);
INSERT INTO mood_rows VALUES (ROW('ok'), '{ok}');
CREATE OPERATOR ### (RIGHTARG = bigint, FUNCTION = pg_try_advisory_xact_lock);
CREATE OPERATOR #### (RIGHTARG = regclass, FUNCTION = nextval);
CREATE FUNCTION in_recovery() RETURNS bool STABLE LANGUAGE internal AS
'pg_is_in_recovery';
CREATE VIEW v_xml_dom AS SELECT * FROM XMLTABLE('/r/c'
 PASSING '<r><c>1</c></r>'::xml COLUMNS c mydomain PATH '.');
CREATE VIEW v_json_dom AS
SELECT * FROM json_to_record('{"b": 2}') AS x(b mydomain);
CREATE VIEW v_populate AS
SELECT (jsonb_populate_record(x, '{"b": 2}')).* FROM dom_table x;
CREATE VIEW v_dflt AS SELECT dflt_call() AS x;
CREATE VIEW v_atom AS SELECT calls_atom() AS x;
CREATE VIEW v_invoker WITH (security_invoker) AS SELECT * FROM rls;
CREATE VIEW v_agg AS SELECT nodal_agg(1) AS x;
CREATE VIEW v_lateral AS SELECT x FROM t, LATERAL fw_swallow(id) x
WHERE id = 1;
CREATE VIEW v_dom_col AS SELECT b FROM dom_table;
-- SELECT
SELECT 1;
SELECT * FROM t WHERE id = 1;
SELECT ALL id FROM t WHERE id = 1;
SELECT DISTINCT ON (id) id, v FROM t WHERE id < 3 ORDER BY id;
SELECT id FROM ONLY t WHERE id = 1;
SELECT id FROM t * WHERE id = 1;
SELECT FROM t WHERE id = 1;
SELECT id INTO newt FROM t;
SELECT id INTO TEMP newt2 FROM t;
SELECT id INTO TABLE newt3 FROM t;
SELECT id INTO UNLOGGED newt4 FROM t;
SELECT id INTO TEMPORARY TABLE newt5 FROM t UNION SELECT 1;
(SELECT id INTO newt6 FROM t);
SELECT 1 UNION SELECT id INTO newt7 FROM t;
WITH a AS (SELECT 1) SELECT * INTO newt8 FROM a;
DROP TABLE IF EXISTS newt, newt2, newt3, newt4, newt5, newt6, newt7, newt8;
DISCARD TEMP;
SELECT id FROM t WHERE id = 1 FOR UPDATE;
SELECT id FROM t WHERE id = 1 FOR NO KEY UPDATE;
SELECT id FROM t WHERE id = 1 FOR SHARE NOWAIT;
SELECT id FROM t WHERE id = 1 FOR KEY SHARE SKIP LOCKED;
SELECT id FROM t WHERE id = 1 FOR UPDATE OF t LIMIT 1;
(SELECT id FROM t WHERE id = 1 FOR UPDATE) UNION ALL (SELECT 2);
SELECT * FROM (((SELECT id FROM t WHERE id = 1 FOR SHARE))) x;
SELECT id FROM t WHERE id = (SELECT id FROM t WHERE id = 1 FOR UPDATE);
SELECT CASE WHEN EXISTS (SELECT 1 FROM t FOR UPDATE) THEN 1 END;
SELECT ARRAY(SELECT id FROM t WHERE id = 1 FOR UPDATE);
VALUES ((SELECT id FROM t WHERE id = 1 FOR UPDATE));
TABLE t ORDER BY id LIMIT 2 FOR UPDATE;
TABLE t ORDER BY id LIMIT 2;
TABLE ONLY t ORDER BY id LIMIT 2;
VALUES (1, 'a'), (2, 'b') ORDER BY 1 OFFSET 1 ROWS FETCH FIRST ROW ONLY;
SELECT 1 UNION ALL SELECT 2 INTERSECT SELECT 2 EXCEPT SELECT 3 ORDER BY 1;
SELECT id FROM t ORDER BY id FETCH FIRST 2 ROWS WITH TIES;
WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < 5)
 SEARCH DEPTH FIRST BY n SET o CYCLE n SET c USING p SELECT n FROM r;
WITH x AS (INSERT INTO empty VALUES (1) RETURNING i) SELECT * FROM x;
WITH x AS (UPDATE t SET v = v WHERE id = 4 RETURNING id) TABLE x;
WITH x AS (DELETE FROM empty RETURNING i) VALUES (1);
WITH x AS (MERGE INTO empty e USING (SELECT 1 AS i) s ON e.i = s.i
 WHEN NOT MATCHED THEN DO NOTHING) SELECT 1;
SELECT * FROM (WITH x AS (DELETE FROM empty RETURNING i) SELECT * FROM x) y;
SELECT (WITH x AS (SELECT fw_swallow(50) AS a) SELECT a FROM x);
WITH a AS NOT MATERIALIZED (SELECT 1 AS x) SELECT * FROM a;
WITH t AS (SELECT 1 AS id) SELECT * FROM t;
WITH u AS (SELECT 1 AS id) SELECT * FROM u;
WITH u AS (SELECT 1 AS id) SELECT * FROM public.u;
WITH u AS (SELECT * FROM u) SELECT * FROM u;
SELECT * FROM (WITH u AS (SELECT 1 AS id) SELECT * FROM u) a, u;
-- calls
SELECT fw(100);
SELECT FW_SWALLOW(101);
SELECT "fw_swallow"(102);
SELECT public.fw_swallow(103);
SELECT "public"."fw_swallow"(104);
SELECT U&"fw_swallow"(105);
SELECT U&"fw\005Fswallow"(106);
SELECT U&"fw!005Fswallow" UESCAPE '!' (107);
SELECT fw_swallow
 -- a comment
 /* another /* nested */ one */ (108);
SELECT "FW"();
SELECT fw();
SELECT upper('a');
SELECT hidden.upper('a');
SELECT pg_catalog.upper('a');
CREATE OPERATOR hidden.~~ (LEFTARG = text, RIGHTARG = text,
 FUNCTION = lax_like);
SET search_path TO hidden, pg_catalog, public;
SELECT upper('a');
SELECT 'a' LIKE 'b';
SELECT 'a' ~~ 'b';
RESET search_path;
SELECT 'a' OPERATOR(hidden.~~) 'b';
DROP OPERATOR hidden.~~ (text, text);
SELECT overl(1);
SELECT overl('x'::text);
SELECT dflt();
SELECT * FROM dflt();
SELECT vari(1, 2, 3);
SELECT vari(VARIADIC ARRAY[1, 2]);
SELECT named(b => 1, a => 2);
SELECT named(a := 2);
SELECT * FROM srf();
SELECT srf();
SELECT (srf()).*;
SELECT * FROM tabl() AS x(p, q);
SELECT * FROM ROWS FROM (tabl(), generate_series(1, 2)) WITH ORDINALITY;
SELECT * FROM outs();
SELECT (outs()).b;
SELECT definer();
SELECT * FROM t, LATERAL fw_swallow(t.id) WHERE t.id = 1;
SELECT * FROM t JOIN LATERAL (SELECT fw_swallow(t.id)) x ON true WHERE id = 1;
SELECT id FROM t WHERE id = 1 AND fw_swallow(1) IS NOT NULL;
SELECT id FROM t ORDER BY fw_swallow(1) LIMIT 1;
SELECT count(*) FROM t GROUP BY fw_swallow(1);
SELECT count(*) FROM t HAVING fw_swallow(1) IS NOT NULL;
SELECT 1 LIMIT fw(160);
SELECT 1 OFFSET length(fw_swallow(1)) - 100;
SELECT count(*) FILTER (WHERE fw_swallow(1) IS NULL) FROM t;
SELECT count(*) OVER (PARTITION BY fw_swallow(1)) FROM t WHERE id = 1;
SELECT count(*) OVER w FROM t WHERE id = 1 WINDOW w AS (ORDER BY fw_swallow(1));
SELECT CASE fw_swallow(1) WHEN 'x' THEN 1 ELSE 2 END;
SELECT COALESCE(NULL, fw_swallow(1)), GREATEST(1, fw(170)), NULLIF(1, fw(171));
SELECT ARRAY[fw(172)], ROW(fw(173)), (ARRAY[1, 2])[fw(1)];
SELECT CAST(fw(174) AS text), fw(175)::text;
SELECT 1 IN (SELECT fw(176)), 1 = ANY (ARRAY[fw(177)]);
SELECT fw(178) IS DISTINCT FROM 1, fw(179) BETWEEN 1 AND 2;
SELECT 1 BETWEEN fw(180) AND 2, NOT fw(181) > 1, fw(182) IS NULL;
SELECT 'x' COLLATE "C", fw_swallow(1) COLLATE "C";
SELECT DISTINCT ON (fw_swallow(1)) 1;
SELECT * FROM generate_series(1, fw(2));
SELECT t.att FROM t WHERE id = 1;
SELECT (t).att FROM t WHERE id = 1;
SELECT (t.*).att FROM t WHERE id = 1;
SELECT att(t) FROM t WHERE id = 1;
SELECT x.att FROM (SELECT t FROM t WHERE id = 1) y, t x WHERE x.id = 1;
SELECT t.vcode FROM t WHERE id = 1;
SELECT (ROW(1)).rec;
SELECT t.rec FROM t WHERE id = 1;
SELECT v_plain.of_view FROM v_plain WHERE id = 1;
SELECT v_plain.att FROM v_plain WHERE id = 1;
SELECT "over"(1);
SELECT over(1);
SELECT filter(1);
SELECT "left"(1);
SELECT left(1);
SELECT left('abc', 2);
SELECT cube(1);
SELECT id FROM t WHERE id < 3 GROUP BY cube(id);
SELECT id FROM t WHERE id < 3 GROUP BY GROUPING SETS ((id), cube(id));
SELECT id FROM t WHERE id < 3 GROUP BY (cube(1)), id;
SELECT operator(1);
SELECT "operator"(1);
SELECT "like"(1, 2);
SELECT 1 <&&> 2;
SELECT 1 OPERATOR(public.<&&>) 2;
SELECT @!@ 1;
SELECT 'a'::text - 'b'::text;
SELECT 3 - 2;
SELECT 1 <&&> ANY (ARRAY[1, 2]);
SELECT id FROM t WHERE id <&&> ALL (SELECT 2) LIMIT 1;
SELECT 5::mydomain;
SELECT CAST(5 AS mydomain);
SELECT mydomain '5';
SELECT 5::public.mydomain, '{1}'::mydomain[];
SELECT '(1,2)'::comp;
SELECT ROW(1, 2)::comp;
SELECT (ROW(1, ROW(1, 2)))::comp2;
SELECT jsonb_populate_record(NULL::comp, '{"a": 1, "b": 2}');
SELECT * FROM json_to_record('{"b": 2}') AS x(b mydomain);
SELECT * FROM jsonb_to_recordset('[{"b": 2}]') AS x(b mydomain);
SELECT * FROM XMLTABLE('/r/c' PASSING '<r><c>1</c></r>'::xml
 COLUMNS c mydomain PATH '.');
SELECT bad_sum(id) FROM t WHERE id < 3;
SELECT bad_final(id) FROM t WHERE id < 3;
SELECT bad_sum(id) OVER (ORDER BY id) FROM t WHERE id < 3;
SELECT 'ok'::mood::int;
SELECT 'ok'::mood + 1;
SELECT int4('ok'::mood);
SELECT '[1,2)'::rng;
SELECT rng(1, 2);
-- what nobody calls by its name
SELECT dflt_call();
SELECT dflt_swallow();
SELECT dflt_nodal();
SELECT dflt_view();
SELECT dflt_call(1);
SELECT nodal_agg(1);
SELECT atom1();
SELECT atom2();
SELECT atom3();
SELECT calls_atom();
SELECT atom_text();
SELECT calls_mixed();
SELECT calls_umlaut();
SELECT calls_unicode();
SELECT calls_long();
SELECT calls_op();
SELECT calls_dom();
SELECT has_dom();
SELECT calls_view();
SELECT calls_seq_view();
SELECT calls_rls();
SELECT calls_cast();
SELECT makes_mood() + 1;
SELECT takes_dom(5);
SELECT takes_doms(5, 6);
SELECT makes_dom();
SELECT * FROM makes_doms();
SELECT dom_range(1, 2);
SELECT '[1,2)'::dom_range;
SELECT '{[1,2)}'::dom_multirange;
SELECT dom_multirange(dom_range(1, 2));
SELECT json_populate_record(x, '{"b": 2}') FROM dom_table x;
SELECT jsonb_populate_record(dom_table, '{"b": 2}') FROM dom_table;
SELECT * FROM dom_table x, json_populate_recordset(x, '[{"b": 2}]') y;
SELECT (r).m + 1 FROM mood_rows;
SELECT a[1] + 1 FROM mood_rows;
SELECT ### 42;
SELECT #### 'sq'::regclass;
SELECT in_recovery();
SELECT * FROM crosstab('SELECT 1, 2, length(fw_swallow(70))') AS x(a int, b int);
SELECT * FROM v_xml_dom;
SELECT * FROM v_json_dom;
SELECT * FROM v_populate;
SELECT * FROM v_dflt;
SELECT * FROM v_atom;
SELECT * FROM v_invoker;
SELECT * FROM v_agg;
SELECT * FROM v_lateral;
SELECT * FROM v_dom_col;
SELECT * FROM dom_table;
SELECT b + 1 FROM dom_table;
SELECT E'a'
'\'; DELETE FROM empty; --';
SELECT E'a' -- x
 '\'; DELETE FROM empty; --';
SELECT 'a'
'\'; DELETE FROM empty; --';
SELECT U&'a'
'\0027; DELETE FROM empty; --';
SELECT $a$a$a$, $A$ $a$ $A$, $ä$ ' $ä$;
SELECT 1 AS "x"/* " */, fw_swallow(71);
SELECT 1 +/* x */ fw_swallow(72)::int;
SELECT 1 @-- x
- 1, fw_swallow(73);
SELECT B'1' 'x', fw_swallow(74);
SELECT "fw_swallow"/**/(75);
SELECT N'a', n'b', nfw_swallow (76);
-- node-local things
SELECT nodal();
SELECT nodal2();
SELECT nodal3();
SELECT nodal4();
SELECT nodal5();
SELECT nodal6();
SELECT nodal7();
SELECT nodal8();
SELECT nodal9();
SELECT nodal10();
SELECT calls_volatile();
SELECT calls_stable();
SELECT calls_nodal();
SELECT * FROM v_nodal;
SELECT * FROM v_now;
SELECT * FROM v_setting;
SELECT * FROM v_sub;
SELECT * FROM v_cte;
SELECT * FROM v_dom;
SELECT * FROM v_op;
SELECT * FROM v_att;
SELECT * FROM v_lock;
SELECT * FROM v_srf;
SELECT * FROM v_locks;
SELECT * FROM v_v_v;
SELECT * FROM v_seq;
SELECT * FROM v_stat;
SELECT * FROM v_nested;
SELECT * FROM v_rule;
SELECT count(*) FROM v_plain;
SELECT * FROM u;
SELECT * FROM leaky;
SELECT * FROM ONLY leaky;
SELECT * FROM parted;
SELECT * FROM parent;
SELECT * FROM listy;
SELECT * FROM rls;
SELECT * FROM ft;
SELECT * FROM sq;
SELECT last_value, is_called FROM public.sq;
SELECT * FROM serials;
SELECT * FROM serials_id_seq;
SELECT * FROM gen;
SELECT * FROM mv;
SELECT * FROM pg_sequences;
SELECT * FROM pg_sequence;
SELECT count(*) FROM pg_stat_activity;
SELECT count(*) FROM pg_catalog.pg_locks;
SELECT count(*) FROM pg_settings WHERE name = 'in_hot_standby';
SELECT setting FROM pg_settings WHERE name = 'transaction_read_only';
SELECT count(*) FROM pg_prepared_statements;
SELECT count(*) FROM pg_cursors;
SELECT count(*) FROM pg_prepared_xacts;
SELECT count(*) FROM pg_replication_slots;
SELECT count(*) FROM pg_stat_user_tables;
SELECT count(*) FROM pg_statio_all_tables;
SELECT count(*) FROM pg_class WHERE relname = 't';
SELECT count(*) FROM information_schema.tables WHERE table_name = 't';
SELECT * FROM information_schema.sequences WHERE sequence_name = 'sq';
SELECT pg_is_in_recovery();
SELECT pg_catalog.pg_is_in_recovery();
SELECT pg_backend_pid();
SELECT inet_server_addr(), inet_server_port(), inet_client_addr();
SELECT version();
SELECT current_setting('in_hot_standby');
SELECT current_setting('transaction_read_only', true);
SELECT set_config('a.b', 'c', false);
SELECT * FROM set_config('a.b', 'c', false);
SELECT pg_current_wal_lsn();
SELECT pg_last_wal_replay_lsn();
SELECT pg_walfile_name('0/0');
SELECT txid_current();
SELECT txid_current_if_assigned();
SELECT pg_current_xact_id();
SELECT pg_current_snapshot();
SELECT txid_current_snapshot();
SELECT txid_status(3);
SELECT xmin, xmax, cmin, ctid, tableoid FROM t WHERE id = 1;
SELECT age(xmin) FROM t WHERE id = 1;
SELECT pg_xact_commit_timestamp(xmin) FROM t WHERE id = 1;
SELECT pg_postmaster_start_time();
SELECT pg_conf_load_time();
SELECT pg_notify('a', 'b');
SELECT pg_listening_channels();
SELECT pg_notification_queue_usage();
SELECT currval('sq');
SELECT lastval();
SELECT nextval('sq'::regclass);
SELECT nextval(('s' || 'q')::regclass);
SELECT setval('sq', 5);
SELECT pg_sequence_last_value('sq');
SELECT pg_get_serial_sequence('serials', 'id');
SELECT lo_create(0);
SELECT lo_from_bytea(0, 'x');
SELECT lo_get(1);
SELECT loread(0, 1);
SELECT lo_open(1, 131072);
SELECT lo_creat(-1);
SELECT pg_try_advisory_xact_lock(1);
SELECT pg_advisory_xact_lock_shared(1, 2);
SELECT pg_export_snapshot();
SELECT query_to_xml('SELECT pg_is_in_recovery()', true, true, '');
SELECT table_to_xml('u', true, true, '');
SELECT cursor_to_xml('c', 1, true, true, '');
SELECT * FROM ts_stat('SELECT to_tsvector(fw_swallow(1))');
SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery');
SELECT dblink('dbname=nowhere', 'SELECT 1');
SELECT pg_read_file('PG_VERSION');
SELECT pg_ls_dir('.');
SELECT count(*) FROM pg_ls_waldir();
SELECT pg_stat_get_numscans('t'::regclass);
SELECT pg_stat_get_backend_pid(1);
SELECT pg_stat_reset();
SELECT pg_relation_filenode('t');
SELECT pg_relation_size('t');
SELECT pg_column_size(1), pg_typeof(1);
SELECT setseed(0.5);
SELECT pg_my_temp_schema();
SELECT has_table_privilege('t', 'select');
SELECT obj_description('t'::regclass);
SELECT to_regclass('u'), 'u'::regclass;
SELECT pg_describe_object('pg_class'::regclass, 't'::regclass, 0) IS NULL;
SELECT pg_get_viewdef('v_plain');
SELECT pg_event_trigger_ddl_commands();
SELECT pg_blocking_pids(1);
SELECT pg_isolation_test_session_is_blocked(1, '{}');
SELECT pg_control_checkpoint();
SELECT pg_switch_wal();
SELECT pg_create_restore_point('x');
SELECT pg_import_system_collations('pg_catalog');
SELECT pg_logical_emit_message(false, 'a', 'b');
SELECT brin_summarize_new_values('t_pkey');
SELECT gin_clean_pending_list('t_pkey');
SELECT pg_extension_config_dump('t', '');
SELECT pg_nextoid('pg_class', 'oid', 'pg_class_oid_index');
SELECT binary_upgrade_set_next_pg_type_oid(1);
-- the grammar's own functions
SELECT EXTRACT(year FROM date '2020-01-01'), OVERLAY('abc' PLACING 'x' FROM 1);
SELECT POSITION('a' IN 'ba'), SUBSTRING('abc' FROM 2 FOR 1), TRIM(BOTH FROM ' a ');
SELECT SUBSTRING('abc' SIMILAR 'a' ESCAPE '\'), NORMALIZE('a', NFC);
SELECT COLLATION FOR ('a'::text), current_user, session_user, user, current_role;
SELECT current_catalog, current_schema, current_date - current_date;
SELECT localtime(0) - localtime(0), localtimestamp - localtimestamp;
SELECT XMLELEMENT(NAME a, XMLATTRIBUTES(1 AS b), XMLFOREST(2 AS c), 'x');
SELECT XMLPARSE(CONTENT '<a/>'), XMLSERIALIZE(CONTENT '<a/>' AS text);
SELECT XMLROOT('<a/>', VERSION '1.0'), XMLEXISTS('/a' PASSING '<a/>');
SELECT xmlconcat('<a/>', '<b/>'), XMLPI(NAME a, 'b'), xmlagg(x) FROM doc;
SELECT (SELECT x FROM doc) IS DOCUMENT;
SELECT * FROM XMLTABLE('/r/c' PASSING (SELECT x FROM doc) COLUMNS c int PATH '.');
SELECT * FROM t TABLESAMPLE system (100) REPEATABLE (1) WHERE id < 3;
SELECT * FROM t TABLESAMPLE bernoulli (fw(100));
SELECT TREAT(1 AS int);
SELECT 1 AS for, 2 AS into, 3 AS update;
SELECT "update", "for" FROM (SELECT 1 AS "update", 2 AS "for") x;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY id) FROM t;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY fw(id)) FROM t WHERE id = 1;
SELECT string_agg(v, ',' ORDER BY id) FROM t WHERE id < 3;
SELECT INTERVAL '1' DAY, TIMESTAMP WITH TIME ZONE '2020-01-01 UTC' AT TIME ZONE 'UTC';
SELECT B'101', X'1f', N'abc', E'\x41', U&'\0041', $$ fw_swallow(1) $$, $a$ ; $a$;
SELECT 'a' 'b';
SELECT 'a'
'b; INSERT INTO t VALUES (1)';
SELECT 1 /* ; INSERT INTO t VALUES (1) */ -- fw_swallow(1)
;
SELECT 'x' AS "a;b", "a""b" FROM (SELECT 1 AS "a""b") x;
SELECT doc.j -> 'a', j ->> 'a', j #> '{a}', j @> '{}', j ? 'a', j @? '$.a' FROM doc;
SELECT a[1], a[1:2], (ARRAY[[1, 2]])[1][2] FROM doc;
SELECT jsonb_path_query(j, '$.a[*]') FROM doc;
SELECT (j).a FROM doc;
SELECT j.jsonb_swallow FROM doc;
SELECT doc.jsonb_swallow FROM doc;
SELECT 1 = ALL (SELECT 1), (1, 2) OVERLAPS (1, 2);
SELECT 1 ISNULL, 1 NOTNULL, 'a' ILIKE 'b' ESCAPE 'c', 'a' SIMILAR TO 'b';
SELECT random() < 2, gen_random_uuid() IS NULL, clock_timestamp() IS NULL;
SELECT pg_sleep(0), now() IS NULL, statement_timestamp() IS NULL;
SELECT x FROM generate_series(1, 3) x CROSS JOIN (VALUES (1)) y NATURAL JOIN (VALUES (2)) z(q);
SELECT * FROM t a LEFT JOIN t b USING (id) WHERE a.id = 1;
SELECT * FROM (t a JOIN t b USING (id)) AS j WHERE id = 1;
SELECT * FROM t AS a (x, y) WHERE x = 1;
SELECT t FROM t WHERE id = 1;
SELECT t.* FROM t WHERE id = 1;
SELECT public.t.id FROM public.t WHERE id = 1;
SELECT * FROM "t" WHERE "id" = 1;
SELECT * FROM U&"t" WHERE id = 1;
SELECT * FROM "Other"."Mixed";
SELECT * FROM tenant1.t;
SELECT * FROM nosuch;
SELECT nosuch();
-- the others
EXPLAIN SELECT 1;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE id = 1;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT fw_swallow(1);
EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) DELETE FROM empty;
EXPLAIN ANALYZE SELECT id FROM t WHERE id = 1 FOR UPDATE;
EXPLAIN (ANALYZE ON, FORMAT json) INSERT INTO empty VALUES (2);
EXPLAIN ANALYZE VERBOSE WITH x AS (DELETE FROM empty RETURNING i) SELECT * FROM x;
EXPLAIN (COSTS OFF) CREATE TABLE newt AS SELECT 1;
EXPLAIN (COSTS OFF) SELECT * INTO newt FROM t;
EXPLAIN ANALYZE CREATE TABLE newt9 AS SELECT 1;
DROP TABLE IF EXISTS newt9;
EXPLAIN (COSTS OFF) DECLARE c CURSOR FOR SELECT id FROM t FOR UPDATE;
EXPLAIN (COSTS OFF) DECLARE c CURSOR FOR SELECT id FROM t;
EXPLAIN (COSTS OFF) UPDATE t SET v = v WHERE id = 4;
EXPLAIN (GENERIC_PLAN) SELECT 1;
EXPLAIN ((SELECT 1));
EXPLAIN (SELECT fw_swallow(1));
COPY t TO STDOUT;
COPY t (id) TO STDOUT WITH (FORMAT csv);
COPY t (id) TO STDIN;
COPY BINARY t TO STDOUT;
COPY u TO STDOUT;
COPY ft TO STDOUT;
COPY (SELECT fw_swallow(1)) TO STDOUT;
COPY (SELECT id FROM t WHERE id = 1) TO STDOUT;
COPY (TABLE t) TO STDOUT;
COPY (VALUES (1)) TO STDOUT CSV HEADER;
COPY (WITH x AS (SELECT 1) SELECT * FROM x) TO STDOUT;
COPY (WITH x AS (DELETE FROM empty RETURNING i) SELECT * FROM x) TO STDOUT;
COPY (INSERT INTO empty VALUES (3) RETURNING i) TO STDOUT;
COPY (UPDATE t SET v = v WHERE id = 4 RETURNING id) TO STDOUT;
COPY (DELETE FROM empty RETURNING i) TO STDOUT;
COPY (SELECT id INTO newt FROM t) TO STDOUT;
COPY (SELECT id FROM t WHERE id = 1 FOR UPDATE) TO STDOUT;
COPY (SELECT 1) TO '/nonexistent/x';
COPY t TO PROGRAM 'false';
PREPARE ins AS INSERT INTO empty VALUES (4);
PREPARE sel AS SELECT id FROM t WHERE id = $1;
EXECUTE ins;
EXECUTE sel(1);
EXPLAIN (COSTS OFF) EXECUTE sel(1);
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE ins;
CREATE TABLE newt AS EXECUTE sel(1);
DROP TABLE newt;
DEALLOCATE ALL;
SHOW transaction_read_only;
SHOW in_hot_standby;
SHOW ALL;
LOCK TABLE t;
DECLARE c CURSOR FOR SELECT 1;
FETCH c;
MOVE c;
CLOSE c;
NOTIFY a;
LISTEN a;
UNLISTEN a;
VACUUM t;
ANALYZE t;
CHECKPOINT;
REINDEX TABLE t;
CALL pr();
DO $$BEGIN PERFORM 1; END$$;
CREATE TABLE IF NOT EXISTS t (id int);
REFRESH MATERIALIZED VIEW mv;
SELECT 1\; SELECT 2;
SELECT 1\; INSERT INTO empty VALUES (5);
SELECT 1\; SELECT fw_swallow(1);
SELECT 1\; SET work_mem = '5MB';
SELECT 1\; BEGIN\; SELECT 2\; COMMIT;
SELECT 1\; LISTEN x;
RESET ALL;
UNLISTEN *;
-- texts that are read in another way
SET standard_conforming_strings = off;
SELECT '\'; DELETE FROM empty; --';
SELECT 'a\\'; SELECT 1;
RESET standard_conforming_strings;
SELECT '\'; SELECT 1;
SELECT U&'\0027', E'\'; DELETE FROM empty; --';
SELECT $x$ '$x$, $1x$;
