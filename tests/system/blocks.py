"""Playing blocks of statements in several ways, and what must be the same of
the answers through pgweir and straight."""
from harness import SLOW, wait_for
from wire import Wire, one_query, query, sync


def wait_for_catalog(cluster, conn, table):
    """Until a read of that table, new to pgweir, runs on the replica."""
    def on_replica():
        tag = cluster.fresh()
        conn.query("SELECT 1 AS %s FROM %s" % (tag, table))
        return cluster.calls(tag)["replica"]
    wait_for(on_replica, what="the catalog")


def said(messages):
    """What must be the same: words of errors, not their places."""
    out = []
    for m in messages:
        if m.type in "EN":
            out.append((m.type, m.sqlstate, m.fields["M"]))
        elif m.type == "D":
            out.append((m.type, tuple(m.values)))
        elif m.type != "T":
            out.append((m.type, m.payload))
    return out


def simple(conn, text):
    return said(conn.query(text))


def extended(conn, text):
    return said(conn.send(one_query(text), sync()).until())


def play(cluster, weir, texts, way):
    """What both say, the primary straight first, text by text."""
    talks = []
    for port in (cluster.ports["primary"], weir.port):
        with Wire(port, timeout=10 * SLOW) as conn:
            conn.login()
            talks.append([(text, way(conn, text)) for text in texts])
        # No level shows what another client has written straight.
        cluster.position()
    return talks


def play_at_once(cluster, weir, texts):
    """The same in one pipeline of both protocols."""
    talks = []
    for port in (cluster.ports["primary"], weir.port):
        with Wire(port, timeout=10 * SLOW) as conn:
            conn.login()
            conn.send(*[part for text in texts for part in
                        ((one_query(text), sync()) if len(text) % 2
                         else (query(text),))])
            talks.append([said(conn.until()) for _ in texts])
        cluster.position()
    return talks
