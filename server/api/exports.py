"""Anomalies and incidents as CSV, with no cell that a spreadsheet would run."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from server.api.anomalies import MinSeverity
from server.api.door import Parts, Reader
from server.api.fields import OfDevice, OfFleet, OfIncident, OfMetric, OfRun, Since, Until
from server.domain.answers.anomalies import AnomalyCard, AnomalyPage
from server.domain.answers.incidents import IncidentCard, IncidentPage
from server.spreadsheets import FORMULA

router = APIRouter(prefix="/exports", tags=["exports"])
_PAGE = 500
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
Pages = Callable[[str | None, int], AnomalyPage | IncidentPage]


@router.get("/anomalies.csv", response_class=StreamingResponse, responses=_CSV)
def export_anomalies(  # noqa: PLR0913 - each is a parameter of the query
    app: Parts,
    who: Reader,
    *,
    fleet: OfFleet = None,
    run: OfRun = None,
    device: OfDevice = None,
    incident: OfIncident = None,
    metric: OfMetric = None,
    min_severity: MinSeverity = 0.0,
    since: Since = None,
    until: Until = None,
) -> StreamingResponse:
    """All anomalies that the filter lets pass, worst first; times are in UTC."""

    def page(of_run: str | None, offset: int) -> AnomalyPage:
        return app.questions.list_anomalies(
            who,
            fleet=fleet,
            run=of_run,
            device=device,
            incident=incident,
            metric=metric,
            min_severity=min_severity,
            since=since,
            until=until,
            limit=_PAGE,
            offset=offset,
        )

    return _streamed("anomalies", tuple(AnomalyCard.model_fields), page, run)


@router.get("/incidents.csv", response_class=StreamingResponse, responses=_CSV)
def export_incidents(app: Parts, who: Reader, fleet: OfFleet = None, run: OfRun = None) -> StreamingResponse:
    """All incidents, muted ones too, heaviest first; times are in UTC."""

    def page(of_run: str | None, offset: int) -> IncidentPage:
        return app.questions.list_incidents(who, fleet=fleet, run=of_run, include_muted=True, limit=_PAGE, offset=offset)

    return _streamed("incidents", tuple(IncidentCard.model_fields), page, run)


def _streamed(name: str, columns: Sequence[str], page: Pages, run: str | None) -> StreamingResponse:
    """The pages as one file. All are of the run of the first, which is read before the answer begins, so that it can refuse."""
    first = page(run, 0)

    def lines() -> Iterator[str]:
        yield _line(columns)
        shown, read = first, 0
        while True:
            rows = shown.anomalies if isinstance(shown, AnomalyPage) else shown.incidents
            yield "".join(_line([_cell(getattr(row, column)) for column in columns]) for row in rows)
            read += len(rows)
            if not rows or not shown.truncated:
                return
            shown = page(first.run, read)

    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


def _line(cells: Sequence[object]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return harmless("; ".join(map(str, value)))
    if isinstance(value, dict):
        return harmless("; ".join(f"{key}={each}" for key, each in value.items()))
    return harmless(value) if isinstance(value, str) else value


def harmless(text: str) -> str:
    """The text, with an apostrophe in front if it begins like a formula."""
    return f"'{text}" if re.match(FORMULA, text) else text
