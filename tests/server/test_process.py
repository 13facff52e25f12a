"""Memory that a process is done with goes back to the system."""

import platform
import subprocess
import sys

import pytest

_HELD = """
import server.app
import numpy, pyarrow

def held():
    status = open("/proc/self/status").read()
    return int(status.split("VmRSS:")[1].split()[0]) >> 10

numpy.ones(30 << 17)  # freed at once: glibc's own threshold would now be 30 MiB
before = held()
blocks = [(numpy.ones(5 << 17), numpy.ones(64)) for _ in range(50)]
small = [block[1] for block in blocks]
del blocks
print(pyarrow.default_memory_pool().backend_name, held() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator only is told to")
def test_large_blocks_go_back_to_the_system_as_soon_as_they_are_free() -> None:
    """Even where small ones that lie between them live on; Arrow's allocator is the system's."""
    done = subprocess.run([sys.executable, "-c", _HELD], check=True, capture_output=True, text=True)
    backend, grown = done.stdout.split()
    assert backend == "system"
    assert int(grown) < 25


_SETTLED = """
import gc, os
from server.process import settle

settle()
import numpy

threads = [line for line in open("/proc/self/status") if line.startswith("Threads:")]
print(gc.get_threshold()[0], threads[0].split()[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are counted as Linux shows them")
def test_a_settled_program_waits_for_nothing_by_spinning() -> None:
    """Linear algebra starts no threads of its own, and garbage is looked for rarely."""
    done = subprocess.run([sys.executable, "-c", _SETTLED], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["50000", "1"]
