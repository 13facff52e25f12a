"""What keeps a server answering while a run is walked in the same process.

The kernels release the interpreter's lock, but what is between them does not: a thread that works in Python gives it back
only when the switch interval is over, once for each time that an answer on its way waits for it.
"""

import sys
from importlib import import_module
from threading import Thread

SWITCH_SECONDS = 0.001
"""A fifth of the interpreter's own; it costs nothing while no other thread waits."""

_SLOW_TO_LOAD = "server.detectors.hybrid"
"""The default detector brings numba and the kernels; none of it needs scikit-learn, whose import takes a hundred mebibytes."""


def stay_responsive() -> Thread:
    """Set the process up so, and load now what the first training would load in the middle of other people's calls."""
    sys.setswitchinterval(SWITCH_SECONDS)
    # no daemon: an interpreter that ends in the middle of loading a library may not end at all
    loading = Thread(target=import_module, args=(_SLOW_TO_LOAD,), name="load")
    loading.start()
    return loading
