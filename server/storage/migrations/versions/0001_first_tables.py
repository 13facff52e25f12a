"""The first tables: runs, baselines, detectors, scored sets and the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """From nothing to this revision."""
    _runs()
    _baselines()
    _detectors()
    _scored_sets()
    _anomalies()
    _incidents()
    _audit()


def downgrade() -> None:
    """Back to nothing; all records are lost."""
    for table in ("incident", "anomaly_block", "anomaly", "scored_set", "run", "baseline", "baseline_version"):
        op.drop_table(table)
    for table in ("detector_version", "audit", "audit_head"):
        op.drop_table(table)


def _runs() -> None:
    op.create_table(
        "run",
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("fleet", NAME, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    op.create_index("run_by_age", "run", ["tenant", "created"], unique=False)


def _baselines() -> None:
    op.create_table(
        "baseline_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("fleet", NAME, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", NAME, nullable=False),
        sa.Column("expired", MOMENT, nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "baseline_version_in_force",
        "baseline_version",
        ["tenant", "fleet"],
        unique=True,
        sqlite_where=sa.text("expired IS NULL"),
        postgresql_where=sa.text("expired IS NULL"),
    )
    op.create_index("baseline_version_number", "baseline_version", ["tenant", "fleet", "version"], unique=True)
    op.create_table(
        "baseline",
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("level", NAME, nullable=False),
        sa.Column("group", NAME, nullable=False),
        sa.Column("feature", NAME, nullable=False),
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("median", sa.Float(), nullable=False),
        sa.Column("scale", sa.Float(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("scale > 0", name="baseline_scale_above_0"),
        sa.ForeignKeyConstraint(["version_id"], ["baseline_version.id"], name="baseline_of_version"),
        sa.PrimaryKeyConstraint("version_id", "level", "group", "feature"),
        sqlite_with_rowid=False,
    )


def _detectors() -> None:
    op.create_table(
        "detector_version",
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("fleet", NAME, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", NAME, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "fleet", "version"),
    )


def _scored_sets() -> None:
    op.create_table(
        "scored_set",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("fleet", NAME, nullable=False),
        sa.Column("run", NAME, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("digest", NAME, nullable=False),
        sa.Column("shown", sa.Integer(), nullable=False),
        sa.Column("anomalies", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["tenant", "run"], ["run.tenant", "run.id"], name="scored_set_of_run"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("scored_set_digest", "scored_set", ["tenant", "run", "digest"], unique=True)
    op.create_index("scored_set_newest", "scored_set", ["tenant", "fleet", "created", "run", "shown"], unique=False)


def _anomalies() -> None:
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
    op.create_table(
        "anomaly_block",
        sa.Column("scored_set", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["scored_set"], ["scored_set.id"], name="anomaly_block_of_scored_set"),
        sa.PrimaryKeyConstraint("scored_set", "number"),
    )


def _incidents() -> None:
    op.create_table(
        "incident",
        sa.Column("scored_set", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["scored_set"], ["scored_set.id"], name="incident_of_scored_set"),
        sa.PrimaryKeyConstraint("scored_set", "id"),
    )
    op.create_index("incident_by_weight", "incident", ["scored_set", "weight", "id"], unique=False)


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("time", MOMENT, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "number"),
    )
    op.create_table(
        "audit_head",
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )
