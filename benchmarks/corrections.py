"""What approvals do to a synthetic fleet in which one cohort has a new normal: `python benchmarks/corrections.py --help`.

A cohort's drain is multiplied from a day on, for good. The anomalies that this alone causes (the fleet without it does not have
them) are benign; true ones lie in the fleet's true trouble, and are found without it too. Verdicts on some of the benign ones
lead to suggestions; each is previewed, approved where the gate lets it, and applied. What then happened is counted against the
truth, and held against what the preview promised.
"""

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from server.app import App
from server.connectors.registry import Connectors
from server.domain.anomaly import Anomaly, AnomalyFilter
from server.domain.feedback import Verdict
from server.domain.identity import Principal
from server.domain.run import Run, SourceSpec
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.errors import GateClosed
from server.settings import Settings

METRIC, DEVICE, TIME = "TotalBatteryLevelDrop", "DeviceId", "Timestamp"
COHORT = ("ModelId", "OsVersionId")
OPERATOR, OTHER, APPROVER = (Principal(name=name) for name in ("operator", "other", "approver"))
GRACE = timedelta(hours=12)


@dataclass(frozen=True)
class NewNormal:
    """The fleet's rows with one cohort changed, and what is known of them."""

    path: Path
    unchanged: Path
    cohort: tuple[str, str]
    since: datetime
    affected: pd.DataFrame

    def mine(self, anomaly: Anomaly) -> bool:
        """Whether it is of the cohort, after its change."""
        return set(self.cohort) <= set(anomaly.cohort) and anomaly.time >= self.since

    def benign(self, anomaly: Anomaly) -> bool:
        """Whether it is of the new normal: of the cohort and its changed metric, and of no true trouble."""
        return self.mine(anomaly) and anomaly.top_metric == METRIC and not self.true(anomaly)

    def true(self, anomaly: Anomaly) -> bool:
        """Whether its device was really in trouble then."""
        own = self.affected[self.affected["device"] == anomaly.device]
        return bool(((own["onset"] <= anomaly.time) & (own["end"] + GRACE >= anomaly.time)).any())


