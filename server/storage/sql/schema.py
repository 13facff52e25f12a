"""The schema's version: read by one SELECT at each open; Alembic is loaded only when there is something to change."""

from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from server.errors import Unavailable
from server.storage.sql.database import Database

HEAD = "0004"
"""The newest migration, which this code is written for."""

_LOCK = "anomalyst schema"


def migrate(url: str, revision: str = HEAD) -> None:
    """Bring the store at `url` to a revision: up or down, `base` is an empty store. Safe in several processes at once.

    Raises:
        InvalidInput: the URL is none that records can be kept in.
        Unavailable: the store does not answer, or was written by a newer release.
    """
    database = Database(url)
    try:
        _move(database, revision)
    finally:
        database.close()


def bring_up_to_date(database: Database) -> None:
    """Migrate the store if it is not at `HEAD`. Raises `Unavailable` as `migrate` does."""
    if _version(database) != HEAD:
        _move(database, HEAD)


def _version(database: Database) -> str | None:
    try:
        with database.engine.connect() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    except DBAPIError:  # no such table, or no store: the migration finds out which
        return None


def _move(database: Database, revision: str) -> None:
    from alembic import command  # noqa: PLC0415 - takes longer to load than all else at the opening of a store
    from alembic.config import Config  # noqa: PLC0415 - see above
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with database.writing(_LOCK) as connection:
        config.attributes["connection"] = connection
        now = _stored_version(connection, database)
        if now is not None and now not in known:
            raise Unavailable(f"the records are at schema {now}, which this release does not know. Install the newer release.")
        forward = revision != "base" and (now is None or now <= revision)
        (command.upgrade if forward else command.downgrade)(config, revision)


def _stored_version(connection: Connection, database: Database) -> str | None:
    if not database.engine.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
