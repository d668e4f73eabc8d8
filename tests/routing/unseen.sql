-- Functions that run where no text names them: casts to json and from rows,
-- comparisons of types, aggregates in frames, types of columns, bodies. Behind
-- fixture.sql, as the application's role.
CREATE TYPE hue AS ENUM ('red');
CREATE TABLE hues (h hue);
INSERT INTO hues VALUES ('red');
CREATE FUNCTION hue_json(hue) RETURNS json LANGUAGE plpgsql AS
$$BEGIN RETURN to_json(fw_swallow(91)); END$$;
CREATE CAST (hue AS json) WITH FUNCTION hue_json(hue);
CREATE TABLE rowy (a int);
INSERT INTO rowy VALUES (1);
CREATE FUNCTION rowy_text(rowy) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(92); END$$;
CREATE CAST (rowy AS text) WITH FUNCTION rowy_text(rowy) AS ASSIGNMENT;
CREATE TABLE domt (a int, b mydomain);
INSERT INTO domt VALUES (1, 2);
CREATE FUNCTION of_column() RETURNS int STABLE LANGUAGE plpgsql AS
$$DECLARE d domt.b%TYPE := 4; BEGIN RETURN d; END$$;
CREATE FUNCTION of_row() RETURNS int STABLE LANGUAGE plpgsql AS
$$DECLARE d domt%ROWTYPE; BEGIN d.b := 4; RETURN d.b; END$$;
CREATE FUNCTION gives_row() RETURNS domt STABLE LANGUAGE sql AS
'SELECT 1, 2::mydomain';
CREATE FUNCTION plus_mov(int, int) RETURNS int STRICT LANGUAGE plpgsql AS
$$BEGIN PERFORM fw_swallow(93); RETURN $1 + $2; END$$;
CREATE AGGREGATE mov(int) (SFUNC = int4pl, STYPE = int, INITCOND = 0,
 MSFUNC = plus_mov, MINVFUNC = int4mi, MSTYPE = int, MINITCOND = 0);
CREATE FUNCTION fin_int(int) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(94); END$$;
CREATE AGGREGATE fin(int) (SFUNC = int4pl, STYPE = int, INITCOND = 0,
 FINALFUNC = fin_int);
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION pair_lt(pair, pair) RETURNS bool IMMUTABLE LANGUAGE sql AS
'SELECT ($1).a < ($2).a';
CREATE FUNCTION pair_le(pair, pair) RETURNS bool IMMUTABLE LANGUAGE sql AS
'SELECT ($1).a <= ($2).a';
CREATE FUNCTION pair_eq(pair, pair) RETURNS bool IMMUTABLE LANGUAGE sql AS
'SELECT ($1).a = ($2).a';
CREATE FUNCTION pair_ge(pair, pair) RETURNS bool IMMUTABLE LANGUAGE sql AS
'SELECT ($1).a >= ($2).a';
CREATE FUNCTION pair_gt(pair, pair) RETURNS bool IMMUTABLE LANGUAGE sql AS
'SELECT ($1).a > ($2).a';
CREATE OPERATOR <<! (LEFTARG = pair, RIGHTARG = pair, FUNCTION = pair_lt);
CREATE OPERATOR <=! (LEFTARG = pair, RIGHTARG = pair, FUNCTION = pair_le);
CREATE OPERATOR ==! (LEFTARG = pair, RIGHTARG = pair, FUNCTION = pair_eq);
CREATE OPERATOR >=! (LEFTARG = pair, RIGHTARG = pair, FUNCTION = pair_ge);
CREATE OPERATOR >>! (LEFTARG = pair, RIGHTARG = pair, FUNCTION = pair_gt);
CREATE FUNCTION pair_cmp(pair, pair) RETURNS int LANGUAGE plpgsql AS
$$BEGIN PERFORM fw_swallow(95); RETURN ($1).a - ($2).a; END$$;
CREATE TABLE pairs (p pair);
INSERT INTO pairs VALUES (ROW(2, 1)), (ROW(1, 1));
CREATE TABLE pol (id int);
INSERT INTO pol VALUES (1);
CREATE POLICY p ON pol USING (EXISTS (SELECT FROM u) OR true);
ALTER TABLE pol ENABLE ROW LEVEL SECURITY;
ALTER TABLE pol FORCE ROW LEVEL SECURITY;
CREATE VIEW v_seqs AS SELECT * FROM pg_sequences;
CREATE VIEW v_settings AS SELECT name FROM pg_settings WHERE name = 'port';
CREATE VIEW v_size AS SELECT pg_relation_size('u') AS s;
CREATE FUNCTION perf() RETURNS int STABLE LANGUAGE plpgsql AS
$$DECLARE n int; BEGIN n := nextval('sq'); RETURN n; EXCEPTION WHEN OTHERS
THEN RETURN -1; END$$;
CREATE FUNCTION quoted() RETURNS text STABLE LANGUAGE plpgsql AS
$$BEGIN RETURN "public"."fw_swallow"(96); END$$;
CREATE FUNCTION at_prep() RETURNS text STABLE LANGUAGE plpgsql AS
$$DECLARE c refcursor; x text; BEGIN OPEN c FOR SELECT fw_swallow(97);
FETCH c INTO x; RETURN x; END$$;
CREATE FUNCTION for_query() RETURNS text STABLE LANGUAGE plpgsql AS
$$DECLARE r record; BEGIN FOR r IN TABLE vw_w LOOP RETURN 'x'; END LOOP;
RETURN 'y'; EXCEPTION WHEN OTHERS THEN RETURN 'z'; END$$;
CREATE FUNCTION copy_cursor() RETURNS text STABLE LANGUAGE plpgsql AS
$$DECLARE c CURSOR FOR SELECT id FROM t WHERE id = 1 FOR UPDATE; BEGIN
OPEN c; RETURN 'locked'; EXCEPTION WHEN OTHERS THEN RETURN 'no'; END$$;
CREATE FUNCTION notifies() RETURNS text STABLE LANGUAGE plpgsql AS
$$BEGIN NOTIFY x; RETURN 'told'; EXCEPTION WHEN OTHERS THEN RETURN 'no';
END$$;
CREATE FUNCTION locks_table() RETURNS text STABLE LANGUAGE plpgsql AS
$$BEGIN LOCK TABLE t IN SHARE MODE; RETURN 'locked'; EXCEPTION WHEN OTHERS
THEN RETURN 'no'; END$$;
CREATE FUNCTION ro() RETURNS text STABLE LANGUAGE sql AS
'SELECT setting FROM pg_settings WHERE name = ''transaction_read_only''';
CREATE PROCEDURE prw() LANGUAGE plpgsql AS
$$BEGIN PERFORM fw_swallow(98); END$$;
CREATE FUNCTION calls_prw() RETURNS text STABLE LANGUAGE plpgsql AS
$$BEGIN CALL prw(); RETURN 'called'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE;
END$$;
CREATE FUNCTION at_attr() RETURNS text STABLE LANGUAGE sql AS
'SELECT t.att FROM t WHERE id = 1';
CREATE FUNCTION txid() RETURNS bigint STABLE LANGUAGE sql AS
'SELECT txid_current()';
CREATE FUNCTION overload(int) RETURNS text IMMUTABLE LANGUAGE sql AS
$$SELECT 'pure'$$;
CREATE FUNCTION overload(numeric) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(99); END$$;
CREATE FUNCTION abs(text) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(89); END$$;
CREATE VIEW v_rowy_text AS SELECT r::text AS x FROM rowy r;
CREATE FUNCTION casts_rowy() RETURNS text STABLE LANGUAGE sql AS
'SELECT r::text FROM rowy r';
