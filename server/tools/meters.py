"""Counters for Prometheus: calls and their length, walks, the queue, what was found, drift. No names of devices or people."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector

from server.domain.run import Run, Stage
from server.tools.jobs import Job

_CALL_SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
_WALK_SECONDS = (1.0, 5.0, 20.0, 60.0, 300.0, 1200.0)


class Meters:
    """The counters of one server, in a registry of their own."""

    def __init__(self, walks: Callable[[], tuple[int, int]]) -> None:
        own = self._registry = CollectorRegistry()
        self._calls = Counter("anomalyst_calls_total", "Tool calls by how they ended", ["tool", "outcome"], registry=own)
        self._took = Histogram("anomalyst_call_seconds", "Length of tool calls", ["tool"], buckets=_CALL_SECONDS, registry=own)
        self._walks = Counter("anomalyst_walks_total", "Walks by how they ended", ["asked", "outcome"], registry=own)
        self._walked = Histogram("anomalyst_walk_seconds", "Length of walks", ["asked"], buckets=_WALK_SECONDS, registry=own)
        self._anomalies = Gauge(
            "anomalyst_anomalies", "Anomalies of the newest walk that was persisted here", ["fleet"], registry=own
        )
        self._drift = Gauge("anomalyst_drift_psi", "Largest drift index that was last looked at", ["fleet"], registry=own)
        at_work = Gauge("anomalyst_walks_at_work", "Walks under way", registry=own)
        waiting = Gauge("anomalyst_walks_waiting", "Walks that wait for a thread", registry=own)
        at_work.set_function(lambda: float(walks()[0]))
        waiting.set_function(lambda: float(walks()[1]))

    def called(self, tool: str, outcome: str, seconds: float) -> None:
        """Count a call. `tool` has to be the name of one that there is, so that callers cannot make new series."""
        self._calls.labels(tool, outcome).inc()
        self._took.labels(tool).observe(seconds)

    def walked(self, job: Job) -> None:
        """Count a walk that is over."""
        asked = job.asked.partition(" ")[0]
        self._walks.labels(asked, type(job.error).__name__ if job.error else "ok").inc()
        self._walked.labels(asked).observe(job.seconds)

    def found(self, run: Run) -> None:
        """Take note of how many anomalies a run has persisted."""
        record = run.done(Stage.PERSIST)
        if record is not None:
            self._anomalies.labels(run.fleet.name).set(record.rows)

    def drifted(self, fleet: str, psi: float) -> None:
        """Take note of the largest drift index of a fleet."""
        self._drift.labels(fleet).set(psi)

    def also(self, collector: Collector) -> None:
        """Have these told as well."""
        self._registry.register(collector)

    def text(self) -> bytes:
        """All counters in Prometheus' text format."""
        return generate_latest(self._registry)
