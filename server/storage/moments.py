"""Points in time as the bulk columns hold them: whole microseconds since 1970 UTC."""

from datetime import UTC, datetime, timedelta

from server.errors import InvalidInput

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 UTC. Raises `InvalidInput` for a time without a zone, which could be any of 38 moments."""
    if moment.utcoffset() is None:
        raise InvalidInput(f"time {moment.isoformat()} has no time zone. Give it one, such as +00:00 for UTC.")
    return (moment - _EPOCH) // _MICROSECOND


def moment(count: int) -> datetime:
    """The moment `count` microseconds after 1970 UTC, aware and in UTC."""
    return _EPOCH + count * _MICROSECOND
