"""psycopg2: an HR application with leave records and full-text search.

psycopg2 speaks the simple protocol and opens a transaction around reads.
"""
import threading

import psycopg2
import psycopg2.errors
import psycopg2.extras
import psycopg2.pool
import pytest

pytestmark = pytest.mark.tsan

SCHEMA = """
DROP TABLE IF EXISTS hr_leave, hr_staff, hr_audit;
CREATE TABLE hr_staff (id serial PRIMARY KEY, name text NOT NULL,
    team text NOT NULL, days_left numeric(5, 1) NOT NULL DEFAULT 25);
CREATE TABLE hr_leave (id serial PRIMARY KEY,
    staff int NOT NULL REFERENCES hr_staff, starts date NOT NULL,
    days numeric(4, 1) NOT NULL, reason text NOT NULL,
    search tsvector GENERATED ALWAYS AS
        (to_tsvector('english', reason)) STORED);
CREATE INDEX ON hr_leave USING gin (search);
CREATE TABLE hr_audit (at timestamptz DEFAULT now(), note jsonb);
"""
REASONS = ("family wedding abroad", "moving house", "summer holiday",
           "medical appointment", "wedding of a friend", "study leave")


def migrate(conn):
    with conn, conn.cursor() as cursor:
        cursor.execute(SCHEMA)
        psycopg2.extras.execute_values(
            cursor, "INSERT INTO hr_staff (name, team) VALUES %s",
            [("Person %d" % n, "team %d" % (n % 7)) for n in range(300)])


def take_leave(conn, staff, days, reason):
    """A transaction that takes days and books them, or neither."""
    with conn, conn.cursor() as cursor:
        cursor.execute("UPDATE hr_staff SET days_left = days_left - %s WHERE"
                       " id = %s AND days_left >= %s RETURNING days_left",
                       (days, staff, days))
        row = cursor.fetchone()
        if row is None:
            conn.rollback()
            return None
        cursor.execute("INSERT INTO hr_leave (staff, starts, days, reason)"
                       " VALUES (%s, date '2024-01-01' + %s, %s, %s)",
                       (staff, staff, days, reason))
        cursor.execute("INSERT INTO hr_audit (note) VALUES (%s)",
                       (psycopg2.extras.Json({"staff": staff}),))
        return row[0]


def search(cursor, words):
    cursor.execute(
        "SELECT l.id, s.name, ts_rank(l.search, q) FROM hr_leave l JOIN"
        " hr_staff s ON s.id = l.staff, plainto_tsquery('english', %s) q"
        " WHERE l.search @@ q ORDER BY 3 DESC, 1 LIMIT 25", (words,))
    return cursor.fetchall()


def report(cursor):
    cursor.execute(
        "SELECT team, count(*) AS people, sum(days_left) AS left,"
        " (SELECT sum(days) FROM hr_leave l JOIN hr_staff x ON x.id ="
        " l.staff WHERE x.team = s.team) AS taken FROM hr_staff s GROUP BY"
        " team ORDER BY team")
    return [dict(row) for row in cursor.fetchall()]


def workload(dsn, settle):
    out = {}
    conn = psycopg2.connect(dsn)
    migrate(conn)
    out["taken"] = [take_leave(conn, 1 + n % 300, 1 + n % 9,
                               REASONS[n % len(REASONS)]) for n in range(400)]
    out["refused"] = take_leave(conn, 1, 1000, "sabbatical")
    conn.close()
    settle()
    conn = psycopg2.connect(dsn)
    conn.autocommit = True
    with conn.cursor() as cursor:
        out["search"] = [search(cursor, w) for w in
                         ("wedding", "house", "holidays", "nothing")]
    conn.close()
    conn = psycopg2.connect(
        dsn, cursor_factory=psycopg2.extras.RealDictCursor)
    conn.set_session(readonly=True)
    with conn, conn.cursor() as cursor:
        out["report"] = report(cursor)
        out["again"] = report(cursor)
    with conn, conn.cursor() as cursor:
        with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
            cursor.execute("DELETE FROM hr_audit")
    conn.close()
    return out


def test_leave_and_search(cluster, weir):
    straight = workload(cluster.dsn(), cluster.position)
    before = cluster.calls("hr_")
    through = workload(weir.dsn(), weir.settle)
    after = cluster.calls("hr_")
    assert through == straight
    assert len(straight["search"][0]) == 25
    assert straight["refused"] is None
    assert len(straight["report"]) == 7
    # Four searches and the report twice in its BEGIN READ ONLY.
    assert after["replica"] - before["replica"] >= 6


def test_pool_of_twenty_threads(cluster, weir):
    conn = psycopg2.connect(weir.dsn())
    migrate(conn)
    conn.close()
    pool = psycopg2.pool.ThreadedConnectionPool(5, 20, weir.dsn())
    errors = []

    def user(number):
        try:
            for turn in range(15):
                conn = pool.getconn()
                try:
                    take_leave(conn, 1 + (number * 15 + turn) % 300, 1,
                               REASONS[turn % 6])
                    with conn, conn.cursor() as cursor:
                        search(cursor, "wedding")
                finally:
                    pool.putconn(conn)
        except Exception as error:  # noqa: BLE001 - reported below
            errors.append(error)

    threads = [threading.Thread(target=user, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.closeall()
    assert not errors
    assert cluster.value("SELECT count(*) FROM hr_leave") == 300
    assert cluster.value("SELECT sum(25 - days_left) FROM hr_staff") == 300
    assert cluster.backends("primary") <= 10


def test_ddl_in_a_transaction_rolls_back(cluster, weir):
    conn = psycopg2.connect(weir.dsn())
    with conn.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS hr_new")
        conn.commit()
        cursor.execute("CREATE TABLE hr_new (i int)")
        cursor.execute("INSERT INTO hr_new VALUES (1)")
        conn.rollback()
        with pytest.raises(psycopg2.errors.UndefinedTable):
            cursor.execute("SELECT * FROM hr_new")
    conn.close()


def test_several_statements_in_one_string(cluster, weir):
    conn = psycopg2.connect(weir.dsn())
    conn.autocommit = True
    with conn.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS hr_multi (i int);"
                       " TRUNCATE hr_multi; INSERT INTO hr_multi VALUES (1),"
                       " (2); SELECT sum(i) FROM hr_multi")
        assert cursor.fetchone() == (3,)
        with pytest.raises(psycopg2.errors.DivisionByZero):
            cursor.execute("INSERT INTO hr_multi VALUES (3); SELECT 1 / 0")
        cursor.execute("SELECT count(*) FROM hr_multi")
        assert cursor.fetchone() == (2,)
    conn.close()


def test_named_cursor_and_copy(cluster, weir, tmp_path):
    conn = psycopg2.connect(weir.dsn())
    with conn, conn.cursor("big") as cursor:
        cursor.itersize = 100
        cursor.execute("SELECT g FROM generate_series(1, 1234) g")
        assert [row[0] for row in cursor] == list(range(1, 1235))
    source = tmp_path / "in.csv"
    source.write_text("".join("%d,name %d\n" % (n, n) for n in range(2000)))
    with conn, conn.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS hr_csv (a int, b text);"
                       " TRUNCATE hr_csv")
        with open(source) as stream:
            cursor.copy_expert("COPY hr_csv FROM STDIN CSV", stream)
        target = tmp_path / "out.csv"
        with open(target, "w") as stream:
            cursor.copy_expert("COPY (SELECT * FROM hr_csv ORDER BY a) TO"
                               " STDOUT CSV", stream)
    conn.close()
    assert target.read_text() == source.read_text()
