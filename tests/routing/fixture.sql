-- What the tables of cases speak of, made alike in two databases: one behind
-- pgweir, one for the straight answers. As the application's role.
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 1000) g;
CREATE UNLOGGED TABLE u (id int);
CREATE SEQUENCE sq;
SELECT nextval('sq');
CREATE FUNCTION fw(int) RETURNS int LANGUAGE plpgsql AS
$$BEGIN INSERT INTO t VALUES ($1 + 100000, 'x'); RETURN $1; END$$;
CREATE FUNCTION fw_swallow(int) RETURNS text LANGUAGE plpgsql AS
$$BEGIN INSERT INTO t VALUES ($1 + 200000, 'x'); RETURN 'wrote';
  EXCEPTION WHEN OTHERS THEN RETURN 'swallowed ' || SQLSTATE; END$$;
CREATE FUNCTION fw_branch() RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN CASE WHEN pg_is_in_recovery() THEN 'standby'
  ELSE 'primary' END; END$$;
CREATE VIEW vw_w AS SELECT fw(1) AS x;
CREATE FUNCTION ff() RETURNS void LANGUAGE sql AS
$$SELECT pg_advisory_lock(42)$$;

-- What the cases beyond these need.
CREATE TABLE empty (i int);
CREATE TABLE doc (id int, j jsonb, x xml, a int[]);
INSERT INTO doc VALUES (1, '{"a": [1, 2]}', '<r><c>1</c></r>', '{1,2,3}');
CREATE MATERIALIZED VIEW mv AS SELECT id FROM t WHERE id < 5;
CREATE VIEW v_plain AS SELECT id, v FROM t WHERE id < 10;
CREATE VIEW v_nested AS SELECT x FROM vw_w;
CREATE VIEW v_seq AS SELECT last_value FROM sq;
CREATE VIEW v_stat AS SELECT count(*) AS n FROM pg_stat_activity;
CREATE PROCEDURE pr() LANGUAGE plpgsql AS $$BEGIN PERFORM 1; END$$;
CREATE FUNCTION pure(int) RETURNS int LANGUAGE sql IMMUTABLE AS
$$SELECT $1 * 2$$;
CREATE FUNCTION lying(int) RETURNS bigint LANGUAGE sql STABLE AS
$$SELECT nextval('sq')$$;
CREATE FUNCTION op_w(int, int) RETURNS bool LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow($1 + $2) = 'wrote'; END$$;
CREATE OPERATOR <&&> (LEFTARG = int, RIGHTARG = int, FUNCTION = op_w);
CREATE FUNCTION chk(int) RETURNS bool LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow($1) IS NOT NULL; END$$;
CREATE DOMAIN mydomain AS int CHECK (chk(VALUE));
CREATE DOMAIN domain2 AS mydomain;
CREATE TYPE comp AS (a int, b mydomain);
CREATE TYPE comp2 AS (c comp);
CREATE DOMAIN gooddomain AS int CHECK (VALUE > 0);
CREATE FUNCTION att(t) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(7); END$$;
CREATE FUNCTION bad_step(int, int) RETURNS int LANGUAGE plpgsql AS
$$BEGIN RETURN $1 + fw($2 + 50); END$$;
CREATE AGGREGATE bad_sum(int) (SFUNC = bad_step, STYPE = int, INITCOND = 0);
CREATE FUNCTION aaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg()
RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN fw_swallow(8); END$$;
CREATE FUNCTION "Mixed Fn"() RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(9); END$$;
CREATE FUNCTION "schrödinger"() RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(10); END$$;
CREATE SCHEMA tenant1;
CREATE TABLE tenant1.t (id int, v text);
INSERT INTO tenant1.t VALUES (1, 'of the tenant');
CREATE FUNCTION tenant1.reverse(text) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(11); END$$;
CREATE UNLOGGED TABLE tenant1.mixed (id int);
CREATE TABLE mixed (id int);
CREATE SCHEMA "Other";
CREATE TABLE "Other"."Mixed" (id int);
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE parted1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE leaky (id int) PARTITION BY RANGE (id);
CREATE UNLOGGED TABLE leaky1 PARTITION OF leaky FOR VALUES FROM (0) TO (10);
CREATE TABLE parent (id int);
CREATE UNLOGGED TABLE child () INHERITS (parent);
CREATE TABLE serials (id int GENERATED ALWAYS AS IDENTITY, s serial);
CREATE TABLE rls (id int);
INSERT INTO rls VALUES (1);
CREATE POLICY p ON rls USING (fw_swallow(id) IS NOT NULL);
ALTER TABLE rls ENABLE ROW LEVEL SECURITY;
ALTER TABLE rls FORCE ROW LEVEL SECURITY;
CREATE TABLE rls2 (owner text, x int);
INSERT INTO rls2 VALUES ('app', 1), ('other', 2);
CREATE POLICY p2 ON rls2 USING (owner = current_user);
ALTER TABLE rls2 ENABLE ROW LEVEL SECURITY;
ALTER TABLE rls2 FORCE ROW LEVEL SECURITY;
GRANT SELECT ON rls2 TO PUBLIC;
CREATE VIEW v_locking AS SELECT id FROM t WHERE id = 1 FOR UPDATE;
CREATE VIEW v_cast AS SELECT 5::mydomain AS x;
CREATE FUNCTION calls_fw() RETURNS text STABLE LANGUAGE plpgsql AS
$$BEGIN RETURN fw_swallow(12); END$$;
CREATE FUNCTION calls_calls() RETURNS text STABLE LANGUAGE plpgsql AS
$$BEGIN RETURN calls_fw(); END$$;
CREATE FUNCTION reads_sq() RETURNS bigint STABLE LANGUAGE sql AS
$$SELECT last_value FROM sq$$;
CREATE FUNCTION reads_sq_too() RETURNS bigint STABLE LANGUAGE sql
BEGIN ATOMIC SELECT last_value FROM sq; END;
CREATE FUNCTION tells_node() RETURNS bool STABLE LANGUAGE sql AS
$$SELECT inet_server_port() IS NULL$$;
CREATE FUNCTION calls_pure(int) RETURNS int STABLE LANGUAGE sql AS
$$SELECT pure($1)$$;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE FUNCTION mood_int(mood) RETURNS int LANGUAGE plpgsql AS
$$BEGIN PERFORM fw_swallow(13); RETURN 1; END$$;
CREATE CAST (mood AS int) WITH FUNCTION mood_int(mood) AS IMPLICIT;
CREATE TABLE moods (m mood);
INSERT INTO moods VALUES ('ok');
ANALYZE;
