"""PostgreSQL's own test suites: fetched from Debian's source package, built.

The package comes from where apt is configured to look; a list of sources of
our own, beside apt's, adds the sources to the packages. The newest version
that can be had is taken: it may be some minor releases behind the server, in
which case a test or two fail straight against it as well.

What is built: regress.so, refint.so and autoinc.so for the server,
libpq_pipeline, and the psql of that very version, as a later one words a few
errors differently. pg_regress and isolationtester are Debian's own, of
postgresql-client-15.
"""
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("CONFORMANCE_CACHE",
                            TOP / "var" / "conformance"))
MAJOR = "15"
PARTS = ("src/test/regress/", "src/test/isolation/", "src/bin/psql/",
         "src/test/modules/libpq_pipeline/", "contrib/spi/",
         "src/interfaces/libpq/", "src/include/")
BUILT = ("regress.so", "refint.so", "autoinc.so", "libpq_pipeline", "psql")


def run(*args, cwd=None):
    done = subprocess.run([str(a) for a in args], cwd=cwd, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(map(str, args[:3])),
                                       done.stdout[-2000:]))
    return done.stdout


def deb_src(text):
    """The sources that belong to the packages of one list of apt's."""
    if re.search(r"^Types:", text, re.M):
        return re.sub(r"^Types:.*$", "Types: deb-src", text, flags=re.M)
    return re.sub(r"^deb(?=\s)", "deb-src", text, flags=re.M)


def apt_options(own):
    """apt's switches for lists of its own below a folder."""
    parts = own / "parts"
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(parents=True)
    (own / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    apt = Path("/etc/apt")
    for path in [apt / "sources.list", *apt.glob("sources.list.d/*")]:
        # Other archives have no postgresql-15, and some are slow.
        if path.is_file() and "debian.org" in path.read_text():
            (parts / path.name).write_text(deb_src(path.read_text()))
    return ["-o", "Dir::Etc::SourceList=/dev/null",
            "-o", "Dir::Etc::SourceParts=%s" % parts,
            "-o", "Dir::State::Lists=%s" % (own / "lists")]


def fetch():
    """The original tarball of the newest version that apt finds."""
    package = "postgresql-" + MAJOR
    options = apt_options(CACHE / "apt")
    run("apt-get", *options, "-q", "update")
    shown = run("apt-cache", *options, "showsrc", package)
    versions = sorted(set(re.findall(r"^Version: (\S+)", shown, re.M)),
                      key=lambda v: [int(n) for n in re.findall(r"\d+", v)])
    problem = "no sources of %s" % package
    for version in reversed(versions):
        try:
            run("apt-get", *options, "-q", "source", "--download-only",
                "%s=%s" % (package, version), cwd=CACHE)
            plain = version.rsplit("-", 1)[0]
            return CACHE / ("%s_%s.orig.tar.bz2" % (package, plain))
        except RuntimeError as error:
            problem = str(error)
    raise RuntimeError(problem)


def unpack(archive, target):
    with tarfile.open(archive) as tar:
        top = tar.next().name.split("/")[0]
        wanted = tuple("%s/%s" % (top, part) for part in PARTS)
        for member in tar:
            if member.isfile() and member.name.startswith(wanted):
                place = target / member.name.split("/", 1)[1]
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(tar.extractfile(member).read())


def pg_config(what):
    return run("/usr/lib/postgresql/%s/bin/pg_config" % MAJOR,
               "--" + what).strip()


def build(source, target):
    """Compiles what the suites need into the folder target."""
    libs, client = pg_config("pkglibdir"), pg_config("includedir")
    server = ["-fPIC", "-shared", "-I", pg_config("includedir-server")]
    program = ["-I", pg_config("includedir-server"), "-I", client,
               "-I", source / "src/interfaces/libpq",
               "-L", Path(libs).parent / "lib"]
    port = ["-lpgfeutils", "-lpq", "-lpgcommon", "-lpgport", "-lm"]
    gcc = ["gcc", "-O1", "-w", "-o"]
    regress = source / "src/test/regress"
    run(*gcc, target / "regress.so", *server, regress / "regress.c")
    for name in ("refint", "autoinc"):
        run(*gcc, target / (name + ".so"), *server, "-DREFINT_VERBOSE",
            source / "contrib/spi" / (name + ".c"))
    pipeline = source / "src/test/modules/libpq_pipeline"
    run(*gcc, target / "libpq_pipeline", pipeline / "libpq_pipeline.c",
        *program, *port)
    psql = source / "src/bin/psql"
    run(*gcc, target / "psql", "-I", psql, *sorted(psql.glob("*.c")),
        *program, *port, "-lreadline")


def ready():
    """The folder of sources and the one of what is built; both cached."""
    source, built = CACHE / "source", CACHE / "built"
    if not all((built / name).exists() for name in BUILT):
        for path in (source, built):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        unpack(fetch(), source)
        build(source, built)
    return source, built
