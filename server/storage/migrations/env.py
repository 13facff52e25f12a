"""Runs the migrations on the connection, and in the transaction, that `server.storage.sql.schema` hands over."""

from alembic import context
from sqlalchemy import Connection

from server.storage.tables import SQLModel

connection = context.config.attributes["connection"]
if not isinstance(connection, Connection):
    raise TypeError("migrations run through server.storage.sql.schema.migrate, which brings the connection")
context.configure(connection=connection, target_metadata=SQLModel.metadata)
context.run_migrations()
