"""Lengths of time as people write them; light enough for `--help`."""

import re
from datetime import timedelta

_PARTS = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")


def duration(text: str) -> timedelta:
    """The length that a text such as 90s, 30m, 12h, 1d or 1h30m gives. Raises `ValueError` for anything else."""
    found = _PARTS.fullmatch(text.strip())
    if not text.strip() or found is None:
        raise ValueError(f"{text!r} is no duration: write 90s, 30m, 12h, 1d or 1h30m.")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
