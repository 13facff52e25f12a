"""The command `drift`: how far features and scores have moved since the baselines and the detector were made."""

from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.findings import Since, time_of
from server.cli.options import AsJson, Home, Limit, OfFleet, OfRun
from server.cli.runs import newest_scored
from server.cli.session import opened, walk_of
from server.cli.shown import as_json, moment, say, say_json, say_table
from server.errors import InvalidInput

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    import numpy.typing as npt

    from server.app import App
    from server.domain.run import Run

_RECENT_SHARE = 0.25
_DRIFTED = 0.25
_SETTLED = 0.1


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("drift", rich_help_panel="Read")(_drift)


def _drift(
    *,
    run: OfRun = None,
    fleet: OfFleet = None,
    since: Since = None,
    at_least: Annotated[float, typer.Option(min=0, help="Only features with at least this index.")] = _SETTLED,
    limit: Limit = 20,
    json: AsJson = False,
    home: Home = None,
) -> None:
    """Show how far a run's features and scores have moved: rows from --since on (the last quarter) against earlier ones."""
    import numpy as np  # noqa: PLC0415 - `--help` need not wait for it

    from server.pipeline.baselines import RawFallback  # noqa: PLC0415 - as above
    from server.pipeline.drift import feature_drift, score_drift  # noqa: PLC0415 - as above

    with opened(home) as app:
        chosen = newest_scored(app, run, fleet)
        stages = walk_of(app).stages
        table, baselines = stages.feature_table(chosen), stages.baseline_set(chosen)
        if isinstance(baselines, RawFallback):
            raise InvalidInput(f"run {chosen.id} has no baselines to drift from: {baselines.reason}")
        begin = _begin(time_of("--since", since), table.time)
        features = feature_drift(table, baselines, since=begin, threads=app.settings.threads)
        scores = score_drift(_scores(app, chosen)[np.asarray(table.time) >= begin], stages.trained(chosen))
    shown = [one for one in features if one.psi >= at_least]
    start = _moment_of(begin)
    if json:
        page = [as_json(one) for one in shown[:limit]]
        say_json({"run": chosen.id, "since": start, "total": len(shown), "features": page, "scores": as_json(scores)})
        return
    rows = [
        (one.feature, one.level.value, one.group, f"{one.psi:.3f}", f"{one.median_shift:+.2f}", f"{one.n:,}")
        for one in shown[:limit]
    ]
    title = f"Drift of run {chosen.id}: rows from {moment(start)} UTC on against earlier ones"
    say_table(title, ("feature", "level", "group", "PSI", "median shift", "n"), rows, right=("PSI", "median shift", "n"))
    say(
        f"{len(rows):,} of {len(shown):,} shown. PSI below {_SETTLED} is no drift, from {_DRIFTED} on it is (with few rows, "
        "chance alone makes it large); shifts are in scales."
    )
    flagged = f"{100 * scores.share_flagged:.2f} % of rows flagged, {100 * scores.expected_share:.2f} % when calibrated"
    say(f"Scores: PSI {scores.psi:.3f}, {flagged}.")


def _begin(since: "datetime | None", times: "npt.NDArray[np.int64]") -> int:
    """Microseconds from which rows count as recent. Raises `InvalidInput` unless there are rows on both sides."""
    first, last = int(times.min()), int(times.max())
    begin = last - int((last - first) * _RECENT_SHARE) if since is None else int(since.timestamp() * 1e6)
    if not first < begin <= last:
        span = f"{moment(_moment_of(first))} to {moment(_moment_of(last))} UTC"
        raise InvalidInput(f"no rows before or none after that time: they reach from {span}. Set --since between.")
    return begin


def _moment_of(micros: int) -> "datetime":
    from server.storage.moments import moment as moment_of  # noqa: PLC0415 - `--help` need not wait for it

    return moment_of(micros)


def _scores(app: "App", run: "Run") -> "npt.NDArray[np.float64]":
    from server.pipeline.parts import read_columns  # noqa: PLC0415 - as above

    return read_columns(walk_of(app).stages.scores(run), ["score"]).column(0).to_numpy()
