"""What a location and its options mean: the plan that they ask for, or a refusal that names the right spelling."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches

from pydantic import ValidationError

from server.connectors.synthetic.faults import FAULTS
from server.connectors.synthetic.look_alikes import LOOK_ALIKES
from server.connectors.synthetic.plan import PLANS, FleetPlan
from server.errors import InvalidInput


def plan_for(location: str, options: Mapping[str, str]) -> FleetPlan:
    """The named plan with the options' changes.

    Raises:
        InvalidInput: no plan of that name, an option that is not known, or a value that it cannot take.
    """
    name = location.strip().lower() or "demo"
    if name not in PLANS:
        raise InvalidInput(f"no synthetic fleet {location!r}.{_nearest(name, PLANS)} There are {', '.join(PLANS)}.")
    changed: dict[str, object] = {}
    for option, text in options.items():
        if option not in _OPTIONS:
            raise InvalidInput(f"unknown option {option!r}.{_nearest(option, _OPTIONS)} Options are {', '.join(_OPTIONS)}.")
        changed.update(_OPTIONS[option](option, text.strip()))
    try:
        return FleetPlan.model_validate({**PLANS[name].model_dump(), **changed})
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InvalidInput(f"{'.'.join(map(str, wrong['loc'])) or 'plan'}: {wrong['msg']}") from error


def _nearest(wanted: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(wanted, known, n=1, cutoff=0.4)
    return f" Did you mean {near[0]!r}?" if near else ""


def _number(option: str, text: str) -> Mapping[str, object]:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidInput(f"option {option}={text!r} is not a whole number, such as {option}=30")
    return {option: int(text)}


def _switch(option: str, text: str) -> bool:
    if text.lower() not in ("on", "off"):
        raise InvalidInput(f"option {option}={text!r} is neither on nor off")
    return text.lower() == "on"


def _faults(option: str, text: str) -> Mapping[str, object]:
    return {"faults": {kind: fault.share for kind, fault in FAULTS.items()} if _switch(option, text) else {}}


def _look_alikes(option: str, text: str) -> Mapping[str, object]:
    return {"look_alikes": tuple(LOOK_ALIKES) if _switch(option, text) else ()}


def _start(option: str, text: str) -> Mapping[str, object]:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"option {option}={text!r} is not a date, such as {option}=2025-03-03") from error
    return {"start": moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment}


_OPTIONS: Mapping[str, Callable[[str, str], Mapping[str, object]]] = {
    "devices": _number,
    "days": _number,
    "seed": _number,
    "faults": _faults,
    "lookalikes": _look_alikes,
    "start": _start,
}
