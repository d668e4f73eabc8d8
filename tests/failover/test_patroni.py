"""One planned switchover under load: nothing lost, no error where none may be.

How long nobody could write is printed, not judged: that is Patroni's time, on
a machine that does other things as well.
"""
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).with_name("run")


def test_help():
    done = subprocess.run([sys.executable, str(RUN), "--help"], check=True,
                          stdout=subprocess.PIPE, text=True)
    assert "switchover" in done.stdout and "--nodes" in done.stdout


def test_switchover():
    done = subprocess.run(
        [sys.executable, str(RUN), "--rounds", "switchover", "--writers", "4",
         "--readers", "4", "--seconds", "1", "--slack", "60", "--log"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=400, check=False)
    print(done.stdout)
    assert done.returncode == 0
