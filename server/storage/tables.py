"""The tables of `Records` and `CorrectionRecords`. Every row names its tenant.

What is nested is kept as the JSON of its pydantic model. The migrations make these tables; a test holds the two to each other.
"""
# pyright: reportAssignmentType=false
# SQLModel declares `__tablename__` as a descriptor, and takes a string

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, Integer, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

NAME = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is a key or is sorted by: in code point order everywhere, whatever language the database is set to."""


class RunRow(SQLModel, table=True):
    """A run; `body` is the whole of it, the other columns are what is searched."""

    __tablename__ = "run"
    __table_args__ = (Index("run_by_age", "tenant", "created"),)

    tenant: str = Field(primary_key=True, sa_type=NAME)
    id: str = Field(primary_key=True, sa_type=NAME)
    fleet: str = Field(sa_type=NAME)
    created: datetime
    revision: int
    body: str = Field(sa_type=Text)


class DeviceRow(SQLModel, table=True):
    """A device of a fleet, as the newest run saw it."""

    __tablename__ = "device"

    tenant: str = Field(primary_key=True, sa_type=NAME)
    fleet: str = Field(primary_key=True, sa_type=NAME)
    name: str = Field(primary_key=True, sa_type=NAME)
    rows: int = Field(sa_type=BigInteger)
    run: str = Field(sa_type=NAME)


class MetricRow(SQLModel, table=True):
    """A metric of a fleet and what was known of it in the newest run; `body` is the whole of it."""

    __tablename__ = "metric"

    tenant: str = Field(primary_key=True, sa_type=NAME)
    fleet: str = Field(primary_key=True, sa_type=NAME)
    name: str = Field(primary_key=True, sa_type=NAME)
    body: str = Field(sa_type=Text)


class BaselineVersionRow(SQLModel, table=True):
    """A fleet's baseline version; the one without `expired` is in force, and there is at most one."""

    __tablename__ = "baseline_version"
    __table_args__ = (
        Index("baseline_version_number", "tenant", "fleet", "version", unique=True),
        Index(
            "baseline_version_in_force",
            "tenant",
            "fleet",
            unique=True,
            sqlite_where=text("expired IS NULL"),
            postgresql_where=text("expired IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    tenant: str = Field(sa_type=NAME)
    fleet: str = Field(sa_type=NAME)
    version: int
    digest: str = Field(sa_type=NAME)
    expired: datetime | None = None
    body: str = Field(sa_type=Text)


class BaselineRow(SQLModel, table=True):
    """One baseline of one version. Kept in key order, so that a group's features lie together."""

    __tablename__ = "baseline"
    __table_args__ = (
        CheckConstraint("scale > 0", name="baseline_scale_above_0"),
        ForeignKeyConstraint(["version_id"], ["baseline_version.id"], name="baseline_of_version"),
        {"sqlite_with_rowid": False},
    )

    version_id: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    level: str = Field(primary_key=True, sa_type=NAME)
    group: str = Field(primary_key=True, sa_type=NAME)
    feature: str = Field(primary_key=True, sa_type=NAME)
    tenant: str = Field(sa_type=NAME)
    median: float
    scale: float
    n: int = Field(sa_type=BigInteger)


class DetectorVersionRow(SQLModel, table=True):
    """A fleet's trained detector."""

    __tablename__ = "detector_version"

    tenant: str = Field(primary_key=True, sa_type=NAME)
    fleet: str = Field(primary_key=True, sa_type=NAME)
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    digest: str = Field(sa_type=NAME)
    body: str = Field(sa_type=Text)


class ScoredSetRow(SQLModel, table=True):
    """What one scoring of a run found. A run's set with the highest `shown` is its newest; `created` is that of the run."""

    __tablename__ = "scored_set"
    __table_args__ = (
        Index("scored_set_digest", "tenant", "run", "digest", unique=True),
        Index("scored_set_newest", "tenant", "fleet", "created", "run", "shown"),
        ForeignKeyConstraint(["tenant", "run"], ["run.tenant", "run.id"], name="scored_set_of_run"),
    )

    id: int | None = Field(default=None, primary_key=True)
    tenant: str = Field(sa_type=NAME)
    fleet: str = Field(sa_type=NAME)
    run: str = Field(sa_type=NAME)
    created: datetime
    digest: str = Field(sa_type=NAME)
    shown: int
    anomalies: int


class AnomalySearchRow(SQLModel, table=True):
    """What many anomalies of one scored set are searched by, as one compressed Arrow batch; all of a set's are worst first.

    No row for each anomaly: storing one by one, with the indices that finding it takes, is most of what storing a set would
    cost, and a filter reads these batches in a fraction of the time that it takes to read rows.
    """

    __tablename__ = "anomaly_search"
    __table_args__ = (ForeignKeyConstraint(["scored_set"], ["scored_set.id"], name="anomaly_search_of_scored_set"),)

    scored_set: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    number: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    tenant: str = Field(sa_type=NAME)
    body: bytes = Field(sa_type=LargeBinary)


class AnomalyIdRow(SQLModel, table=True):
    """Ids of many anomalies of one scored set, sorted, from `first` on, each with where it stands among the searched."""

    __tablename__ = "anomaly_id"
    __table_args__ = (ForeignKeyConstraint(["scored_set"], ["scored_set.id"], name="anomaly_id_of_scored_set"),)

    scored_set: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    first: str = Field(primary_key=True, sa_type=NAME)
    tenant: str = Field(sa_type=NAME)
    body: bytes = Field(sa_type=LargeBinary)


class AnomalyBlockRow(SQLModel, table=True):
    """The columns of many anomalies of one scored set that nothing searches, as one compressed Arrow batch."""

    __tablename__ = "anomaly_block"
    __table_args__ = (ForeignKeyConstraint(["scored_set"], ["scored_set.id"], name="anomaly_block_of_scored_set"),)

    scored_set: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    number: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    tenant: str = Field(sa_type=NAME)
    body: bytes = Field(sa_type=LargeBinary)


class IncidentRow(SQLModel, table=True):
    """One incident of one scored set, ranked by `weight`: severity times devices."""

    __tablename__ = "incident"
    __table_args__ = (
        Index("incident_by_weight", "scored_set", "weight", "id"),
        ForeignKeyConstraint(["scored_set"], ["scored_set.id"], name="incident_of_scored_set"),
    )

    scored_set: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    id: str = Field(primary_key=True, sa_type=NAME)
    tenant: str = Field(sa_type=NAME)
    weight: float
    body: str = Field(sa_type=Text)


class AuditRow(SQLModel, table=True):
    """One act. `hash` covers the act, its number and `previous`, the hash of the act before."""

    __tablename__ = "audit"

    tenant: str = Field(primary_key=True, sa_type=NAME)
    number: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    time: datetime
    actor: str = Field(sa_type=Text)
    channel: str = Field(sa_type=Text)
    action: str = Field(sa_type=Text)
    subject: str = Field(sa_type=Text)
    arguments: str = Field(sa_type=Text)
    outcome: str = Field(sa_type=Text)
    previous: str = Field(sa_type=Text)
    hash: str = Field(sa_type=Text)


class AuditHeadRow(SQLModel, table=True):
    """How long a tenant's trail is and how it ends, so that rows missing at the end are noticed too."""

    __tablename__ = "audit_head"

    tenant: str = Field(primary_key=True, sa_type=NAME)
    number: int
    hash: str = Field(sa_type=Text)


class FeedbackRow(SQLModel, table=True):
    """One verdict. The one without `superseded` is current, and there is at most one for a device and time.

    Times are in microseconds since 1970 UTC, as telemetry has them. `metrics` has each metric as JSON on a line of its own.
    """

    __tablename__ = "feedback"
    __table_args__ = (
        Index("feedback_by_age", "tenant", "created", "id"),
        Index("feedback_by_act", "tenant", "act"),
        Index(
            "feedback_current",
            "tenant",
            "fleet",
            "device",
            "time",
            unique=True,
            sqlite_where=text("superseded IS NULL"),
            postgresql_where=text("superseded IS NULL"),
        ),
    )

    tenant: str = Field(primary_key=True, sa_type=NAME)
    id: str = Field(primary_key=True, sa_type=NAME)
    act: str = Field(sa_type=NAME)
    fleet: str = Field(sa_type=NAME)
    run: str = Field(sa_type=NAME)
    verdict: str = Field(sa_type=NAME)
    anomaly: str = Field(sa_type=NAME)
    device: str = Field(sa_type=NAME)
    time: int = Field(sa_type=BigInteger)
    metrics: str = Field(sa_type=Text)
    author: str = Field(sa_type=NAME)
    created: int = Field(sa_type=BigInteger)
    superseded: int | None = Field(default=None, sa_type=BigInteger)
    body: str = Field(sa_type=Text)


class ExpectedRuleRow(SQLModel, table=True):
    """A rule for what is expected; `ended` is set when a person ends it early."""

    __tablename__ = "expected_rule"

    tenant: str = Field(primary_key=True, sa_type=NAME)
    id: str = Field(primary_key=True, sa_type=NAME)
    fleet: str = Field(sa_type=NAME)
    created: datetime
    until: datetime
    ended: datetime | None = None
    body: str = Field(sa_type=Text)


class SuggestionRow(SQLModel, table=True):
    """A suggestion and how far it came; `expires` is that of the suggestion, and once approved that of the approval.

    `status` is what was done to it; expired and stale are told from the time and the version in force. `preview` is the
    digest of its newest preview.
    """

    __tablename__ = "suggestion"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'approved', 'rejected', 'applied')", name="suggestion_status"),
        Index("suggestion_by_age", "tenant", "created", "id"),
    )

    tenant: str = Field(primary_key=True, sa_type=NAME)
    id: str = Field(primary_key=True, sa_type=NAME)
    fleet: str = Field(sa_type=NAME)
    created: datetime
    expires: datetime
    base_version: int
    status: str = Field(sa_type=NAME)
    decision: str | None = Field(default=None, sa_type=Text)
    applied_version: int | None = None
    preview: str | None = Field(default=None, sa_type=NAME)
    body: str = Field(sa_type=Text)


class PreviewRow(SQLModel, table=True):
    """What a suggestion would do, as computed for one window and its verdicts."""

    __tablename__ = "preview"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "suggestion"], ["suggestion.tenant", "suggestion.id"], name="preview_of_suggestion"),
    )

    tenant: str = Field(primary_key=True, sa_type=NAME)
    digest: str = Field(primary_key=True, sa_type=NAME)
    suggestion: str = Field(sa_type=NAME)
    body: str = Field(sa_type=Text)


class EffectRow(SQLModel, table=True):
    """The effect ledger: one entry for each suggestion that was applied."""

    __tablename__ = "effect"
    __table_args__ = (
        Index("effect_by_age", "tenant", "applied", "suggestion"),
        ForeignKeyConstraint(["tenant", "suggestion"], ["suggestion.tenant", "suggestion.id"], name="effect_of_suggestion"),
    )

    tenant: str = Field(primary_key=True, sa_type=NAME)
    suggestion: str = Field(primary_key=True, sa_type=NAME)
    fleet: str = Field(sa_type=NAME)
    applied: datetime
    body: str = Field(sa_type=Text)
