"""Anomalies in packed batches instead of a row each: what they are searched by, and their ids."""

import pyarrow as pa
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROWS, IDS = 16_384, 4_096
COLUMNS = ("id", "device", "time", "severity", "top_metric", "incident", "place")
CODED = ("device", "top_metric", "incident")


def upgrade() -> None:
    """The two tables, with what was in the rows; the blocks of the other columns stay as they are."""
    _make_packed()
    searched, ids, anomaly = _table("anomaly_search", "number"), _table("anomaly_id", "first"), _anomaly()
    connection = op.get_bind()
    for set_id, tenant in connection.execute(sa.select(anomaly.c.scored_set, anomaly.c.tenant).distinct()).all():
        rows = _rows(connection, anomaly, set_id)
        same = {"scored_set": set_id, "tenant": tenant}
        for number, start in enumerate(range(0, rows.num_rows, ROWS)):
            body = _pack(rows.slice(start, ROWS), CODED)
            connection.execute(sa.insert(searched).values(**same, number=number, body=body))
        named = pa.table({"id": rows["id"], "rank": pa.array(range(rows.num_rows), pa.int32())}).sort_by("id")
        for start in range(0, rows.num_rows, IDS):
            body = _pack(named.slice(start, IDS), ())
            connection.execute(sa.insert(ids).values(**same, first=named["id"][start].as_py(), body=body))
    op.drop_table("anomaly")


def downgrade() -> None:
    """A row for each anomaly again."""
    _make_rows()
    searched, anomaly = _table("anomaly_search", "number"), _anomaly()
    connection = op.get_bind()
    for set_id, tenant, body in connection.execute(sa.select(searched.c.scored_set, searched.c.tenant, searched.c.body)).all():
        with pa.ipc.open_stream(body) as stream:
            rows = [{"scored_set": set_id, "tenant": tenant, **row} for row in stream.read_next_batch().to_pylist()]
        connection.execute(sa.insert(anomaly), rows)
    op.drop_table("anomaly_id")
    op.drop_table("anomaly_search")


def _make_packed() -> None:
    for name, key, kind in (("anomaly_search", "number", sa.Integer()), ("anomaly_id", "first", NAME)):
        op.create_table(
            name,
            sa.Column("scored_set", sa.Integer(), autoincrement=False, nullable=False),
            sa.Column(key, kind, autoincrement=False, nullable=False),
            sa.Column("tenant", NAME, nullable=False),
            sa.Column("body", sa.LargeBinary(), nullable=False),
            sa.ForeignKeyConstraint(["scored_set"], ["scored_set.id"], name=f"{name}_of_scored_set"),
            sa.PrimaryKeyConstraint("scored_set", key),
        )
    if op.get_bind().dialect.name == "postgresql":
        for name in ("anomaly_search", "anomaly_id", "anomaly_block"):
            # it would try to compress what is compressed
            op.execute(f"ALTER TABLE {name} ALTER COLUMN body SET STORAGE EXTERNAL")


def _make_rows() -> None:
    op.create_table(
        "anomaly",
        sa.Column("scored_set", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("device", NAME, nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("severity", sa.Float(), nullable=False),
        sa.Column("top_metric", NAME, nullable=False),
        sa.Column("incident", NAME, nullable=False),
        sa.CheckConstraint("severity >= 0 AND severity <= 100", name="anomaly_severity"),
        sa.ForeignKeyConstraint(["scored_set"], ["scored_set.id"], name="anomaly_of_scored_set"),
        sa.PrimaryKeyConstraint("scored_set", "id"),
    )
    op.create_index("anomaly_by_severity", "anomaly", ["scored_set", "severity"], unique=False)


def _table(name: str, key: str) -> sa.TableClause:
    return sa.table(name, sa.column("scored_set"), sa.column(key), sa.column("tenant"), sa.column("body"))


def _anomaly() -> sa.TableClause:
    return sa.table("anomaly", *(sa.column(name) for name in ("scored_set", "tenant", *COLUMNS)))


def _rows(connection: sa.Connection, anomaly: sa.TableClause, set_id: int) -> pa.Table:
    wanted = sa.select(*(anomaly.c[name] for name in COLUMNS)).where(anomaly.c.scored_set == set_id)
    found = connection.execute(wanted.order_by(anomaly.c.severity.desc(), anomaly.c.id.desc())).all()
    return pa.table(dict(zip(COLUMNS, map(list, zip(*found, strict=True)), strict=True)))


def _pack(rows: pa.Table, coded: tuple[str, ...]) -> bytes:
    """The rows as one Arrow batch, with these columns dictionary-encoded."""
    (batch,) = rows.combine_chunks().to_batches()
    columns = [
        column.dictionary_encode() if name in coded else column
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    ]
    packed, out = pa.record_batch(columns, names=batch.schema.names), pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.ipc.new_stream(out, packed.schema, options=options) as stream:
        stream.write_batch(packed)
    return out.getvalue().to_pybytes()
