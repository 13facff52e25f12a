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
blocks = [(numpy.ones(2 << 17), numpy.ones(64)) for _ in range(50)]
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