def main() -> None:
    """Print a table of what each approval did, as JSON lines."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--devices", type=int, default=1000)
    asked.add_argument("--days", type=int, default=30)
    asked.add_argument("--seed", type=int, default=11)
    asked.add_argument("--factor", type=float, default=3.0, help="what the cohort's drain is multiplied by")
    asked.add_argument("--verdicts", type=int, default=20)
    asked.add_argument("--wrong", type=float, default=0.0, help="share of the verdicts that are on true anomalies")
    asked.add_argument("--adversary", action="store_true", help="mark a real incident false, which others marked true")
    told = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fleet = made_fleet(Path(folder), told)
        with App(Settings(home=Path(folder) / "home", _env_file=None)) as app:  # pyright: ignore[reportCallIssue]
            usual = {key_of(each) for each in _anomalies(app, walked(app, fleet.unchanged, "usual"))}
            started = time.perf_counter()
            run = walked(app, fleet.path, "changed")
            _say(step="walked", seconds=time.perf_counter() - started, cohort=" ".join(fleet.cohort))
            if told.adversary:
                _adversary(app, run, fleet)
            else:
                _operator(app, run, fleet, usual, told)


def _operator(app: App, run: Run, fleet: NewNormal, usual: set[tuple[str, datetime]], told: argparse.Namespace) -> None:
    """Twenty verdicts, then up to three approvals."""
    before = {each.id: each for each in _anomalies(app, run)}
    benign = {name for name, each in before.items() if fleet.benign(each) and key_of(each) not in usual}
    true = {name for name, each in before.items() if fleet.true(each) and key_of(each) in usual}
    chance = np.random.default_rng(told.seed)
    wrong = round(told.wrong * told.verdicts)
    of_cohort = sorted(name for name in true if fleet.mine(before[name]))
    for name in [*chance.choice(sorted(benign), told.verdicts - wrong, False), *chance.choice(of_cohort, wrong, False)]:
        app.verdicts.record(OPERATOR, Verdict.FALSE_ALARM, anomaly=str(name), note="new scanning app")
    _say(step="judged", anomalies=len(before), benign=len(benign), true=len(true), verdicts=told.verdicts, wrong=wrong)
    for approval in (1, 2, 3):
        suggested = app.corrections.suggest_adjustments(OPERATOR, fleet="changed")
        if not suggested.suggestions:
            _say(step="refused", approval=approval, why=[each.reason for each in suggested.refused])
            return
        suggestion = suggested.suggestions[0].suggestion
        preview = app.corrections.preview(OPERATOR, suggestion.id)
        closed = [finding.detail for finding in preview.gate if not finding.passed]
        try:
            app.corrections.decide(APPROVER, suggestion.id, approved=True, digest=suggestion.digest)
        except GateClosed:
            _say(step="gate closed", approval=approval, why=closed)
            return
        effect = app.corrections.apply(OPERATOR, suggestion.id).effect
        after = {each.id for each in _anomalies(app, run)}
        _say(
            step="applied",
            approval=approval,
            moves={f"{each.group} {each.feature}": round(each.in_scales, 2) for each in suggestion.adjustments},
            benign_gone=len(benign - after) / max(len(benign), 1),
            true_lost=len(true - after) / max(len(true), 1),
            new=len(after - before.keys()) / max(len(before), 1),
            as_promised=(effect.alarms_after, effect.removed, effect.added)
            == (preview.alarms_after, preview.removed, preview.added),
            preview_seconds=preview.seconds,
            refused=[f"{each.feature}: {each.reason}" for each in suggested.refused],
        )


def _adversary(app: App, run: Run, fleet: NewNormal) -> None:
    """One person marks the heaviest real incident false after another marked some of it true."""
    true = [each for each in _anomalies(app, run) if fleet.true(each) and each.incident]
    heaviest = pd.Series([each.incident for each in true]).value_counts().index[0]
    own = [each for each in true if each.incident == heaviest]
    for each in own[:3]:
        app.verdicts.record(OTHER, Verdict.TRUE, anomaly=each.id)
    for each in own[3:]:
        app.verdicts.record(OPERATOR, Verdict.FALSE_ALARM, anomaly=each.id)
    suggested = app.corrections.suggest_adjustments(OPERATOR, fleet="changed")
    _say(step="adversary", marked=len(own) - 3, suggestions=len(suggested.suggestions))
    _say(step="refused", why=[each.reason for each in suggested.refused])
    for standing in suggested.suggestions:
        preview = app.corrections.preview(OPERATOR, standing.suggestion.id)
        _say(step="gate", findings={each.rule: each.passed for each in preview.gate})


def key_of(anomaly: Anomaly) -> tuple[str, datetime]:
    return anomaly.device, anomaly.time


def walked(app: App, path: Path, name: str) -> Run:
    run = app.walk.start(Fleet(name=name), SourceSpec(connector="files", location=str(path)), WalkSettings())
    return app.walk.advance("default", run.id)


def _anomalies(app: App, run: Run) -> list[Anomaly]:
    return list(app.records.anomalies("default", AnomalyFilter(run=run.id), limit=1_000_000)[0])


def made_fleet(folder: Path, told: argparse.Namespace) -> NewNormal:
    source = Connectors().open(
        "synthetic", "demo", {"devices": str(told.devices), "days": str(told.days), "seed": str(told.seed)}
    )
    rows = pa.Table.from_batches(list(source.batches())).to_pandas()
    time_of = pd.to_datetime(rows[TIME], errors="coerce", utc=True)
    cohort = rows.groupby(list(COHORT))[DEVICE].nunique().idxmax()
    since = time_of.dropna().quantile(0.6).floor("D").to_pydatetime()
    changed = (rows[COHORT[0]] == cohort[0]) & (rows[COHORT[1]] == cohort[1]) & (time_of >= since)
    rows.to_parquet(folder / "unchanged.parquet", index=False)
    rows.loc[changed, METRIC] *= told.factor
    rows.to_parquet(folder / "fleet.parquet", index=False)
    truth = source.truth()  # pyright: ignore[reportAttributeAccessIssue] - of synthetic sources only
    return NewNormal(folder / "fleet.parquet", folder / "unchanged.parquet", tuple(cohort), since, truth.affected.to_pandas())


def _say(**told: object) -> None:
    print(json.dumps({name: round(each, 4) if isinstance(each, float) else each for name, each in told.items()}))  # noqa: T201


if __name__ == "__main__":
    main()
