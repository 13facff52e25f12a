"""Spark as the setting chooses it: refused clearly where it is not there, and walked once where it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.errors import InvalidInput


def test_spark_without_pyspark_is_refused_with_the_way_out(
    opened: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is ingested."""
    monkeypatch.setitem(__import__("sys").modules, "pyspark.sql", None)
    with pytest.raises(InvalidInput, match=r"pip install 'anomalyst\[spark\]'.*ANOMALYST_ENGINE=duckdb"):
        _ = opened(tmp_path, "spark").walk


def test_spark_without_java_is_refused_with_the_way_out(
    needs_spark: None,  # noqa: ARG001 - skips
    opened: Callable[..., App],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before Spark fails in its own words."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(InvalidInput, match="there is no Java"):
        _ = opened(tmp_path, "spark").walk


def test_a_walk_on_spark_finds_what_the_embedded_engine_finds(embedded: Any, on_spark: Any) -> None:
    """The one test of a whole walk that the fast suite can afford; the slow ones compare every stage."""
    found, expected = (
        [each.id for each in walked.app.records.anomalies("default", AnomalyFilter(run=walked.run.id), limit=1000)[0]]
        for walked in (on_spark, embedded)
    )
    assert len(found) > 10
    assert found == expected
