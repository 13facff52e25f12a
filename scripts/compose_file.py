"""docker-compose.yml as `docker compose` would read it: variables filled in, the services of one profile."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

PATH = Path(__file__).parents[1] / "docker-compose.yml"
VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?:(?P<how>:-|:\?)(?P<told>[^}]*))?\}")


class Missing(Exception):
    """A variable that has to be set is not; the message says which, and what to set."""


def services(profile: str, environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The services of the profile, by name. Raises `Missing`, as `docker compose` refuses, whichever service needs it."""
    whole = yaml.safe_load(PATH.read_text("utf-8"))
    filled = _filled(whole["services"], environment)
    return {name: service for name, service in filled.items() if profile in service["profiles"]}


def _filled(part: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(part, dict):
        return {name: _filled(value, environment) for name, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, environment) for value in part]
    return VARIABLE.sub(lambda found: _value(found, environment), part) if isinstance(part, str) else part


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    if found["name"] is None:
        return "$"
    value = environment.get(found["name"], "")
    if not value and found["how"] == ":?":
        raise Missing(f"{found['name']}: {found['told']}")
    return value or found["told"] or ""
