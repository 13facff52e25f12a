"""P16: nothing leaves the machine unless it is configured."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ANOMALYST = Path(sys.executable).with_name("anomalyst")
DEMO = [str(ANOMALYST), "demo", "--devices", "20", "--days", "6"]


def environment(home: Path) -> dict[str, str]:
    """This machine's, without settings of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANOMALYST_")}
    return {**kept, "ANOMALYST_HOME": str(home), "ANOMALYST_THREADS": "1"}


def cannot_unshare() -> bool:
    """Whether a process without a network cannot be made here."""
    program = shutil.which("unshare")
    return program is None or subprocess.run([program, "-rn", "true"], capture_output=True, check=False).returncode != 0


@pytest.mark.slow
@pytest.mark.skipif(cannot_unshare(), reason="a network namespace cannot be made here (unshare -n)")
def test_the_demo_runs_on_a_machine_without_a_network(tmp_path: Path) -> None:
    """Not even a loopback: nothing is fetched, asked or waited for."""
    done = subprocess.run(
        ["unshare", "-rn", *DEMO], env=environment(tmp_path), capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "incidents" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed (apt-get install strace)")
def test_the_demo_opens_no_connection(tmp_path: Path) -> None:
    """With a network there it is not used either: no thread connects or sends to an internet address."""
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(trace)]
    done = subprocess.run(
        [*strace, *DEMO], env=environment(tmp_path / "home"), capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not re.findall(r".*AF_INET6?\b.*", trace.read_text())
