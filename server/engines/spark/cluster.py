"""A Spark session, and the two ways in which the stages use it: an answer from each part, and answers gathered by key."""

import os
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from shutil import which
from typing import Any, TypeVar

from server.errors import InvalidInput, Unavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Key = TypeVar("Key")

_GATHERED_BYTES = 64 * 1024 * 1024
"""Bytes, about, that one task gathers."""
_DEFAULTS = {
    "spark.app.name": "anomalyst",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
    "spark.python.daemon.module": "server.engines.spark.daemon",
}


class Cluster:
    """Runs work on Spark. The session is made when first needed, on the master and with the options given.

    Raises:
        InvalidInput: PySpark is not installed, or there is no Java for a session of its own.
    """

    def __init__(self, master: str, options: Mapping[str, str]) -> None:
        self._master, self._options = master, options
        self._pyspark = _pyspark()
        self._session: Any = None

    @property
    def session(self) -> Any:
        """The Spark session."""
        # said at every call since pandas 3; nothing here hands Spark a pandas frame
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        # all of a process share one session, which another part of it may have stopped
        if self._session is None or self._session.sparkContext._jsc is None:
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # the workers need the same packages
            builder = self._pyspark.SparkSession.builder.master(self._master)
            for name, value in (_DEFAULTS | dict(self._options)).items():
                builder = builder.config(name, value)
            self._session = builder.getOrCreate()
            self._session.sparkContext.setLogLevel("ERROR")
        return self._session

    def over(self, work: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
        """What `work` makes of each item, in their order: one task an item, tried again where a worker is lost."""
        context = self.session.sparkContext
        with failures_named():
            return context.parallelize(items, max(len(items), 1)).map(work).collect() if items else []

    def by_key(
        self, work: Callable[[Item], Iterable[tuple[Key, Answer]]], items: Sequence[Item], *, keys: int, moved: int
    ) -> "Gathered":
        """What `work` yields of all items, gathered by key, values in the order of the items.

        `keys` is how many keys there are and `moved` how many bytes come under them, about: as many tasks gather them as there
        are cores, or more where they could not hold it all, for each of them costs every part a piece of its own.
        """
        context = self.session.sparkContext
        gathering = min(max(context.defaultParallelism, moved // _GATHERED_BYTES), max(keys, 1))
        numbered = context.parallelize(list(enumerate(items)), max(len(items), 1))
        return Gathered(numbered.flatMap(partial(_keyed, work)).groupByKey(gathering).mapValues(_in_order))

    def close(self) -> None:
        """Stop the session."""
        if self._session is not None:
            self._session.stop()
            self._session = None


@contextmanager
def failures_named() -> Generator[None]:
    """What Spark could not do after all its tries, raised as `Unavailable` with the last thing that it says of it."""
    try:
        yield
    except (import_module("pyspark.errors").PySparkException, import_module("py4j.protocol").Py4JError) as error:
        told = [line.strip() for line in str(error).splitlines() if line.strip() and not line.lstrip().startswith("at ")]
        raise Unavailable(
            f"Spark gave up: {told[-1] if told else type(error).__name__}. See its log, then call again."
        ) from error


class Gathered:
    """Values by key, spread over workers."""

    def __init__(self, pairs: Any) -> None:
        self._pairs = pairs

    def map(self, work: Callable[[Any, list[Any]], Answer]) -> dict[Any, Answer]:
        """What `work` makes of each key and its values."""
        with failures_named():
            return dict(self._pairs.map(partial(_worked, work)).collect())


def _keyed(work: Callable[[Any], Iterable[tuple[Any, Any]]], item: tuple[int, Any]) -> list[tuple[Any, tuple[int, Any]]]:
    return [(key, (item[0], value)) for key, value in work(item[1])]


def _worked(work: Callable[[Any, list[Any]], Answer], pair: tuple[Any, list[Any]]) -> tuple[Any, Answer]:
    return pair[0], work(*pair)


def _in_order(values: Iterable[tuple[int, Answer]]) -> list[Answer]:
    return [value for _, value in sorted(values, key=lambda pair: pair[0])]


def _pyspark() -> Any:
    try:
        found = import_module("pyspark.sql")
    except ImportError as error:
        raise InvalidInput(
            "engine is spark, but PySpark is not installed. Install the extra: pip install 'anomalyst[spark]', or set "
            "ANOMALYST_ENGINE=duckdb."
        ) from error
    if not (which("java") or os.environ.get("JAVA_HOME")):
        raise InvalidInput("engine is spark, but there is no Java. Install Java 17 or later, or set ANOMALYST_ENGINE=duckdb.")
    return found
