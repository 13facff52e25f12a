"""Locations that are paths on this machine (`path::part` names a part of a file): whole, and below the folders allowed."""

from collections.abc import Sequence
from pathlib import Path

from server.errors import InvalidInput, PathNotAllowed

Roots = Sequence[Path] | None
"""Folders below which files may be read; None: anywhere."""


def whole(location: str) -> str:
    """The location with its path absolute, so that a run can go on from another folder. Raises `InvalidInput`."""
    path, separator, part = location.partition("::")
    try:
        return f"{Path(path).expanduser().absolute()}{separator}{part}"
    except RuntimeError as error:
        raise InvalidInput(f"{path[:80]!r}: there is no such home folder. Give the whole path.") from error


def allowed(location: str, roots: Roots) -> Path:
    """The location's path, with links and `..` resolved.

    Raises:
        PathNotAllowed: it is not below an allowed root.
        InvalidInput: it is empty or holds a zero byte.
    """
    text = location.partition("::")[0]
    if "\0" in text or not text.strip():
        raise InvalidInput("the location is empty or holds a zero byte. Give the path of a file or folder.")
    path = Path(text).expanduser().resolve()
    if roots is not None and not any(path.is_relative_to(root.resolve()) for root in roots):
        named = ", ".join(map(str, roots)) or "none"
        raise PathNotAllowed(f"{text} is outside the folders that may be read ({named}). Move it below one of them.")
    return path
