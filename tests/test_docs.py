"""The documents tell the truth: what is there is documented, what is documented is there, and what they say to type runs."""

import importlib.util
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import typer
from pydantic import BaseModel
from pydantic_settings import BaseSettings
from typer.testing import CliRunner

from agent.settings import AgentSettings
from chat_ui.settings import ChatSettings
from server.app import App
from server.cli import app
from server.cli.exit_codes import ENDINGS
from server.detectors.base import DesignColumn, DesignMatrix
from server.domain.anomaly import SeverityBand
from server.domain.baseline import Level, Statistic
from server.domain.catalogue import load_catalogue
from server.domain.identity import Principal, Scope
from server.domain.run import REQUIRES, SourceSpec, Stage
from server.domain.settings import DetectorSettings, WalkSettings
from server.domain.telemetry import Fleet, HarmfulDirection, Metric, Rejection
from server.settings import Settings
from server.testing import check_connector
from server.tools.caller import Caller, answer_for
from server.tools.desk import Desk

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs/own-telemetry.md"
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
_IMPORTED = (
    "from server.domain.identity import Scope",
    "from server.tools.caller import who",
    "from server.tools.fields import FleetName",
    "from server.tools.inspections import InspectionTools",
    "from server.tools.offered import reading",
)
"""What the file that the example of a tool goes into imports already."""
COMMANDS: dict[str, typer.core.TyperCommand] = typer.main.get_command(app).commands  # type: ignore[attr-defined] - a group
_FENCE = re.compile(r"(?:<!-- (run|follow)(?:: ([^>]+?))? -->\n)?```(\w*)\n(.*?)```", re.DOTALL)
_MACHINE = re.compile(
    r"/(?:work|home|root|Users|farm|opt)/\w|(?i:\b[\w.-]+(?<!engines)\.(?:internal|corp|lan|local(?!\())\b|/simple/|--index-url=)"
)


class Fence(NamedTuple):
    """A fenced block: whether and how it is marked, its language and its text."""

    mark: str
    told: str
    language: str
    text: str


def fences(page: Path) -> list[Fence]:
    """All fenced blocks of a page."""
    return [Fence(*found.groups(default="")) for found in _FENCE.finditer(page.read_text())]


def rows_below(page: Path, head: str) -> list[list[str]]:
    """The cells of the table whose head row begins with `head`."""
    lines = page.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {head} |"))
    table = lines[start + 2 :]
    end = next((number for number, line in enumerate(table) if not line.startswith("|")), len(table))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[:end]]


