"""Changes of the detector's settings: what is asked for, or which way verdicts say that the threshold should go."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import ValidationError

from server.domain.feedback import Feedback, Verdict
from server.domain.settings import DetectorSettings
from server.domain.suggestion import Evidence
from server.errors import InvalidInput

Direction = Literal["fewer", "more"]

_ENOUGH_TO_RATE = 10
_POOR, _GOOD = 0.5, 0.8
"""Share of judged anomalies that are true, below and above which the threshold is clearly too low or may be too high."""
_HIGHEST_CONTAMINATION = 0.5


def changed(now: DetectorSettings, change: Mapping[str, object]) -> DetectorSettings:
    """The settings with the change. Raises `InvalidInput` if the detector cannot have them, or has them already."""
    try:
        then = DetectorSettings.model_validate({**now.model_dump(), **change})
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise InvalidInput(f"the detector cannot have these settings: {told}.") from error
    if then.alerts_per_day is not None and not math.isfinite(then.alerts_per_day):
        raise InvalidInput("an alert budget has to be a finite number of anomalies a day.")
    if then == now:
        raise InvalidInput("the detector has these settings already. Say what is to be different.")
    return then


def difference(now: DetectorSettings, then: DetectorSettings) -> str:
    """The settings that are not the same, each as `name before → after`; one that is not set reads `unset`."""
    pairs = ((name, getattr(now, name), getattr(then, name)) for name in DetectorSettings.model_fields)
    return ", ".join(f"{name} {_shown(before)} → {_shown(after)}" for name, before, after in pairs if before != after)


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={each}" for key, each in value.items()) or "unset"
    return "unset" if value is None else str(value)


def step(now: DetectorSettings, direction: Direction) -> dict[str, object]:
    """Half or twice the alert budget, or the contamination where there is none: fewer anomalies mean less of it."""
    factor = {"fewer": 0.5, "more": 2.0}[direction]
    if now.alerts_per_day is not None:
        return {"alerts_per_day": now.alerts_per_day * factor}
    return {"contamination": min(_HIGHEST_CONTAMINATION, now.contamination * factor)}


def direction_of(given: Sequence[Feedback], asked: Direction | None) -> tuple[Direction | None, Evidence, str]:
    """Which way to go (as asked, else as current verdicts say, None if they do not), what that rests on, and it in words."""
    said = Counter(each.verdict for each in given)
    false, true, missed = said[Verdict.FALSE_ALARM], said[Verdict.TRUE] + said[Verdict.EXPECTED], said[Verdict.MISSED]
    evidence = Evidence(
        verdicts=len(given),
        devices=len({each.device for each in given}),
        authors=tuple(sorted({each.author for each in given})),
    )
    told = f"{false} verdicts say false alarm, {true} say true, {missed} rows were reported missed"
    if asked is not None:
        return asked, evidence, told
    if false + true + missed < _ENOUGH_TO_RATE:
        return None, evidence, f"{told}; at least {_ENOUGH_TO_RATE} are needed to tell a direction. Say `fewer` or `more`."
    if true < _POOR * (false + true):
        return "fewer", evidence, told
    if missed > true + false or (missed and true >= _GOOD * (false + true)):
        return "more", evidence, told
    return None, evidence, f"{told}, which speaks neither for fewer nor for more. Say which."
