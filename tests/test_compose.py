"""The compose file and the image: structure, secrets, and that they say nothing that the program does not know.

`docker compose config` needs a client that is not everywhere; what it would find is looked for here.
"""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml
from pydantic_settings import BaseSettings

from agent.settings import AgentSettings
from chat_ui.settings import ChatSettings
from server.cli import app
from server.settings import Settings

ROOT = Path(__file__).parents[1]
EXAMPLE = (ROOT / ".env.example").read_text()
WHOLE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = WHOLE["services"]
LASTING = {name: service for name, service in SERVICES.items() if service["restart"] == "unless-stopped"}
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("anomalyst:")}
SECRETS = {"ANOMALYST_TOKENS__LISTED": "a:read:default:0", "POSTGRES_PASSWORD": "p4ss", "QDRANT_API_KEY": "k3y"}
PROFILES = ("minimal", "full", "gpu")
_SECRET = re.compile(r"PASSWORD|SECRET|API_KEY|TOKEN")


def compose_file() -> ModuleType:
    """The reader that `scripts/compose_smoke` uses as well."""
    spec = importlib.util.spec_from_file_location("compose_file", ROOT / "scripts/compose_file.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FILE = compose_file()


def variables() -> list[re.Match[str]]:
    """Every `${...}` of the file."""
    return [found for found in FILE.VARIABLE.finditer((ROOT / "docker-compose.yml").read_text()) if found["name"]]


def known_settings() -> set[str]:
    """Every variable that the server, the agent or the chat reads."""
    spec = importlib.util.spec_from_file_location("documents", ROOT / "tests/test_docs.py")
    assert spec is not None
    assert spec.loader is not None
    documents = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(documents)
    chat = {f"ANOMALYST_CHAT__{name.upper()}" for name in ChatSettings.model_fields}
    return {*documents.settings_of(Settings, "ANOMALYST_"), *documents.settings_of(AgentSettings, "ANOMALYST_"), *chat}


def test_every_variable_is_explained_in_the_example_and_no_other() -> None:
    """What the file reads stands in `.env.example`, and what stands there is read (or is compose's own)."""
    told = set(re.findall(r"^([A-Z_]+)=", EXAMPLE, re.MULTILINE))
    assert told == {found["name"] for found in variables()} | {"COMPOSE_PROFILES"}


def test_defaults_of_the_example_are_those_of_the_file() -> None:
    """Whoever leaves a line out gets what the example shows."""
    shown = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert {found["name"]: found["told"] for found in variables() if found["how"] == ":-"}.items() <= shown.items()


@pytest.mark.parametrize("kind", [Settings, AgentSettings, ChatSettings])
def test_commands_can_be_run_beside_the_example_as_env_file(kind: type[BaseSettings], tmp_path: Path) -> None:
    """Settings are read from a `.env` in the working folder, too: no variable of the file may pass for one of theirs."""
    file = tmp_path / ".env"
    file.write_text(EXAMPLE)
    kind(_env_file=file)


@pytest.mark.parametrize("name", OURS)
def test_containers_are_given_only_settings_that_there_are(name: str) -> None:
    """A misspelt setting would be passed over in silence."""
    assert set(OURS[name]["environment"]) <= known_settings()


@pytest.mark.parametrize("name", OURS)
def test_commands_are_commands_of_the_command_line(name: str) -> None:
    """With options that they have."""
    command, *words = OURS[name]["command"]
    known = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined] - a group
    options = {option for parameter in known.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_missing_secret_is_refused_by_name(profile: str, secret: str) -> None:
    """In every profile, with what to set."""
    with pytest.raises(FILE.Missing, match=f"{secret}: .*here"):
        FILE.services(profile, {**SECRETS, secret: ""})


def test_no_secret_has_a_value_in_a_file() -> None:
    """Not in the example, and not as a default or a plain value of the compose file."""
    for name, value in re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE):
        assert not (_SECRET.search(name) and value), name
    assert {found["how"] for found in variables() if _SECRET.search(found["name"])} == {":?"}
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not _SECRET.search(name) or value.startswith("${"), name


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_bounded_confined_and_restarted(name: str) -> None:
    """Limits, a file system that cannot be written, no capabilities, a pinned image, logs that do not fill the disk."""
    service = SERVICES[name]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+[\w.-]*", service["image"])
    assert service["logging"]["options"]["max-size"]
    assert service["restart"] in {"unless-stopped", "on-failure:5"}