def settings_of(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """The environment variables of a settings model."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings_of(field.annotation, f"{prefix}{name.upper()}__")
        elif isinstance(field.validation_alias, str):
            yield field.validation_alias
        else:
            yield f"{prefix}{name.upper()}"


def test_the_stage_table_is_the_table_of_prerequisites() -> None:
    """In the order of the stages, with what each needs."""
    rows = rows_below(ROOT / "docs/concepts.md", "stage")
    told = [(stage.strip("`"), re.findall(r"`(\w+)`", needs)) for stage, needs, _ in rows]
    assert told == [(stage.value, [need.value for need in REQUIRES[stage]]) for stage in Stage]


def test_the_picture_shows_the_stages_in_order() -> None:
    """The README's walk is the walk."""
    picture = next(fence.text for fence in fences(ROOT / "README.md") if fence.language == "mermaid")
    assert re.findall(r"\w+_\w+", picture) == [stage.value for stage in Stage]


def test_levels_bands_and_reasons_are_those_that_there_are() -> None:
    """`docs/concepts.md` names every baseline level, severity band with its bound, and reason to keep a row aside."""
    page = ROOT / "docs/concepts.md"
    assert [row[0].strip("`") for row in rows_below(page, "level")] == [level.value for level in Level]
    bounds = {band: float(re.findall(r"\d+", span)[0]) for band, span in rows_below(page, "band")}
    assert [SeverityBand.of(bound).value for band, bound in bounds.items() if band != "low"] == ["medium", "high", "critical"]
    assert [SeverityBand.of(bound - 0.1).value for bound in bounds.values()] == ["low", "low", "medium", "high"]
    assert {f"`{reason.value}`" for reason in Rejection} <= set(re.findall(r"`\w+`", page.read_text()))


def test_every_command_is_documented_and_no_other() -> None:
    """A command without a row, or a row without a command, is found here."""
    listed = re.findall(r"^\| `([a-z-]+)(?: [A-Za-z-]+)?` \|", (ROOT / "docs/cli.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_that_a_page_names_are_there(page: Path) -> None:
    """`anomalyst NAME --option` in words or in a block is something that can be typed."""
    text = page.read_text()
    options = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"(?:`|^)anomalyst ([a-z][a-z-]+)", text, re.MULTILINE)) <= set(COMMANDS)
    assert set(re.findall(r"`(--[a-z-]+)", text)) <= options | {"--help"}
    for line in re.findall(r"^anomalyst .*$", text, re.MULTILINE):
        known = {option for parameter in COMMANDS[line.split()[1]].params for option in parameter.opts} | {"--help"}
        assert set(re.findall(r" (--[a-z-]+)", line)) <= known, line


def test_every_exit_code_is_documented_and_no_other() -> None:
    """The table has one row a code."""
    assert [int(row[0]) for row in rows_below(ROOT / "docs/cli.md", "code")] == sorted({ending.code for ending in ENDINGS})


def test_every_setting_is_documented_and_no_other() -> None:
    """The table has one row a variable."""
    told = [row[0].strip("`") for row in rows_below(ROOT / "docs/cli.md", "variable")]
    assert sorted(told) == sorted(settings_of(Settings, "ANOMALYST_"))


@pytest.mark.parametrize(("head", "model"), [("variable of the agent", AgentSettings), ("variable of the chat", ChatSettings)])
def test_every_setting_of_agent_and_chat_is_documented_and_no_other(head: str, model: type[BaseSettings]) -> None:
    """The tables have one row a variable."""
    told = [row[0].strip("`") for row in rows_below(ROOT / "docs/cli.md", head)]
    assert sorted(told) == sorted(settings_of(model, str(model.model_config.get("env_prefix"))))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "<!-- run" in page.read_text() and page != TUTORIAL], ids=lambda page: page.name
)
def test_what_a_page_says_to_type_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks marked `run` run one after the other in one empty folder, and end with the exit code that they are marked with."""
    for name in [name for name in os.environ if name.startswith("ANOMALYST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ANOMALYST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANOMALYST_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    for fence in [fence for fence in fences(page) if fence.mark == "run"]:
        if fence.language == "toml":
            Path(fence.told).write_text(fence.text)
            assert load_catalogue(Path(fence.told))
        elif fence.language == "python":
            exec(compile(fence.text, page.name, "exec"), {})
        else:
            if fence.told == "after demo":
                type_line("anomalyst demo --devices 20 --days 6", monkeypatch)
            said = [type_line(line, monkeypatch) for line in fence.text.splitlines()]
            code = int(fence.told.removeprefix("exit ")) if fence.told.startswith("exit ") else 0
            assert [ended for ended, _ in said] == [*[0] * (len(said) - 1), code], said


def test_the_tutorial_finds_what_it_says_that_it_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the three kiosks with a failed fan has an incident of its own that begins on that day."""
    test_what_a_page_says_to_type_runs(TUTORIAL, tmp_path, monkeypatch)
    _, said = type_line("anomalyst incidents --fleet kiosks", monkeypatch)
    for kiosk in ("kiosk-03", "kiosk-11", "kiosk-19"):
        assert re.search(rf"{kiosk}: \d+ of 288 rows: board_temp.*2026-03-11", said), said


