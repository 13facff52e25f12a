"""Verdicts, expected rules, suggestions with their previews and decisions, and the effect ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Empty tables; nothing that was stored before changes."""
    _feedback()
    _expected_rules()
    _suggestions()
    _effects()


def downgrade() -> None:
    """Without what people said; baseline versions that came of it stay."""
    for table in ("effect", "preview", "suggestion", "expected_rule", "feedback"):
        op.drop_table(table)


def _feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("act", NAME, nullable=False),
        sa.Column("fleet", NAME, nullable=False),
        sa.Column("run", NAME, nullable=False),
        sa.Column("verdict", NAME, nullable=False),
        sa.Column("anomaly", NAME, nullable=False),
        sa.Column("device", NAME, nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("author", NAME, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("superseded", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    op.create_index("feedback_by_age", "feedback", ["tenant", "created", "id"], unique=False)
    op.create_index("feedback_by_act", "feedback", ["tenant", "act"], unique=False)
    op.create_index(
        "feedback_current",
        "feedback",
        ["tenant", "fleet", "device", "time"],
        unique=True,
        sqlite_where=sa.text("superseded IS NULL"),
        postgresql_where=sa.text("superseded IS NULL"),
    )


def _expected_rules() -> None:
    op.create_table(
        "expected_rule",
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("fleet", NAME, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("ended", MOMENT, nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )


def _suggestions() -> None:
    op.create_table(
        "suggestion",
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("fleet", NAME, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("expires", MOMENT, nullable=False),
        sa.Column("base_version", sa.Integer(), nullable=False),
        sa.Column("status", NAME, nullable=False),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("applied_version", sa.Integer(), nullable=True),
        sa.Column("preview", NAME, nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.CheckConstraint("status IN ('pending', 'approved', 'rejected', 'applied')", name="suggestion_status"),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    op.create_index("suggestion_by_age", "suggestion", ["tenant", "created", "id"], unique=False)
    op.create_table(
        "preview",
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("digest", NAME, nullable=False),
        sa.Column("suggestion", NAME, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant", "suggestion"], ["suggestion.tenant", "suggestion.id"], name="preview_of_suggestion"),
        sa.PrimaryKeyConstraint("tenant", "digest"),
    )


def _effects() -> None:
    op.create_table(
        "effect",
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("suggestion", NAME, nullable=False),
        sa.Column("fleet", NAME, nullable=False),
        sa.Column("applied", MOMENT, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant", "suggestion"], ["suggestion.tenant", "suggestion.id"], name="effect_of_suggestion"),
        sa.PrimaryKeyConstraint("tenant", "suggestion"),
    )
    op.create_index("effect_by_age", "effect", ["tenant", "applied", "suggestion"], unique=False)
