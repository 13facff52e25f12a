"""Explanations that were written, one file each: reused while payload, reader, model and prompt are the same."""

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

_PASSING = frozenset({"telemetry_until"})
"""Fields that change while what is explained stays the same."""


class Kept(BaseModel):
    """One explanation as it was written. It is checked again before it is shown: a file can be edited."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    anomaly: str
    audience: str
    zone: str
    model: str
    prompt_version: int
    payload: str
    """SHA-256 of what it was written from."""
    text: str
    dropped: tuple[str, ...] = ()
    """Sentences of the model that did not hold."""

    @property
    def name(self) -> str:
        """The file's name: everything that a reuse depends on."""
        parts = (self.anomaly, self.audience, self.zone, self.model, self.prompt_version, self.payload)
        return f"{sha256(json.dumps(parts).encode()).hexdigest()[:32]}.json"


def digest(payload: Mapping[str, Any]) -> str:
    """SHA-256 of the payload, whatever the order of its fields."""
    kept = {name: value for name, value in payload.items() if name not in _PASSING}
    return sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()


def found(folder: Path, wanted: Kept) -> Kept | None:
    """The explanation with the same name, if there is one that can be read and is what it says."""
    try:
        kept = Kept.model_validate_json((folder / wanted.name).read_bytes())
    except (OSError, ValidationError):
        return None
    return kept if kept.name == wanted.name else None


def keep(folder: Path, written: Kept) -> None:
    """Store it; a reader sees the whole file or none."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{written.name}.{os.getpid()}"
    aside.write_text(written.model_dump_json(indent=1), "utf-8")
    aside.replace(folder / written.name)
