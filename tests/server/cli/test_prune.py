"""`prune` on the command line, and what `doctor` says of the models that are left."""

import shutil
from pathlib import Path


def test_prune_says_what_would_go_and_then_removes_it(anomalyst, ok, walked: tuple[Path, str], tmp_path: Path) -> None:
    """The dry run's table is what then happens; the newest run stays, with the reason, and is still shown."""
    home, run = shutil.copytree(walked[0], tmp_path / "home"), walked[1]
    told = anomalyst("prune", "--older-than", "1s", "--dry-run", "--home", home).stdout
    assert run in told
    assert "it is the newest finished run" in told
    assert "0 runs" in told
    anomalyst("fleet", tmp_path / "other", "--devices", "24", "--days", "4", "--seed", "9")
    second = ok(anomalyst("run", tmp_path / "other/telemetry.parquet", "--fleet", "shop", "--json", "--home", home))["id"]
    bounds = ("--keep-runs", "1", "--json", "--home", home)
    would = ok(anomalyst("prune", "--dry-run", *bounds))
    assert [each["run"] for each in would["runs"]] == [run]
    assert would["bytes"] > 0
    assert ok(anomalyst("prune", *bounds)) == would | {"dry_run": False}
    assert [each["id"] for each in ok(anomalyst("runs", "--json", "--home", home))] == [second]
    assert anomalyst("show", run, "--home", home).exit_code == 66


def test_prune_follows_the_settings_and_refuses_to_guess(
    anomalyst, walked: tuple[Path, str], tmp_path: Path, monkeypatch
) -> None:
    """With no bound anywhere it removes nothing, and says what to say."""
    home = shutil.copytree(walked[0], tmp_path / "home")
    refused = anomalyst("prune", "--home", home)
    assert (refused.exit_code, "Say how many runs" in refused.output) == (64, True)
    monkeypatch.setenv("ANOMALYST_RETENTION__KEEP_RUNS", "3")
    assert anomalyst("prune", "--home", home).exit_code == 0
    monkeypatch.setenv("ANOMALYST_RETENTION__KEEP_RUNS", "0")
    assert anomalyst("prune", "--home", home).exit_code == 64


def test_doctor_finds_a_model_whose_bytes_have_changed(anomalyst, walked: tuple[Path, str], tmp_path: Path) -> None:
    """And says which stage makes it anew."""
    home = shutil.copytree(walked[0], tmp_path / "home")
    (model,) = home.glob("artifacts/*/train_detector-*.npz")
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    found = anomalyst("doctor", "--home", home)
    assert found.exit_code == 1
    assert "Run train_detector again" in " ".join(found.stdout.split())
