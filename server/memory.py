"""Memory of the whole process: large blocks go back to the system as soon as they are free."""

import ctypes
import os
import sys

_MMAP_THRESHOLD = -3
"""`M_MMAP_THRESHOLD` of glibc's `mallopt`."""
_LARGE = 1 << 20


def give_back_large_blocks() -> bool:
    """Have every block of 1 MiB and more mapped on its own; returns whether the C library can do that.

    A walk makes and drops arrays of tens of MiB on several threads. By default glibc puts ever larger blocks on its heaps, and
    Arrow's own allocator keeps a heap for each thread: both then hold on to about as much as a walk works with. Arrow chooses
    its allocator when it is imported, so this has to come before; where its variable is set already, it stays as it is.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt") or not libc.mallopt(_MMAP_THRESHOLD, _LARGE):
        return False
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    return True
