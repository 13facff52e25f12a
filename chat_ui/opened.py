"""Suggestions that people had before them and did not decide on: offered again after a reload or a restart."""

import json
from pathlib import Path


class Opened:
    """Ids by person, in a file that is replaced whole. Losing it loses only the offer: what waits is in the server."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._of: dict[str, list[str]] = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def of(self, person: str) -> list[str]:
        """What that person had before them, oldest first."""
        return list(self._of.get(person, ()))

    def add(self, person: str, suggestion: str) -> None:
        """It is on the person's screen."""
        if suggestion not in self._of.get(person, ()):
            self._of.setdefault(person, []).append(suggestion)
            self._keep()

    def remove(self, person: str, suggestion: str) -> None:
        """It waits for the person no more."""
        if suggestion in self._of.get(person, ()):
            self._of[person].remove(suggestion)
            self._keep()

    def _keep(self) -> None:
        unfinished = self._path.with_suffix(".new")
        unfinished.write_text(json.dumps(self._of), "utf-8")
        unfinished.replace(self._path)
