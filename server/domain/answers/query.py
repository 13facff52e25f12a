"""Rows of a query that somebody wrote."""

from pydantic import Field

from server.domain.answers.answer import Answer

Scalar = str | float | int | bool | None


class QueryAnswer(Answer):
    """Rows of one SELECT."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Scalar, ...], ...] = Field(description="times and other types as text")
    truncated: bool
    limit: int
    seconds: float
    source: str = Field(default="telemetry", description="the only view that there is")
    source_columns: tuple[str, ...] = ()
