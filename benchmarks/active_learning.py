"""What active learning does with the same verdicts: coniferest's Active Anomaly Discovery beside `benchmarks/corrections.py`.

Needs `coniferest`, which is no dependency: `pip install coniferest`. The same fleet, the same design matrix and the same twenty
verdicts on benign anomalies; the forest relearns its leaf weights from them (Das et al. 2017) and flags as many rows as before.
Told nothing but false alarms it has little to hold on to, so it is also told as many true ones, which our side never sees.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from corrections import NewNormal, key_of, made_fleet, walked

from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.pipeline.displacement import microseconds
from server.pipeline.normalize import normalize
from server.settings import Settings

try:
    from coniferest.aadforest import AADForest
    from coniferest.label import Label
except ImportError:
    sys.exit("this comparison needs coniferest: pip install coniferest")


def main() -> None:
    """Print benign anomalies gone and true ones lost, as one JSON line."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--devices", type=int, default=300)
    asked.add_argument("--days", type=int, default=30)
    asked.add_argument("--seed", type=int, default=11)
    asked.add_argument("--factor", type=float, default=3.0)
    asked.add_argument("--verdicts", type=int, default=20)
    told = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fleet = made_fleet(Path(folder), told)
        with App(Settings(home=Path(folder) / "home", _env_file=None)) as app:  # pyright: ignore[reportCallIssue]
            compare(app, fleet, told)


def compare(app: App, fleet: NewNormal, told: argparse.Namespace) -> None:
    """Train without and with verdicts on the same rows, and count what the verdicts changed."""
    usual = {key_of(each) for each in _anomalies(app, walked(app, fleet.unchanged, "usual").id)}
    run = walked(app, fleet.path, "changed")
    stages = app.walk.stages
    matrices = list(normalize(stages.feature_table(run).blocks(), stages.baseline_set(run)))
    z = np.nan_to_num(np.concatenate([matrix.z for matrix in matrices]).astype(np.float64))
    device = np.concatenate([matrix.device for matrix in matrices])
    time = np.concatenate([matrix.time for matrix in matrices])
    names = stages.members(run).devices
    place = {(names[code], at): row for row, (code, at) in enumerate(zip(device.tolist(), time.tolist(), strict=True))}
    found = _anomalies(app, run.id)
    row_of = {each.id: place[each.device, microseconds(each.time)] for each in found}
    benign = [row_of[each.id] for each in found if fleet.benign(each) and key_of(each) not in usual]
    true = [row_of[each.id] for each in found if fleet.true(each) and key_of(each) in usual]
    judged = np.random.default_rng(told.seed).choice(np.sort(benign), told.verdicts, replace=False)
    helped = np.random.default_rng(told.seed).choice(np.sort(true), told.verdicts, replace=False)
    regular, anomalous = (np.full(told.verdicts, label) for label in (Label.REGULAR, Label.ANOMALY))
    before = flagged(z, np.empty(0, np.int64), regular[:0], len(found))
    for name, rows, labels in (
        ("false alarms only", judged, regular),
        ("and as many true", np.concatenate([judged, helped]), np.concatenate([regular, anomalous])),
    ):
        after = flagged(z, rows, labels, len(found))
        gone, lost = (len(before & set(which) - after) / max(len(before & set(which)), 1) for which in (benign, true))
        say(told=name, benign_gone=round(gone, 4), true_lost=round(lost, 4), new=round(len(after - before) / len(found), 4))


def flagged(z: np.ndarray, known: np.ndarray, labels: np.ndarray, count: int) -> set[int]:
    """The rows that the forest finds most abnormal, so many of them."""
    forest = AADForest(n_trees=300, n_subsamples=256, random_seed=42)
    forest.fit_known(z, known_data=z[known], known_labels=labels) if len(known) else forest.fit(z)
    return set(np.argsort(forest.score_samples(z))[:count].tolist())


def say(**told: object) -> None:
    """Print one JSON line."""
    print(json.dumps(told))  # noqa: T201 - a script speaks by printing


def _anomalies(app: App, run: str) -> list:
    return list(app.records.anomalies("default", AnomalyFilter(run=run), limit=1_000_000)[0])


if __name__ == "__main__":
    main()
