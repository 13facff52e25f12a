"""Which column plays which role: told by options, else by well-known names, else by type.

Annotations of what was wrong (labels, change points, failed parts) are answers, not telemetry: unless an option names them
as metrics, they are left out, so that nothing learns from them.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from enum import StrEnum

from server.domain.telemetry import ColumnMapping
from server.errors import InvalidInput


class ColumnType(StrEnum):
    """What a column's cells can be read as."""

    NUMBER = "number"
    TIME = "time"
    TEXT = "text"


KNOWN_NAMES: Mapping[str, tuple[str, ...]] = {
    "device": (
        "deviceid", "device", "deviceserial", "machineid", "machine", "hostid", "hostname", "host", "serialnumber", "serialno",
        "serial", "assetid", "asset", "sensorid", "nodeid", "node", "unitid", "unit", "instanceid", "instance", "imei",
    ),
    "time": (
        "timestamp", "eventtime", "eventtimestamp", "datetime", "time", "ts", "timestamputc", "datetimeutc", "timeutc",
        "recordedat", "measuredat", "observedat", "date",
    ),
    "arrival": (
        "arrivaltime", "arrival", "arrivaltimestamp", "arrivedat", "receivedat", "receivedtime", "ingestedat", "ingesttime",
    ),
    "store": ("storeid", "store", "siteid", "site", "locationid"),
    "customer": ("customerid", "customer", "accountid", "clientid"),
    "split": ("split",),
}  # fmt: skip
_COHORT = (
    "manufacturerid", "manufacturer", "brand", "modelid", "model", "devicemodel", "osversionid", "osversion", "firmwareversion",
    "cohort",
)  # fmt: skip
_ANSWERS = re.compile(
    r"(is)?anomal(y|ous).*|labels?|label(type|id|s)?|.*anomalylabel|groundtruth|target|changepoints?|(is)?outlier|(is)?fault(y|id)?"
    r"|failure(comp|s|type)?|(is)?failure|attack|normalattack|rul"
)
_NUMBERING = re.compile(r"|index|id|row|rowid|rownumber|unnamed\d*")
_SINGLE = ("device", "time", "arrival", "store", "customer", "split")
_SEVERAL = ("cohort", "metrics", "ignore")
OPTIONS = (*_SINGLE, *_SEVERAL, "device_name")
CONSTANT_DEVICE = "device_name"


def check_options(options: Mapping[str, str]) -> None:
    """Return if every option is known. Raises `InvalidInput` naming the nearest right one."""
    for name in options:
        if name not in OPTIONS:
            near = get_close_matches(name, OPTIONS, n=1)
            hint = f"Did you mean {near[0]}=?" if near else f"The options are {', '.join(OPTIONS)}."
            raise InvalidInput(f"there is no option {name!r}. {hint}")
    if "device" in options and CONSTANT_DEVICE in options:
        raise InvalidInput("device= names a column and device_name= stands in for one: give only one of them.")


def detect_mapping(columns: Mapping[str, ColumnType], options: Mapping[str, str]) -> ColumnMapping:
    """The role of every column; options win over names, names over types.

    Raises:
        InvalidInput: an option names no column or one twice, or no column can be the device or the time.
    """
    check_options(options)
    told = _told(columns, options)
    taken = {name for names in told.values() for name in names}
    free = {name: kind for name, kind in columns.items() if name not in taken}
    roles = {role: told[role][0] if role in told else _by_name(role, free) for role in _SINGLE}
    if CONSTANT_DEVICE in options:
        roles["device"] = CONSTANT_DEVICE
    device = roles["device"] or _refuse("device", columns)
    time = roles["time"] or _only_time(free) or _refuse("time", columns)
    used = {name for name in (device, time, *roles.values()) if name}
    rest = {name: kind for name, kind in free.items() if name not in used}
    cohort = told.get("cohort") or tuple(name for name in rest if _bare(name) in _COHORT)
    metrics = told.get("metrics") or tuple(name for name in rest if name not in cohort and _is_metric(name, rest[name]))
    mapped = {*used, *cohort, *metrics}
    return ColumnMapping(
        device=device,
        time=time,
        arrival=roles["arrival"],
        cohort=cohort,
        store=roles["store"],
        customer=roles["customer"],
        split=roles["split"],
        metrics=metrics,
        ignored=tuple(name for name in columns if name not in mapped),
    )


def _told(columns: Mapping[str, ColumnType], options: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    told = {role: (options[role],) for role in _SINGLE if role in options}
    told |= {role: tuple(_split(options[role])) for role in _SEVERAL if role in options}
    seen: dict[str, str] = {}
    for role, names in told.items():
        for name in names:
            if name not in columns:
                near = get_close_matches(name, list(columns), n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise InvalidInput(f"{role}={name}: there is no such column.{hint} Columns: {_listed(columns)}.")
            if name in seen:
                raise InvalidInput(f"column {name!r} is given as {seen[name]}= and as {role}=: a column has one role.")
            seen[name] = role
    return told


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _by_name(role: str, columns: Mapping[str, ColumnType]) -> str | None:
    """The column whose name stands first in the role's list."""
    bare = {_bare(name): name for name in reversed(list(columns))}
    return next((bare[known] for known in KNOWN_NAMES[role] if known in bare), None)


def _only_time(columns: Mapping[str, ColumnType]) -> str | None:
    times = [name for name, kind in columns.items() if kind is ColumnType.TIME and _bare(name) not in KNOWN_NAMES["arrival"]]
    return times[0] if len(times) == 1 else None


def _is_metric(name: str, kind: ColumnType) -> bool:
    bare = _bare(name)
    is_answer = _ANSWERS.fullmatch(bare) is not None
    is_numbering = name.isascii() and _NUMBERING.fullmatch(bare) is not None
    return kind is ColumnType.NUMBER and not is_answer and not is_numbering


def _refuse(role: str, columns: Mapping[str, ColumnType]) -> str:
    advice = f"Say which with {role}=<column>"
    if role == "device":
        advice += ", or, if all rows are of one device, name it with device_name=<name>"
    times = [name for name, kind in columns.items() if kind is ColumnType.TIME]
    several = f" Several columns hold times: {', '.join(times)}." if role == "time" and len(times) > 1 else ""
    raise InvalidInput(f"no column is known to be the {role}.{several} {advice}. Columns: {_listed(columns)}.")


def _listed(columns: Mapping[str, ColumnType], most: int = 20) -> str:
    names = list(columns)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
