"""What the reading commands print is what the stores hold."""

import re
from pathlib import Path

import pytest

from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.settings import Settings


@pytest.fixture
def records(walked: tuple[Path, str]):
    """The records that the commands read."""
    with App(Settings(home=walked[0])) as app:
        yield app.records


def test_anomalies_are_those_of_the_records(anomalyst, ok, walked: tuple[Path, str], records) -> None:
    """Same ids in the same order, with the total, the band and the metric at fault."""
    found, total = records.anomalies("default", AnomalyFilter(run=walked[1]), limit=7, offset=3)
    printed = ok(anomalyst("anomalies", "--run", walked[1], "--limit", 7, "--offset", 3, "--json", "--home", walked[0]))
    assert printed["total"] == total > 10
    assert [each["id"] for each in printed["anomalies"]] == [each.id for each in found]
    assert [each["top_metric"] for each in printed["anomalies"]] == [each.top_metric for each in found]


def test_anomalies_can_be_narrowed(anomalyst, ok, walked: tuple[Path, str]) -> None:
    """Device, metric, severity and time restrict what is listed."""
    home = walked[0]
    worst = ok(anomalyst("anomalies", "--limit", 1, "--json", "--home", home))["anomalies"][0]
    narrow = ("--device", worst["device"], "--metric", worst["top_metric"], "--min-severity", worst["severity"] - 1e-6)
    at = worst["time"].replace("Z", "")
    found = ok(anomalyst("anomalies", *narrow, "--since", at, "--until", at, "--json", "--home", home))
    assert [each["id"] for each in found["anomalies"]] == [worst["id"]]


def test_tables_name_times_as_utc_and_pages_as_pages(anomalyst, walked: tuple[Path, str]) -> None:
    """A person sees the zone, and that there is more."""
    said = anomalyst("anomalies", "--limit", 2, "--home", walked[0]).stdout
    assert "time (UTC)" in said
    assert "2 of " in said
    assert "from (UTC)" in anomalyst("incidents", "--home", walked[0]).stdout


def test_incidents_are_those_of_the_records(anomalyst, ok, walked: tuple[Path, str], records) -> None:
    """Ranked as the records rank them."""
    found, total = records.incidents("default", limit=5)
    printed = ok(anomalyst("incidents", "--limit", 5, "--json", "--home", walked[0]))
    assert (printed["total"], [each["id"] for each in printed["incidents"]]) == (total, [each.id for each in found])
    title = found[0].title
    assert title in anomalyst("incidents", "--home", walked[0]).stdout


def test_baselines_name_level_group_and_n(anomalyst, ok, walked: tuple[Path, str]) -> None:
    """The version in force, narrowed to one group."""
    home = walked[0]
    found = ok(anomalyst("baselines", "--fleet", "shop", "--level", "global", "--json", "--home", home))
    assert found["version"]["version"] == 1
    assert {each["level"] for each in found["baselines"]} == {"global"}
    assert {"OfflineTime_mean", "OfflineTime_std", "OfflineTime_change"} <= {each["feature"] for each in found["baselines"]}
    missing = anomalyst("baselines", "--fleet", "shop", "--version", 9, "--home", home)
    assert missing.exit_code == 66


def test_runs_say_where_they_stand(anomalyst, ok, walked: tuple[Path, str]) -> None:
    """The newest run is first; the table says complete."""
    home, run = walked
    assert ok(anomalyst("runs", "--json", "--home", home))[0]["id"] == run
    assert "complete" in anomalyst("runs", "--fleet", "shop", "--home", home).stdout


def test_show_says_what_the_run_is_of(anomalyst, walked: tuple[Path, str]) -> None:
    """Fleet and source stand beside their names."""
    said = anomalyst("show", walked[1], "--home", walked[0]).stdout
    assert re.search(r"^ *fleet +shop *$", said, re.MULTILINE)
    assert re.search(r"^ *source +files: .*telemetry\.parquet *$", said, re.MULTILINE)


def test_nothing_yet_is_said_in_words(anomalyst, tmp_path: Path) -> None:
    """A new home has no anomalies, and says what to look at."""
    assert "No anomalies. `anomalyst runs`" in anomalyst("anomalies", "--home", tmp_path).stdout
