"""What is measured of this server. Each function runs in a process of its own and returns figures."""

import hashlib
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from server.bench.child import Figures, Sections, peak_mib
from server.domain.run import SourceSpec, Stage
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet

_FLEET = Fleet.model_validate({"name": "bench"})


def walk(given: Mapping[str, Any]) -> Figures:
    """The whole walk from a file to persisted anomalies; CPU seconds by stage, and the process's peak after each."""
    from server.app import App  # noqa: PLC0415 - importing is part of what a whole process takes
    from server.bench.readings import settings_at  # noqa: PLC0415 - as above

    sections, peaks = Sections(), dict[str, float]()
    sections.cpu["read"] = 0.0  # the file is read while ingesting
    with App(settings_at(Path(given["home"]))) as app:
        source = SourceSpec(connector="files", location=given["path"])
        with sections.part("imports"):
            import_module("server.storage.telemetry")
            _load_numba()
        run = app.walk.start(_FLEET, source, WalkSettings.model_validate({}))
        for stage in Stage:
            with sections.part(stage.value):
                run = app.walk.run_stage(_FLEET.tenant, run.id, stage)
            peaks[stage.value] = peak_mib()
        record = run.done(Stage.SCORE)
        flagged = record.summary if record else ""
    return {"cpu": sections.cpu, "peaks": peaks, "run": run.id, "summary": flagged}


def _load_numba() -> None:
    """The first call of a kernel makes numba load what it needs: the other side's stages do not count their imports either."""
    from server.kernels.tail import GRID, fill_surprisal  # noqa: PLC0415 - what it takes is counted where it is called

    fill_surprisal(np.zeros(1), GRID, 1.0, np.empty(1))


def forest(given: Mapping[str, Any]) -> Figures:
    """Scores of many rows by the packed form of a fitted forest."""
    from server.bench.forests import fitted, some_rows  # noqa: PLC0415 - scikit-learn
    from server.kernels.forest import pack  # noqa: PLC0415 - as above

    rows = some_rows(given["rows"])
    packed = pack(fitted(), np.arange(rows.shape[1], dtype=np.uint16))
    packed.score(rows[:300])
    sections = Sections()
    with sections.part("score"):
        scores = packed.score(rows)
    return {"cpu": sections.cpu, "digest": hashlib.sha256(scores.tobytes()).hexdigest()}


def one_row(given: Mapping[str, Any]) -> Figures:
    """Readings of the whole fleet, one call each, with attribution where flagged; then in batches of a hundred."""
    from server.bench.readings import next_readings  # noqa: PLC0415 - opens the stores

    scorer, names, times, values = next_readings(Path(given["home"]), given["run"], given["readings"])
    rows = values.tolist()
    half = len(names) // 2
    taken = np.empty(half)
    begin_all = time.process_time()
    for at in range(half):
        begin = time.perf_counter_ns()
        scorer.score_one(names[at], times[at], rows[at])
        taken[at] = time.perf_counter_ns() - begin
    rate = half / (time.process_time() - begin_all)
    begin_all = time.process_time()
    later = np.array(times)
    for at in range(half, len(names), 100):
        scorer.score_batch(names[at : at + 100], later[at : at + 100], values[at : at + 100])
    batched = (len(names) - half) / (time.process_time() - begin_all)
    settled = taken[half // 10 :] / 1000
    return {"p50": float(np.median(settled)), "p99": float(np.quantile(settled, 0.99)), "rate": rate, "batched": batched}


def fit_and_score(given: Mapping[str, Any]) -> Figures:
    """Training the default detector and scoring every row of a matrix of z-scores."""
    from server.bench.forests import design_of, some_rows  # noqa: PLC0415 - scikit-learn
    from server.detectors.hybrid import HybridDetector  # noqa: PLC0415 - as above
    from server.domain.settings import DetectorSettings  # noqa: PLC0415 - as above

    matrix = design_of(some_rows(given["rows"]))
    sample = design_of(some_rows(given["rows"])[:: max(1, given["rows"] // 100_000)])
    HybridDetector().fit(sample, DetectorSettings.model_validate({"n_estimators": 2})).score(sample)
    sections = Sections()
    with sections.part("fit_and_score"):
        HybridDetector().fit(sample, DetectorSettings.model_validate({})).score(matrix)
    return {"cpu": sections.cpu}
