"""One measurement in a process of its own: `python -m server.bench.child NAME ARGUMENTS`, figures as JSON on the last line."""

import json
import resource
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from server.process import settle

Figures = dict[str, Any]
Program = Callable[[Mapping[str, Any]], Figures]

_PROGRAMS = ("ours", "obvious", "peers", "persisting", "previewing")


class Sections:
    """CPU seconds of the parts of one process, all its threads together."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Generator[None]:
        """Count what happens inside as `name`."""
        begin = time.process_time()
        yield
        self.cpu[name] = self.cpu.get(name, 0.0) + time.process_time() - begin


def peak_mib() -> float:
    """Most memory that this process has held, in MiB.

    Linux hands a parent's peak down to its children in `ru_maxrss`, so the process's own high-water mark is asked for first.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def program(name: str) -> Program:
    """The measured program `module.function` of this package."""
    module, _, function = name.partition(".")
    if module not in _PROGRAMS:
        raise ValueError(f"no measured programs in {module!r}; they are in {', '.join(_PROGRAMS)}")
    found: Program = getattr(import_module(f"server.bench.{module}"), function)
    return found


def main(arguments: list[str]) -> None:
    """Run one program and print its figures with the whole process's CPU seconds, wall seconds and peak."""
    begin = time.perf_counter()
    settle()  # as our command line does; what it spares is no merit of either side's way
    figures = program(arguments[0])(json.loads(arguments[1]))
    spent = resource.getrusage(resource.RUSAGE_SELF)
    whole = {
        "process_cpu": spent.ru_utime + spent.ru_stime,
        "process_wall": time.perf_counter() - begin,
        "process_peak": peak_mib(),
    }
    print(json.dumps(figures | whole))  # noqa: T201 - the figures are this program's output


if __name__ == "__main__":
    main(sys.argv[1:])
