"""The metric catalogue, built in and from a user's file."""

import pytest

from server.domain.catalogue import CATALOGUE, load_catalogue, metric_named
from server.domain.telemetry import HarmfulDirection, Metric
from server.errors import InvalidInput

TOML = '[metrics.Download]\nupper = 5e9\n[metrics.Temp]\nunit = "C"\nharmful = "higher"\n'
YAML = "metrics:\n  Download: {upper: 5e9}\n  Temp: {unit: C, harmful: higher}\n"


def test_the_eight_metrics_of_a_mobile_fleet_are_known():
    """Each with a domain and bounds or sentinels."""
    assert len(CATALOGUE) == 8
    assert {metric.domain for metric in CATALOGUE} == {"battery", "storage", "usage", "connectivity"}
    assert metric_named("TotalFreeStorageKb").harmful is HarmfulDirection.LOWER


def test_an_unknown_metric_is_known_by_its_name_only():
    """Nothing is guessed."""
    assert metric_named("volt") == Metric.model_validate({"name": "volt"})


@pytest.mark.parametrize(("name", "text"), [("c.toml", TOML), ("c.yaml", YAML.replace("5e9", "5.0e+9"))])
def test_a_file_overrides_fields_and_adds_metrics(tmp_path, name, text):
    """Fields that it leaves out keep their built-in value."""
    (tmp_path / name).write_text(text)
    catalogue = load_catalogue(tmp_path / name)
    download, temp = metric_named("Download", catalogue), metric_named("Temp", catalogue)
    assert (download.upper, download.unit, download.lower) == (5e9, "KiB", 0)
    assert (temp.unit, temp.harmful, len(catalogue)) == ("C", HarmfulDirection.HIGHER, 9)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[metrics.Download]\nuper = 1\n", "metric Download: .*'uper'. Did you mean upper"),
        ("[metrics.Download]\nlower = 5\nupper = 1\n", "Download.*lower bound"),
        ('[metrics.Temp]\nharmful = "up"\n', "metric Temp: harmful"),
        ("[metrics]\nTemp = 3\n", "metric Temp: 3"),
        ("[metric.Temp]\nupper = 3\n", "one table `metrics`"),
        ("metrics = [", "no readable metric catalogue"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, text, says):
    """The message names the entry and the field."""
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=says):
        load_catalogue(path)


def test_an_absent_file_is_refused(tmp_path):
    """By name."""
    with pytest.raises(InvalidInput, match=r"absent\.toml"):
        load_catalogue(tmp_path / "absent.toml")
