"""The command `export`: scores or anomalies as a file, formulas made harmless in CSV."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from server.cli.options import AsJson, Home, OfFleet, OfRun
from server.cli.runs import newest_scored
from server.cli.session import opened, walk_of
from server.cli.shown import say, say_json
from server.cli.tabular import checked_out, write_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from server.app import App
    from server.domain.anomaly import Anomaly

_PAGE = 5_000


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("export", rich_help_panel="Read")(_export)


def _export(
    what: Annotated[Literal["anomalies", "scores"], typer.Argument(help="Stored anomalies, or the scores of every row.")],
    out: Annotated[Path, typer.Option(help="The file to write, .csv or .parquet.")],
    run: OfRun = None,
    fleet: OfFleet = None,
    json: AsJson = False,
    home: Home = None,
) -> None:
    """Write the anomalies, or the scores of every row, of a run to a file; times are in UTC."""
    checked_out(out)
    with opened(home) as app:
        rows = write_rows(out, _anomalies(app, run, fleet) if what == "anomalies" else _scores(app, run, fleet))
    if json:
        say_json({"out": str(out), "rows": rows})
    else:
        say(f"{out}: {rows:,} {'anomalies' if what == 'anomalies' else 'rows of scores'}")


def _anomalies(app: "App", run: str | None, fleet: str | None) -> "Iterator[pa.RecordBatch]":
    """Pages of stored anomalies, worst first; at least one, if only an empty one."""
    from server.domain.anomaly import AnomalyFilter  # noqa: PLC0415 - `--help` need not wait for it

    if run is not None:
        app.records.run(app.settings.tenant, run)
    done, total = 0, 1
    while done < total:
        found, total = app.records.anomalies(app.settings.tenant, AnomalyFilter(run=run, fleet=fleet), limit=_PAGE, offset=done)
        done += len(found)
        yield _page(found)
        if not found:
            return


def _page(found: "Sequence[Anomaly]") -> "pa.RecordBatch":
    import pyarrow as pa  # noqa: PLC0415 - as above

    moment, text, real, whole = pa.timestamp("us", tz="UTC"), pa.string(), pa.float64(), pa.int64()
    first = [each.contributions[0] if each.contributions else None for each in found]
    columns: dict[str, tuple[list[object], pa.DataType]] = {
        "anomaly": ([each.id for each in found], text),
        "fleet": ([each.fleet.name for each in found], text),
        "run": ([each.run for each in found], text),
        "device": ([each.device for each in found], text),
        "time": ([each.time for each in found], moment),
        "cohort": ([" / ".join(each.cohort) for each in found], text),
        "site": ([each.site for each in found], text),
        "severity": ([each.severity for each in found], real),
        "band": ([each.band.value for each in found], text),
        "score": ([each.score for each in found], real),
        "threshold": ([each.threshold for each in found], real),
        "confidence": ([each.confidence for each in found], real),
        "top_metric": ([each.top_metric for each in found], text),
        "feature": ([one.feature if one else None for one in first], text),
        "value": ([one.value if one else None for one in first], real),
        "typical": ([one.typical if one else None for one in first], real),
        "level": ([one.level.value if one and one.level else None for one in first], text),
        "n": ([one.n if one else None for one in first], whole),
        "incident": ([each.incident for each in found], text),
        "baseline_version": ([each.baseline_version for each in found], whole),
        "detector_version": ([each.detector_version for each in found], whole),
        "fallback": ([each.fallback for each in found], text),
    }
    return pa.RecordBatch.from_pydict({name: pa.array(cells, kind) for name, (cells, kind) in columns.items()})


def _scores(app: "App", run_id: str | None, fleet: str | None) -> "Iterator[pa.RecordBatch]":
    """A run's scores artifact with names for codes; the newest run with scores unless one is named."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    from server.pipeline.parts import row_groups  # noqa: PLC0415 - as above

    run = newest_scored(app, run_id, fleet)
    members = walk_of(app).stages.members(run)
    devices = pa.array(members.devices, pa.string())
    for group in row_groups(walk_of(app).stages.scores(run)):
        for batch in group.to_batches():
            yield pa.RecordBatch.from_pydict(
                {
                    "device": devices.take(batch.column("device")),
                    "time": batch.column("time").cast(pa.timestamp("us", tz="UTC")),
                    **{name: batch.column(name) for name in ("severity", "score", "is_anomaly", "confidence", "top_metric")},
                }
            )
