"""Previews: each kept under its digest; a suggestion names its newest one."""

from sqlalchemy import Connection, insert, select, update
from sqlmodel import col

from server.domain.suggestion import Preview
from server.storage.sql import suggestions
from server.storage.tables import PreviewRow, SuggestionRow


def save(connection: Connection, tenant: str, preview: Preview) -> None:
    """Keep the preview and make it its suggestion's newest; one of that digest stays as it is stored.

    Raises `NotFound` if there is no such suggestion.
    """
    row = SuggestionRow
    newest = update(SuggestionRow).where(col(row.tenant) == tenant, col(row.id) == preview.suggestion)
    if connection.execute(newest.values(preview=preview.digest)).rowcount == 0:
        raise suggestions.missing(connection, tenant, preview.suggestion)
    if one(connection, tenant, preview.digest) is None:
        connection.execute(
            insert(PreviewRow).values(
                tenant=tenant, digest=preview.digest, suggestion=preview.suggestion, body=preview.model_dump_json()
            )
        )


def one(connection: Connection, tenant: str, digest: str) -> Preview | None:
    """The preview with that digest, if it was made."""
    wanted = select(col(PreviewRow.body)).where(col(PreviewRow.tenant) == tenant, col(PreviewRow.digest) == digest)
    body = connection.execute(wanted).scalar_one_or_none()
    return None if body is None else Preview.model_validate_json(body)
