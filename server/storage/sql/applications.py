"""Applying an approved suggestion: everything that it changes, in the caller's one transaction."""

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from server.domain.baseline import BaselineVersion
from server.domain.suggestion import Effect, SuggestionStatus
from server.errors import InvalidInput, NotFound
from server.storage.sql import audit, baselines, decisions, effects, runs, suggestions

if TYPE_CHECKING:
    from server.storage.base import Application


def apply(connection: Connection, application: "Application", now: datetime) -> Effect:
    """The effect as it is stored, now or by an earlier call. The transaction holds the locks of baselines and audit."""
    _require_one_subject(application)
    suggestion = application.suggestion
    tenant = suggestion.fleet.tenant
    standing = suggestions.one(connection, tenant, suggestion.id, now)
    if standing.status is SuggestionStatus.APPLIED:
        return _stored(connection, tenant, suggestion.id)
    decisions.require_approved(standing, suggestion)
    number = application.effect.version_before
    if application.version is not None:
        number = _add_version(connection, application, application.version)
    decisions.consume(connection, standing, number)
    runs.save(connection, application.run)
    effect = application.effect.model_copy(update={"version_after": number})
    effects.add(connection, effect)
    audit.append(connection, application.audit)
    return effect


def _add_version(connection: Connection, application: "Application", version: BaselineVersion) -> int:
    if application.statistics is None:
        raise InvalidInput("a baseline version needs its statistics. Give both, or neither.")
    added = baselines.add(connection, version, application.statistics)
    if added.adjustments != version.adjustments:
        raise InvalidInput(
            f"the version to apply has the digest of version {added.version}, which is in force with other adjustments. "
            "Digests have to cover the adjustments."
        )
    return added.version


def _stored(connection: Connection, tenant: str, suggestion_id: str) -> Effect:
    found = effects.one(connection, tenant, suggestion_id)
    if found is None:
        raise NotFound("effect of suggestion", suggestion_id)
    return found


def _require_one_subject(application: "Application") -> None:
    suggestion, effect, version = application.suggestion, application.effect, application.version
    parts = [application.run.fleet, effect.fleet, *([version.fleet] if version else [])]
    if any(fleet != suggestion.fleet for fleet in parts) or effect.suggestion != suggestion.id:
        raise InvalidInput(f"what is to be applied is not all of suggestion {suggestion.id} and its fleet.")
