"""What the documentation names exists, and what exists is named there."""
import re
import shutil
import subprocess
import time

import pytest

from harness import ROOT, SLOW

pytestmark = pytest.mark.own

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# On the page only when there is a certificate.
CONDITIONAL = {"pgweir_tls_certificate_expiry_seconds"}


def read(name):
    return (ROOT / name).read_text()


def blocks(text, language):
    """Fenced blocks of that language, the fences left out."""
    return re.findall(r"^```%s\n(.*?)^```" % language, text, re.M | re.S)


def headings(text):
    """The anchors that a reader of the page can be sent to."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return {re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-")
            for line in re.findall(r"^#+ (.*)$", text, re.M)}


def options(binary):
    """Every key that --help-config knows."""
    text = subprocess.run([binary, "--help-config"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    return set(re.findall(r"^  ([a-z][a-z0-9_]+)\b", text, re.M))


def test_every_metric_is_described(make_weir):
    weir = make_weir()
    with weir.connect() as conn:
        conn.execute("SELECT 1")
    time.sleep(0.3 * SLOW)
    page = weir.http("/metrics")[1]
    there = set(re.findall(r"^# TYPE (\S+)", page, re.M))
    assert len(there) > 80
    described = set(re.findall(
        r"`((?:pgweir|pgbouncer|process)_\w+)[`{]", read("docs/metrics.md")))
    assert there - described == set(), "not in docs/metrics.md"
    unknown = described - there - CONDITIONAL - {"pgbouncer_exporter"}
    assert unknown == set(), "described, but not on the page"


@pytest.mark.parametrize("page", ["docs/routing.md", "docs/metrics.md"])
def test_every_reason_of_routing_is_described(page):
    reasons = re.findall(r'X\(\w+, "(\w+)"\)',
                         read("include/core/route_reason.h"))
    assert len(reasons) > 10
    assert [r for r in reasons if "`%s`" % r not in read(page)] == []


def test_every_command_of_the_console_is_described(make_weir):
    weir = make_weir()
    done = subprocess.run(
        ["psql", "-X", weir.dsn("pgweir", "postgres"), "-c", "SHOW HELP"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=True)
    commands = re.findall(r"^\t([A-Z_]+(?: [A-Z_]+)?)\b", done.stdout, re.M)
    assert len(commands) > 30
    text = read("docs/operations.md")
    missing = [c for c in commands if not re.search(
        r"`%s[ `]" % re.escape(c), text)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), "%s: %s" % (page.name, target)
        if anchor:
            assert anchor in headings(file.read_text()), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_options_that_are_shown_exist(page, binary):
    """Keys of ini blocks, and `key = value` in a sentence."""
    known = options(binary)
    text = page.read_text()
    keys = re.findall(r"`([a-z][a-z0-9_]+) = [^`]*`", text)
    for block in blocks(text, "ini"):
        section = ""
        for line in block.splitlines():
            if line.startswith("["):
                section = line
            elif section == "[pgweir]" and "=" in line:
                keys.append(line.partition("=")[0].strip())
    foreign = {"hot_standby_feedback", "synchronous_commit", "name"}  # PostgreSQL's; any
    assert [k for k in keys if k not in known | foreign] == []


def test_the_six_lines_of_the_readme_are_a_configuration(make_weir, cluster):
    """The very lines start, but for places and passwords."""
    [block] = blocks(read("README.md"), "ini")
    assert len(block.strip().splitlines()) == 6
    weir = make_weir(auth_file={"app": "app"}, start=False)
    text = block.replace("host=pg1,pg2", "host=%s" % ",".join(
        "127.0.0.1:%d" % cluster.ports[n] for n in ("primary", "replica")))
    text = text.replace("/etc/pgweir/users.txt", str(weir.dir / "users.txt"))
    weir.ini.write_text(text + "".join(
        "%s = %s\n" % (key, weir.settings[key]) for key in (
            "listen_port", "stats_port", "unix_socket_dir")))
    weir.start()
    with weir.connect(password="app") as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_alerts_are_valid():
    assert shutil.which("promtool")
    subprocess.run(["promtool", "check", "rules",
                    str(ROOT / "etc" / "alerts.yml")], check=True)


def test_alerts_use_metrics_that_are_described():
    text = read("etc/alerts.yml")
    names = set(re.findall(r"\b(?:pgweir|process)_\w+", text))
    names = {re.sub(r"_(bucket|sum|count)$", "", n) for n in names}
    text = read("docs/metrics.md")
    assert [n for n in names if "`%s`" % n not in text] == []
