"""How a program of ours uses its process: which memory is given back, how often garbage is looked for, which threads run."""

import ctypes
import gc
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""`M_TRIM_THRESHOLD`, `M_MMAP_THRESHOLD` and `M_ARENA_MAX` of glibc's `mallopt`."""
_SPARE, _LARGE = 32 << 20, 4 << 20
_NEW_OBJECTS = 50_000


def give_back_large_blocks() -> bool:
    """Have every block of 4 MiB and more mapped on its own; returns whether the C library can do that.

    A walk makes and drops arrays of tens of MiB on several threads. By default glibc puts ever larger blocks on its heaps, and
    Arrow's own allocator keeps a heap for each thread: both then hold on to about as much as a walk works with. Arrow chooses
    its allocator when it is imported, so this has to come before; where its variable is set already, it stays as it is.

    Smaller blocks stay on one heap for all threads, which keeps up to 32 MiB of what is free at its end: a page that was given
    back has to be made anew, and that costs more than most of what is done in it. With a heap for each thread, what one has
    freed another cannot use. NumPy asks for large pages from 4 MiB on.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt") or not libc.mallopt(_MMAP_THRESHOLD, _LARGE):
        return False
    libc.mallopt(_TRIM_THRESHOLD, _SPARE)
    libc.mallopt(_ARENA_MAX, 1)
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    return True


def settle() -> None:
    """Have less looked for garbage, and no threads for linear algebra; before anything large is imported, and by programs only.

    Python looks for unreachable cycles at every 50,000 new objects and not at every 700: imports and a walk make much that
    lives and little garbage, and looking for it took a tenth of a short command. NumPy's and SciPy's linear algebra gets no
    threads of its own, which wait by spinning: no stage multiplies matrices that would keep them busy.
    """
    gc.set_threshold(_NEW_OBJECTS)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
