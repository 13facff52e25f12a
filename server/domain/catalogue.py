"""The metric catalogue: what is known of metrics by name, built in and from a user's file."""

import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import cast

import yaml
from pydantic import ValidationError

from server.domain.telemetry import HarmfulDirection, Metric, Transform
from server.errors import InvalidInput

_HIGHER, _LOWER = HarmfulDirection.HIGHER, HarmfulDirection.LOWER
_SIZES = {"unit": "KiB", "domain": "usage", "lower": 0, "transform": Transform.LOG1P, "sentinels": (-1.0,)}
_LINK = {"domain": "connectivity", "sentinels": (-1.0,)}

CATALOGUE: tuple[Metric, ...] = tuple(
    Metric.model_validate(entry)
    for entry in (
        # 255 is how firmware of one byte says "no reading"; it lies above the upper bound as well, but the bound can be lifted
        {"name": "TotalBatteryLevelDrop", "unit": "%", "domain": "battery", "harmful": _HIGHER, "lower": 0, "upper": 100}
        | {"sentinels": (-1.0, 255.0)},
        {"name": "TotalFreeStorageKb", "unit": "KiB", "domain": "storage", "harmful": _LOWER, "lower": 0, "sentinels": (-1.0,)},
        {"name": "Download", **_SIZES},
        {"name": "Upload", **_SIZES},
        # spans of time have no upper bound here: how long an interval is, the telemetry decides
        {"name": "OfflineTime", "unit": "s", "harmful": _HIGHER, "lower": 0, **_LINK},
        {"name": "DisconnectCount", "harmful": _HIGHER, "lower": 0, **_LINK},
        {"name": "WiFiSignalStrength", "unit": "dBm", "harmful": _LOWER, "lower": -120, "upper": 0, **_LINK},
        {"name": "ConnectionTime", "unit": "s", "harmful": _LOWER, "lower": 0, **_LINK},
    )
)
"""The eight metrics of a fleet of mobile devices."""


def load_catalogue(path: Path) -> tuple[Metric, ...]:
    """The built-in catalogue, overridden and extended by a file with a table `metrics` of name to fields.

    A field that an entry leaves out keeps its built-in value. TOML (`[metrics.Download]`) or YAML, by suffix.

    Raises:
        InvalidInput: the file cannot be read, or an entry is wrong; the message names the entry and the field.
    """
    known = {metric.name: metric for metric in CATALOGUE}
    for name, fields in _entries(path).items():
        known[name] = _entry(path, name, fields, known.get(name))
    return tuple(known.values())


def metric_named(name: str, catalogue: Sequence[Metric] = CATALOGUE) -> Metric:
    """The catalogue's entry of that name, else one that knows nothing but the name."""
    return next((metric for metric in catalogue if metric.name == name), Metric.model_validate({"name": name}))


def _entries(path: Path) -> Mapping[str, object]:
    content = _content(path)
    tables = cast("Mapping[object, object]", content) if isinstance(content, dict) else {}
    metrics = tables.get("metrics")
    if not isinstance(metrics, dict) or len(tables) > 1:
        raise InvalidInput(f"{path.name}: write one table `metrics` of metric name to fields, such as [metrics.Download].")
    return {str(name): fields for name, fields in cast("Mapping[object, object]", metrics).items()}


def _content(path: Path) -> object:
    try:
        text = path.read_text("utf-8")
        return tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{path.name} is no readable metric catalogue: {error}. Write TOML or YAML in UTF-8.") from error


def _entry(path: Path, name: str, fields: object, known: Metric | None) -> Metric:
    if not isinstance(fields, dict):
        raise InvalidInput(f"{path.name}: metric {name}: {fields!r} is not a table of fields.")
    stated = cast("dict[str, object]", fields)
    for field in stated:
        if field not in Metric.model_fields or field == "name":
            near = get_close_matches(str(field), Metric.model_fields, n=1)
            hint = (
                f"Did you mean {near[0]}?"
                if near
                else f"Fields are {', '.join(f for f in Metric.model_fields if f != 'name')}."
            )
            raise InvalidInput(f"{path.name}: metric {name}: there is no field {field!r}. {hint}")
    base = known.model_dump() if known else {}
    try:
        return Metric.model_validate({**base, **stated, "name": name})
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, wrong["loc"]))
        raise InvalidInput(f"{path.name}: metric {name}: {where + ': ' if where else ''}{wrong['msg']}.") from error
