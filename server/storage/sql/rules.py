"""Rules for what is expected: added once, then at most ended."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, or_, select, update
from sqlmodel import col

from server.domain.feedback import ExpectedRule
from server.errors import NotFound
from server.storage.tables import ExpectedRuleRow

_NEAR = 200


def add(connection: Connection, rule: ExpectedRule) -> bool:
    """Whether the rule was stored; its tenant may have one of that id."""
    if _found(connection, rule.fleet.tenant, rule.id) is not None:
        return False
    connection.execute(
        insert(ExpectedRuleRow).values(
            tenant=rule.fleet.tenant,
            id=rule.id,
            fleet=rule.fleet.name,
            created=rule.created,
            until=rule.until,
            ended=rule.ended,
            body=rule.model_dump_json(),
        )
    )
    return True


def all_of(connection: Connection, tenant: str, *, fleet: str | None, active_at: datetime | None) -> Sequence[ExpectedRule]:
    """Rules of the tenant (or of one of its fleets), newest first; with `active_at` those neither over nor ended then."""
    row = ExpectedRuleRow
    wanted = select(col(row.body), col(row.ended)).where(col(row.tenant) == tenant)
    if fleet is not None:
        wanted = wanted.where(col(row.fleet) == fleet)
    if active_at is not None:
        wanted = wanted.where(col(row.until) >= active_at, or_(col(row.ended).is_(None), col(row.ended) > active_at))
    wanted = wanted.order_by(col(row.created).desc(), col(row.id).desc())
    return [_rule(body, ended) for body, ended in connection.execute(wanted)]


def end(connection: Connection, tenant: str, rule_id: str, time: datetime) -> tuple[ExpectedRule, bool]:
    """The rule, and whether this ended it: one that is over or ended stays as it is. Raises `NotFound` with near matches."""
    row = ExpectedRuleRow
    changed = connection.execute(
        update(ExpectedRuleRow)
        .where(col(row.tenant) == tenant, col(row.id) == rule_id, col(row.ended).is_(None), col(row.until) >= time)
        .values(ended=time)
    )
    found = _found(connection, tenant, rule_id)
    if found is None:
        ids = select(col(row.id)).where(col(row.tenant) == tenant).order_by(col(row.created).desc()).limit(_NEAR)
        raise NotFound("rule", rule_id, list(connection.execute(ids).scalars()))
    return found, changed.rowcount == 1


def _found(connection: Connection, tenant: str, rule_id: str) -> ExpectedRule | None:
    row = ExpectedRuleRow
    wanted = select(col(row.body), col(row.ended)).where(col(row.tenant) == tenant, col(row.id) == rule_id)
    found = connection.execute(wanted).one_or_none()
    return None if found is None else _rule(found.body, found.ended)


def _rule(body: str, ended: datetime | None) -> ExpectedRule:
    return ExpectedRule.model_validate_json(body).model_copy(update={"ended": ended})
