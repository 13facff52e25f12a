"""The command `doctor`: looks at everything that a walk stands on, and says what to do about what is wrong."""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import typer

from server.cli.exit_codes import FOUND_WRONG
from server.cli.options import AsJson, Home
from server.cli.session import app_of, settings_of
from server.cli.shown import say, say_json, say_table
from server.errors import AnomalystError, InvalidInput, StoreBusy

if TYPE_CHECKING:
    from server.app import App
    from server.settings import Settings

_LITTLE = 1 << 30
_OLDEST_SANE = datetime(2025, 1, 1, tzinfo=UTC)


class State(StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One part, how it is, and what to do where it is not well."""

    part: str
    state: State
    what: str
    advice: str = ""


class Look(Protocol):
    """What another package found of one of its parts; `state` is a value of `State`."""

    @property
    def part(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def advice(self) -> str: ...


_BESIDE: list[Callable[[], Iterable[Look]]] = []


def look_also(looks: Callable[[], Iterable[Look]] | None) -> None:
    """Let `doctor` also report what another package looks at, if it looks at anything."""
    if looks is not None:
        _BESIDE.append(looks)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("doctor", rich_help_panel="Help")(_doctor)


def _doctor(json: AsJson = False, home: Home = None) -> None:
    """Check settings, stores, memory, disk, clock, trained models and which model answers, and say what to do."""
    findings = list(_examine(home))
    if json:
        say_json([asdict(finding) for finding in findings])
    else:
        rows = [(each.part, each.state.value, each.what, each.advice) for each in findings]
        say_table("Doctor", ("part", "state", "what", "what to do"), rows)
    wrong = sum(finding.state is State.WRONG for finding in findings)
    if not json:
        say(f"{wrong} of {len(findings)} parts are wrong." if wrong else "Nothing is wrong.")
    if wrong:
        raise typer.Exit(FOUND_WRONG)


def _examine(home: Path | None) -> Iterator[Finding]:
    try:
        settings = settings_of(home)
    except InvalidInput as error:
        yield Finding("settings", State.WRONG, str(error), "Mend the environment or the .env file, then call doctor again.")
        return
    yield Finding("settings", State.OK, f"tenant {settings.tenant}, {settings.threads} threads, home {settings.home}")
    yield from _folders(settings)
    with app_of(settings) as app:
        checks: tuple[tuple[str, Callable[[App], str]], ...] = (
            ("records", _records),
            ("audit trail", _audit_trail),
            ("telemetry store", _telemetry),
            ("memory of decisions", _memory),
            ("trained models", _models),
        )
        for part, check in checks if settings.home.is_dir() else ():
            yield _found(part, check, app)
        yield _clock(app)
        yield _found("metric catalogue", _catalogue, app)
        for kind, names, get in (
            ("detector", app.detectors.names, app.detectors.get),
            ("connector", app.connectors.names, app.connectors.get),
        ):
            yield from (_loaded(f"{kind} {name}", get, name) for name in names)
    for looks in _BESIDE:
        yield from (Finding(each.part, State(each.state), each.what, each.advice) for each in looks())


def _found(part: str, check: "Callable[[App], str]", app: "App") -> Finding:
    try:
        return Finding(part, State.OK, check(app))
    except StoreBusy as error:
        return Finding(
            part, State.WARNING, str(error), "Nothing, if that process is a server of yours: it answers while it runs."
        )
    except AnomalystError as error:
        return Finding(part, State.WRONG, str(error), "Do what it says, then call doctor again.")


def _loaded(part: str, get: Callable[[str], object], name: str) -> Finding:
    try:
        get(name)
    except (AnomalystError, ImportError, AttributeError, TypeError) as error:
        return Finding(part, State.WRONG, f"cannot be loaded: {error}", "Install its package again, or remove it.")
    return Finding(part, State.OK, "installed")


def _folders(settings: "Settings") -> Iterator[Finding]:
    home = settings.home
    if home.exists() and not home.is_dir():
        yield Finding("home folder", State.WRONG, f"{home} is a file", "Name a folder with --home or ANOMALYST_HOME.")
        return
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    if _writable(there):
        yield Finding("home folder", State.OK, "writable" if there == home else "not there yet: the first run makes it")
    else:
        yield Finding("home folder", State.WRONG, f"{there} cannot be written", "Make it yours, or name another with --home.")
    free = shutil.disk_usage(there).free
    state = State.OK if free >= _LITTLE else State.WARNING
    advice = "" if state is State.OK else "Free some: a run of a million rows takes about 1 GiB."
    yield Finding("disk", state, f"{free / (1 << 30):.1f} GiB free", advice)
    for root in settings.telemetry.roots or ():
        if not root.is_dir():
            yield Finding(
                "telemetry roots", State.WRONG, f"{root} is no folder", "Make it, or mend ANOMALYST_TELEMETRY__ROOTS."
            )


def _writable(folder: Path) -> bool:
    from tempfile import TemporaryFile  # noqa: PLC0415 - only here

    try:
        with TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _records(app: "App") -> str:
    newest = app.records.runs(app.settings.tenant, limit=1)
    return f"answers; newest run {newest[0].id}" if newest else "answers; no runs yet: start with `anomalyst demo`"


def _audit_trail(app: "App") -> str:
    return f"{app.records.verify_audit(app.settings.tenant):,} entries, all as they were written"


def _telemetry(app: "App") -> str:
    path = app.settings.home / "telemetry.duckdb"
    if not path.exists():
        return "nothing ingested yet"
    app.telemetry  # noqa: B018 - opening it is the check
    return f"opens, {path.stat().st_size / (1 << 20):,.0f} MiB"


def _memory(app: "App") -> str:
    if app.settings.memory.url is None and not app.settings.memory_folder.exists():
        return "embedded, nothing remembered yet"
    where = app.settings.memory.url or "embedded"
    return f"{where}, {app.memory.count(app.settings.tenant):,} decisions"


def _models(app: "App") -> str:
    """The detectors in force can be found, have the bytes that were written, and are of a kind that is installed."""
    found: list[str] = []
    for fleet in app.records.retention.fleets(app.settings.tenant):
        version = app.records.detector_version(fleet)
        if version is not None:
            app.detectors.get(version.detector)
            app.artifacts.open(version.run, version.artifact)
            found.append(f"{fleet.name}: {version.detector} version {version.version}")
    return "; ".join(found) or "none trained yet"


def _catalogue(app: "App") -> str:
    from server.domain.catalogue import load_catalogue  # noqa: PLC0415 - `--help` need not wait for it

    own = app.settings.catalogue
    return f"{len(load_catalogue(own))} metrics, with {own.name}" if own else "built in"


def _clock(app: "App") -> Finding:
    now = datetime.now(UTC)
    newest = None
    if app.settings.home.is_dir():
        try:
            newest = next(iter(app.records.runs(app.settings.tenant, limit=1)), None)
        except AnomalystError:
            newest = None  # what is wrong with the records has its own row
    advice = "Set the clock: rows more than a day ahead of it are kept aside as future."
    if now < _OLDEST_SANE:
        return Finding("clock", State.WRONG, f"says {now:%Y-%m-%d %H:%M} UTC", advice)
    if newest and newest.created > now + timedelta(minutes=1):
        return Finding("clock", State.WRONG, f"says {now:%Y-%m-%d %H:%M} UTC, before run {newest.id} was started", advice)
    return Finding("clock", State.OK, f"{now:%Y-%m-%d %H:%M} UTC, Python {sys.version_info.major}.{sys.version_info.minor}")
