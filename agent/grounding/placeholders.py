"""Prose whose numbers a model leaves open: it writes `{metrics.0.value}`, and code puts in what was measured."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agent.narration.words import figure
from agent.quoting import plain

_OPEN = re.compile(r"\{([a-z_]+(?:\.[a-z_]+|\.\d+)*)\}")


def filled(prose: str, payload: Mapping[str, Any]) -> str:
    """The prose with each placeholder replaced by the payload's field, numbers with their unit.

    Raises:
        ValueError: a placeholder names no field, or the prose has digits of its own.
    """
    if re.search(r"\d", _OPEN.sub("", prose)):
        raise ValueError("write placeholders such as {metrics.0.value}, no digits")
    return _OPEN.sub(lambda found: _field(found[1], payload), prose)


def _field(path: str, payload: Mapping[str, Any]) -> str:
    around: Any = None
    here: Any = payload
    for part in path.split("."):
        around = here
        if isinstance(here, Mapping) and part in here:
            here = here[part]
        elif isinstance(here, Sequence) and not isinstance(here, str) and part.isdigit() and int(part) < len(here):
            here = here[int(part)]
        else:
            raise ValueError(f"{{{path}}} names no field of the answer")
    if isinstance(here, int | float) and not isinstance(here, bool):
        unit = (
            around.get("unit", "") if isinstance(around, Mapping) and path.endswith(("value", "typical", "day_before")) else ""
        )
        return figure(float(here), unit)
    return plain(here, 100)
