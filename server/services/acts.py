"""One act of feedback: what a person said once, of however many rows."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.anomaly import Anomaly
from server.domain.feedback import NOTE_LENGTH, Feedback, Verdict
from server.domain.identity import Principal
from server.domain.run import Run
from server.errors import InvalidInput

_SIGNATURE_METRICS = 5


@dataclass(frozen=True, slots=True)
class Act:
    """A verdict with who said it, when and why; `rule` is the id of the expected rule that came of it."""

    id: str
    verdict: Verdict
    who: Principal
    time: datetime
    note: str = ""
    rule: str = ""

    def on(self, anomaly: Anomaly) -> Feedback:
        """The verdict on an anomaly, with the metrics that recognise the like of it."""
        strongest = anomaly.contributions[:_SIGNATURE_METRICS]
        return Feedback(
            id=self._row_id(anomaly.device, anomaly.time),
            act=self.id,
            fleet=anomaly.fleet,
            run=anomaly.run,
            verdict=self.verdict,
            anomaly=anomaly.id,
            device=anomaly.device,
            time=anomaly.time,
            cohort=anomaly.cohort,
            site=anomaly.site,
            incident=anomaly.incident,
            metrics=tuple(dict.fromkeys(each.metric for each in strongest)),
            signature={each.feature: each.z for each in strongest},
            rule=self.rule,
            note=self.note,
            author=self.who.name,
            channel=self.who.channel,
            created=self.time,
        )

    def on_row(self, run: Run, device: str, time: datetime, metrics: Sequence[str]) -> Feedback:
        """The verdict on a row that was not flagged."""
        return Feedback(
            id=self._row_id(device, time),
            act=self.id,
            fleet=run.fleet,
            run=run.id,
            verdict=self.verdict,
            device=device,
            time=time,
            metrics=tuple(metrics),
            note=self.note,
            author=self.who.name,
            channel=self.who.channel,
            created=self.time,
        )

    def _row_id(self, device: str, time: datetime) -> str:
        return f"f-{hashlib.sha256(f'{self.id}|{device}|{time.isoformat()}'.encode()).hexdigest()[:16]}"


def act_id(who: Principal, request_id: str = "") -> str:
    """The same for a request that is sent again, so that it stores nothing twice; otherwise new."""
    if not request_id:
        return f"act-{secrets.token_hex(6)}"
    return f"act-{hashlib.sha256(f'{who.tenant}|{who.name}|{request_id}'.encode()).hexdigest()[:12]}"


def require_storable(note: str, request_id: str = "") -> None:
    """Return if the texts can be stored. Raises `InvalidInput` for half a character, or a note that is too long."""
    try:
        (note + request_id).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("the note or the request id holds half a character (a lone surrogate). Send it anew.") from error
    if len(note) > NOTE_LENGTH:
        raise InvalidInput(f"the note has {len(note):,} characters; {NOTE_LENGTH:,} are kept. Shorten it.")
