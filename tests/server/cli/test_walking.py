"""The walk from the command line: all at once, or verb by verb, and always under the server's guard."""

from pathlib import Path

import pytest

from server.cli.options import Verb, duration
from server.cli.walk_options import OPTION_OF, SourceOptions, WalkOptions, source_spec, walk_settings
from server.connectors.mapping import OPTIONS
from server.domain.run import Stage
from server.domain.settings import WalkSettings


def test_run_walks_a_file_to_the_end(anomalyst, ok, walked: tuple[Path, str]) -> None:
    """After `run`, every stage is done and nothing is left to do."""
    home, run = walked
    found = ok(anomalyst("show", run, "--json", "--home", home))
    assert list(found["stages"]) == [stage.value for stage in Stage]
    assert (found["complete"], found["next_stage"], found["fleet"]["name"]) == (True, None, "shop")


def test_verbs_walk_in_order_and_refuse_out_of_it(anomalyst, ok, telemetry: Path, tmp_path: Path) -> None:
    """A verb before its time ends with 3 and names the one to call; in order each does its stage."""
    started = ok(anomalyst("start", telemetry, "--json", "--home", tmp_path))
    early = anomalyst("train-detector", started["id"], "--home", tmp_path)
    assert early.exit_code == 3
    assert "Call ingest_telemetry next" in early.stderr
    for verb in Verb:
        done = ok(anomalyst(verb.value, started["id"], "--json", "--home", tmp_path))
        assert list(done["stages"])[-1] == verb.value.replace("-", "_")
    assert done["complete"]


def test_advance_goes_to_a_stage_and_then_on(anomalyst, ok, telemetry: Path, tmp_path: Path) -> None:
    """`advance --to` does what is missing up to there; a second call goes on where the first stopped."""
    run = ok(anomalyst("start", telemetry, "--json", "--home", tmp_path))["id"]
    assert "Next: `anomalyst ingest-telemetry" in anomalyst("show", run, "--home", tmp_path).stdout
    halfway = ok(anomalyst("advance", run, "--to", "engineer-features", "--json", "--home", tmp_path))
    assert halfway["next_stage"] == "compute_baselines"
    after = ok(anomalyst("advance", run, "--json", "--home", tmp_path))
    assert after["complete"]
    assert after["stages"]["ingest_telemetry"] == halfway["stages"]["ingest_telemetry"]


def test_a_failed_walk_says_how_to_go_on(anomalyst, tmp_path: Path) -> None:
    """The refusal names the cause, and below it the run that keeps what was done."""
    (tmp_path / "t.csv").write_text("device,time,name\na,2025-01-01,x\n")
    result = anomalyst("run", "t.csv", "--home", tmp_path)
    assert result.exit_code == 64
    assert "no column is a metric" in result.stderr
    assert "`anomalyst advance default-" in result.stderr
    assert "other options start another run" in result.stderr
    assert "failed" in anomalyst("show", result.stderr.split("anomalyst advance ")[1].split("`")[0], "--home", tmp_path).stdout


def test_changes_are_audited(anomalyst, ok, walked: tuple[Path, str]) -> None:
    """The trail says who did what through the command line, and reads as it was written."""
    home, run = walked
    entries = ok(anomalyst("audit", "--json", "--home", home, "--limit", 1000))["entries"]
    mine = {(each["action"], each["channel"], each["outcome"]) for each in entries if each["subject"] == run}
    assert {("start_run", "cli", "ok"), ("run", "cli", "ok")} <= mine
    assert all(each["actor"] for each in entries)


def test_every_setting_has_an_option_that_says_its_default() -> None:
    """No knob of the walk is out of reach, and the help does not promise a default that is not."""
    options = {name: kind.__metadata__[0] for name, kind in WalkOptions.__annotations__.items()}
    for group in ("features", "baselines", "detector", "events"):
        for name, field in type(WalkSettings.model_fields[group].default).model_fields.items():
            said = options[OPTION_OF.get(name, name)].help
            if field.default not in (None, {}):
                assert f"(default: {field.default})." in said, name
    assert "fit_split" in options


def test_options_reach_the_settings() -> None:
    """Each option lands where it belongs, converted."""
    told = WalkOptions(
        window=duration("1h30m"), lag=duration("1d"), contamination=0.1, alerts_per_day=20, detector="robust_z", seed=7,
        domain_weight=["battery=2", "usage=0"], fit_split="train",
    )  # fmt: skip
    found = walk_settings(told, causes=True)
    assert (found.features.window, found.features.lag) == (duration("90m"), duration("24h"))
    assert found.detector.domain_weights == {"battery": 2.0, "usage": 0.0}
    assert (found.detector.random_state, found.detector.name, found.detector.alerts_per_day) == (7, "robust_z", 20)
    assert (found.fit_split, found.name_every_row) == ("train", True)
    assert walk_settings(WalkOptions()) == WalkSettings()


def test_every_column_role_of_the_files_connector_has_an_option() -> None:
    """What the connector can be told, the command line can tell it, several columns in one."""
    told = SourceOptions(option=["split=s"], cohort_column=["model", "os"], device_column="d", ignore_column=["x"])
    spec = source_spec("files", "here.csv", told)
    assert spec.options == {"split": "s", "cohort": "model,os", "device": "d", "ignore": "x"}
    roles = {name.removesuffix("_column") for name in SourceOptions.__annotations__} - {"option"}
    assert {role.rstrip("s") for role in OPTIONS} == roles


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("12h", 43200), ("1d", 86400), ("1h30m", 5400)])
def test_durations_are_read(text: str, seconds: int) -> None:
    """Days, hours, minutes and seconds, in that order."""
    assert duration(text).total_seconds() == seconds


@pytest.mark.parametrize("wrong", [("--connector", "flies"), ("--detector", "hybird")])
def test_a_run_that_cannot_work_is_not_started(anomalyst, ok, tmp_path: Path, wrong: tuple[str, str]) -> None:
    """What there is none of is refused before anything is stored."""
    assert anomalyst("run", "x.csv", *wrong, "--home", tmp_path).exit_code == 66
    assert ok(anomalyst("runs", "--json", "--home", tmp_path)) == []


def test_a_fleet_may_have_an_underscore_in_its_name(anomalyst, ok, telemetry: Path, tmp_path: Path) -> None:
    """Fleet names take one, run ids do not."""
    run = ok(anomalyst("start", telemetry, "--fleet", "my_fleet", "--json", "--home", tmp_path))
    assert (run["fleet"]["name"], run["id"].startswith("my-fleet-")) == ("my_fleet", True)
