"""One command's use of the server: settings from the environment and `--home`, parts closed at the end, changes audited."""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.errors import AnomalystError, InvalidInput

if TYPE_CHECKING:
    from server.app import App
    from server.domain.identity import Principal
    from server.domain.telemetry import Fleet
    from server.services.walk import Walk
    from server.settings import Settings


def settings_of(home: Path | None) -> "Settings":
    """The settings, with the home folder that was named. Raises `InvalidInput` naming the setting that is wrong."""
    from pydantic import ValidationError  # noqa: PLC0415 - `--help` need not wait for it
    from pydantic_settings import SettingsError  # noqa: PLC0415 - as above

    from server.settings import Settings  # noqa: PLC0415 - as above

    try:
        named: dict[str, Any] = {} if home is None else {"home": home.expanduser().absolute()}
        return Settings(**named)
    except ValidationError as error:
        wrong = error.errors()[0]
        name = "__".join(str(part).upper() for part in wrong["loc"])
        raise InvalidInput(f"setting ANOMALYST_{name}: {wrong['msg']}. Mend the environment or the .env file.") from error
    except SettingsError as error:
        raise InvalidInput(f"the settings cannot be read: {error}. Mend the environment or the .env file.") from error


@contextmanager
def opened(home: Path | None) -> "Generator[App]":
    """The server's parts over the configured stores; closed when the command ends."""
    with app_of(settings_of(home)) as app:
        yield app


def app_of(settings: "Settings") -> "App":
    """The server's parts under these settings, unopened."""
    from server.app import App  # noqa: PLC0415 - `--help` need not wait for it

    return App(settings)


def walk_of(app: "App") -> "Walk":
    """The verbs of the walk, with nothing logged: what a walk warns of, the command itself says."""
    quiet()
    return app.walk


def quiet() -> None:
    """Log nothing from here on."""
    import structlog  # noqa: PLC0415 - a tenth of a second that commands which only read need not pay

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))


def fleet_of(app: "App", name: str) -> "Fleet":
    """The tenant's fleet of that name. Raises `InvalidInput` for a name that no fleet can have."""
    from server.domain.telemetry import Fleet  # noqa: PLC0415 - `--help` need not wait for it

    return Fleet.named(app.settings.tenant, name)


@contextmanager
def audited(app: "App", action: str, subject: str, **arguments: object) -> Generator[None]:
    """Around a change: afterwards the audit trail says who did it and how it ended, also if it failed or was stopped."""
    try:
        yield
    except (AnomalystError, KeyboardInterrupt) as error:
        with suppress(AnomalystError):  # what stopped the change is worth more to the caller than what stopped the note
            _note(app, action, subject, arguments, type(error).__name__)
        raise
    _note(app, action, subject, arguments, "ok")


def _note(app: "App", action: str, subject: str, arguments: dict[str, object], outcome: str) -> None:
    from server.domain.audit import AuditEntry  # noqa: PLC0415 - `--help` need not wait for it

    app.records.append_audit(AuditEntry.of(person(app), action, subject, arguments, datetime.now(UTC), outcome=outcome))


def person(app: "App") -> "Principal":
    """The operating system's user, who may do everything at this command line."""
    from server.domain.identity import Principal, local_user  # noqa: PLC0415 - `--help` need not wait for it

    return Principal(name=local_user(), tenant=app.settings.tenant)
