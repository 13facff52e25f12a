"""How good what is found is, for Prometheus: verdicts, precision, versions in force, how the newest run went, and the disk.

Read from the records whenever somebody asks, so that a restart forgets nothing. Of the server's own tenant only: whoever may
read the counters may not learn the names of another's fleets.
"""

import shutil
import time
from collections.abc import Iterable, Iterator
from threading import Lock

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from server.app import App
from server.domain.feedback import FeedbackFilter, Verdict
from server.domain.run import Run, Stage
from server.domain.suggestion import SuggestionStatus
from server.domain.telemetry import Fleet
from server.errors import AnomalystError

_KEPT_SECONDS = 10.0
_NEWEST = 50


class Quality(Collector):
    """The gauges of one server. A scrape within ten seconds of another gets the same figures."""

    def __init__(self, app: App) -> None:
        self._app, self._lock = app, Lock()
        self._kept: tuple[float, list[GaugeMetricFamily]] | None = None

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """All gauges; where the records do not answer, only the one that says so."""
        with self._lock:
            now = time.monotonic()
            if self._kept is None or now - self._kept[0] > _KEPT_SECONDS:
                self._kept = now, self._looked_at()
            return self._kept[1]

    def _looked_at(self) -> list[GaugeMetricFamily]:
        gauges, home = _Gauges(), self._app.settings.home
        free = shutil.disk_usage(next(each for each in (home, *home.parents) if each.exists())).free
        gauges.add("disk_free_bytes", "Bytes free where the stores are", free)
        answer = 1
        try:
            for fleet in self._app.records.retention.fleets(self._app.settings.tenant):
                self._add(gauges, fleet)
        except AnomalystError:
            answer = 0
        gauges.add("records_answer", "Whether the records can be read", answer)
        return gauges.families

    def _add(self, gauges: "_Gauges", fleet: Fleet) -> None:
        records, name = self._app.records, fleet.name
        verdicts = self._verdicts(fleet)
        for verdict, count in verdicts.items():
            gauges.add("verdicts", "Verdicts that stand", count, fleet=name, verdict=verdict.value)
        for what, share in _shares(verdicts):
            gauges.add(*what, share, fleet=name)
        version, detector = records.baseline_version(fleet), records.detector_version(fleet)
        if version is not None:
            gauges.add("baseline_version", "Number of the baseline version in force", version.version, fleet=name)
        if detector is not None:
            told = {"fleet": name, "detector": detector.detector}
            gauges.add("detector_version", "Number of the newest detector's version", detector.version, **told)
        open_now = records.corrections.suggestions(
            fleet.tenant, now=self._app.clock(), fleet=name, status=SuggestionStatus.PENDING, limit=1
        )
        gauges.add("suggestions_open", "Suggestions that wait for a person", open_now[1], fleet=name)
        for run in records.runs(fleet.tenant, fleet=name, limit=_NEWEST):
            if run.done(Stage.PERSIST):
                _add_run(gauges, run, self._app.clock().timestamp())
                return

    def _verdicts(self, fleet: Fleet) -> dict[Verdict, int]:
        count = self._app.records.corrections.feedback
        return {each: count(fleet.tenant, FeedbackFilter(fleet=fleet.name, verdict=each), limit=1)[1] for each in Verdict}


class _Gauges:
    """Families by name, in the order in which they were first added to."""

    def __init__(self) -> None:
        self._by_name: dict[str, GaugeMetricFamily] = {}

    @property
    def families(self) -> list[GaugeMetricFamily]:
        """All of them."""
        return list(self._by_name.values())

    def add(self, name: str, about: str, value: float, **labels: str) -> None:
        """One more sample."""
        known = self._by_name.setdefault(name, GaugeMetricFamily(f"anomalyst_{name}", about, labels=list(labels)))
        known.add_metric(list(labels.values()), float(value))


def _shares(count: dict[Verdict, int]) -> Iterator[tuple[tuple[str, str], float]]:
    """Of what was judged; nothing where nothing was: a share of no verdicts is no figure."""
    true, false, expected = count[Verdict.TRUE], count[Verdict.FALSE_ALARM], count[Verdict.EXPECTED]
    if true + false:
        yield ("precision", "Share of `true` among the anomalies judged `true` or `false_alarm`"), true / (true + false)
    if true + false + expected:
        yield ("false_alarm_share", "Share of `false_alarm` among the anomalies judged"), false / (true + false + expected)


def _add_run(gauges: _Gauges, run: Run, now: float) -> None:
    """The newest run whose anomalies are shown."""
    name, scored, persisted = run.fleet.name, run.done(Stage.SCORE), run.done(Stage.PERSIST)
    for stage in Stage:
        record = run.done(stage)
        if record is not None:
            seconds = (record.finished - record.started).total_seconds()
            gauges.add("stage_seconds", "Length of a stage of the run that is shown", seconds, fleet=name, stage=stage.value)
    if scored is not None and persisted is not None:
        gauges.add("rows_scored", "Rows of the run that is shown", scored.rows, fleet=name)
        gauges.add("anomalies_shown", "Anomalies of the run that is shown", persisted.rows, fleet=name)
        gauges.add("run_age_seconds", "Seconds since they were persisted", now - persisted.finished.timestamp(), fleet=name)