@pytest.mark.parametrize("name", LASTING)
def test_services_that_last_have_a_health_check(name: str) -> None:
    """With a time that it may take."""
    assert {"test", "interval", "timeout", "retries"} <= set(LASTING[name]["healthcheck"])


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_whole(profile: str) -> None:
    """Server and chat once each; whatever is waited for is of the same profile and has a health check."""
    chosen = FILE.services(profile, SECRETS)
    assert sorted(service["command"][0] for service in chosen.values() if service["image"].startswith("anomalyst:")) == [
        "chat-ui",
        "serve",
    ]
    assert ("postgres" in chosen) == ("qdrant" in chosen) == (profile != "minimal")
    for service in chosen.values():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in chosen or how.get("required") is False
            assert needed not in chosen or "test" in chosen[needed]["healthcheck"]
    volumes = {mount.split(":")[0] for service in chosen.values() for mount in service.get("volumes", [])}
    assert {name for name in volumes if not name.startswith(".")} <= set(WHOLE["volumes"])


def test_profiles_share_no_records() -> None:
    """A folder whose records are in SQLite never meets those in PostgreSQL."""
    assert SERVICES["server"]["volumes"][0] != SERVICES["server-full"]["volumes"][0]


def test_only_server_and_chat_are_published_and_the_stores_have_no_way_out() -> None:
    """The records' network leads nowhere, and ports are bound to localhost unless a person says otherwise."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == set(OURS)
    assert all(port.startswith("${ANOMALYST_BIND:-127.0.0.1}:") for ports in published.values() for port in ports)
    assert WHOLE["networks"]["records"]["internal"] is True
    for name in ("postgres", "qdrant"):
        assert SERVICES[name]["networks"] == ["records"]


def test_images_of_ours_are_built_from_pinned_stages_and_do_not_run_as_root() -> None:
    """Every base has a full version, every target that is used ends with a numbered user, and installs ask for hashes."""
    text = (ROOT / "Dockerfile").read_text()
    assert all(re.fullmatch(r"\d+\.\d+\.\d+[\w.-]*", version) for version in re.findall(r"^ARG \w+=(.+)$", text, re.MULTILINE))
    stages = dict(re.findall(r"^FROM \S+ AS (\w+)\n((?:(?!FROM ).*\n)*)", text, re.MULTILINE))
    for target in {service["build"]["target"] for service in SERVICES.values() if "build" in service}:
        assert re.search(r"^USER \d+:\d+$", stages[target], re.MULTILINE), target
    installs = [line for line in text.splitlines() if re.search(r"pip install.*-r ", line)]
    assert len(installs) == 2
    assert all("--require-hashes" in line for line in installs)


def test_the_image_is_sent_everything_that_it_copies() -> None:
    """What a `COPY` names is let through by `.dockerignore`, and is there."""
    text, let_through = (ROOT / "Dockerfile").read_text(), (ROOT / ".dockerignore").read_text()
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for name in line.split()[:-1]:
            assert f"\n!{name}\n" in let_through
            assert (ROOT / name).exists()


def test_what_runs_is_pinned_as_what_is_tested() -> None:
    """The lock of the image holds the versions and hashes of the whole lock, only fewer of them."""
    whole, runtime = (_pins(ROOT / name) for name in ("requirements.lock", "requirements.runtime.lock"))
    assert runtime.items() < whole.items()
    assert not {"pytest", "ruff", "pyright", "playwright", "uv"} & {pin.split("==")[0] for pin in runtime}
    declared = re.search(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    assert declared is not None
    names = {name.lower() for name in re.findall(r'"([A-Za-z0-9-]+)', declared[1])}
    # the chat's threads need greenlet, which SQLAlchemy brings only if it is asked to
    assert names | {"greenlet"} <= {pin.split("==")[0] for pin in runtime}


def _pins(path: Path) -> dict[str, frozenset[str]]:
    """Name, version and marker of each package, with its hashes."""
    pins: dict[str, frozenset[str]] = {}
    for block in re.split(r"\n(?=[a-z0-9])", path.read_text()):
        head, *rest = block.splitlines()
        pins[head.rstrip(" \\")] = frozenset(re.findall(r"sha256:[0-9a-f]{64}", "\n".join(rest)))
    return pins