def type_line(line: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Exit code and output of one line of a block: a setting, or the command line in this process."""
    program, *words = shlex.split(line)
    if program == "export":
        for word in words:
            monkeypatch.setenv(*word.split("=", 1))
        return 0, ""
    assert program == "anomalyst", f"{line!r}: mark only blocks of anomalyst commands"
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    """To a file that is there, and in it to a heading that is there."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def test_no_tracked_file_names_a_machine() -> None:
    """No path of a developer's machine, and no host of a private registry, is part of the project."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git work tree")
    own = Path(__file__).resolve()
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path.resolve() != own:
            found = _MACHINE.search(path.read_text("utf-8", "replace"))
            assert found is None, f"{name}: {found and found.group()}"


def followed(folder: Path, told: str) -> ModuleType:
    """The example of docs/extending.md with that mark, as a module."""
    text = next(fence.text for fence in fences(ROOT / "docs/extending.md") if fence.told == told)
    path = folder / f"followed_{told}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_of_a_connector_conforms(tmp_path: Path) -> None:
    """Whoever copies it from docs/extending.md has a connector that keeps every promise."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"DeviceId": "a", "Timestamp": "2025-01-01T00:00:00Z", "Download": 1.5}\n')
    check_connector(followed(tmp_path, "connector").JsonLinesConnector(), str(rows))


def test_the_example_of_a_tool_answers(tmp_path: Path) -> None:
    """Whoever copies it from docs/extending.md has a tool with an example, a schema and a typed answer."""
    parts = {fence.told: fence.text for fence in fences(ROOT / "docs/extending.md")}
    own = "class Tools(InspectionTools):\n" + parts["tool"]
    name = f"reading(Tools(desk).{parts['tool offer'].partition('self.')[2].rpartition(',')[0]}"
    lines = ["from pydantic import Field", parts["tool imports"], *_IMPORTED, parts["tool answer"], own]
    names: dict[str, Any] = {"__name__": "followed"}
    exec(compile("\n".join(lines), "extending.md", "exec", dont_inherit=True), names)
    with App(Settings(home=tmp_path, _env_file=None)) as app, Desk(app) as desk:  # pyright: ignore[reportCallIssue]
        source = SourceSpec(connector="synthetic", location="demo", options={"devices": "5", "days": "3"})
        run = app.walk.start(Fleet(name="shop"), source, WalkSettings())
        app.walk.advance("default", run.id, to=Stage.INGEST)
        offered = eval(name, names | {"desk": desk})
        answer_for(Caller(Principal(name="ann")))
        assert names["Tools"](desk).count_devices().model_dump() == {"fleet": "shop", "devices": 5}
    assert (offered.tool.name, offered.scope, offered.tool.annotations.title) == ("count_devices", Scope.READ, "Count devices")


def test_the_example_of_a_metric_is_an_entry_of_the_catalogue() -> None:
    """Whoever copies it has a metric."""
    line = next(fence.text for fence in fences(ROOT / "docs/extending.md") if fence.told == "metric")
    (entry,) = eval(f"[{line}]", {"_HIGHER": HarmfulDirection.HIGHER})
    assert Metric.model_validate(entry).name == "CpuTemperature"


def test_the_example_of_a_detector_scores_explains_and_is_restored(tmp_path: Path) -> None:
    """Whoever copies it from docs/extending.md has a detector."""
    detector = followed(tmp_path, "detector").LargestZDetector()
    z = np.random.default_rng(5).normal(size=(80, 3)).astype(np.float32)
    z[7, 1] = 20
    columns = tuple(DesignColumn(Metric(name=name), Statistic.MEAN, Level.DEVICE) for name in "abc")
    codes, every = np.zeros(80, np.int32), np.ones(80, bool)
    matrix = DesignMatrix(columns, z, np.array([0, 80]), np.arange(80), codes, codes, every)
    scorer = detector.fit(matrix, DetectorSettings())
    assert int(scorer.score(matrix).argmin()) == 7
    assert int(scorer.explain(matrix, np.array([7])).argmax()) == 1
    assert np.array_equal(detector.restore(scorer.state()).score(matrix), scorer.score(matrix))
