"""Numbers and times in words, the same in every answer."""

from datetime import UTC, datetime

FOREIGN_LENGTH = 80


def counted(number: int, one: str) -> str:
    """Such as `1 device`, `2 devices` or `0 anomalies`."""
    many = f"{one[:-1]}ies" if one.endswith("y") else f"{one}s"
    return f"{number:,} {one if number == 1 else many}"


def percent(share: float) -> str:
    """A share in percent, with a digit more where it is small."""
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.2g} %"


def figure(value: float | None) -> str:
    """A measured number in at most four digits."""
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def at(moment: datetime) -> str:
    """A time to the minute; it has to say its zone."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def quoted(text: str) -> str:
    """Foreign text, on one line, capped and in quotation marks."""
    flat = " ".join(text.split()).replace('"', "'")
    return f'"{flat if len(flat) <= FOREIGN_LENGTH else flat[: FOREIGN_LENGTH - 1] + "…"}"'
