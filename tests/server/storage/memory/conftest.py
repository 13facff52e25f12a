"""Decisions to remember and a memory in a folder."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.domain.memory import DecisionKind, RememberedDecision
from server.domain.telemetry import Fleet
from server.storage.memory import QdrantMemory

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def make_decision() -> Callable[..., RememberedDecision]:
    """Makes a decision by id; whatever is not given is a false alarm about charging kiosks."""

    def make(name: str, *, tenant: str = "acme", fleet: str = "default", day: int = 0, **given: object) -> RememberedDecision:
        usual = {
            "kind": DecisionKind.VERDICT,
            "outcome": "false_alarm",
            "words": "docked kiosks in the lobby",
            "signature": {"TotalBatteryLevelDrop_mean": -4.0},
            "by": "ann",
            "time": START + timedelta(days=day),
        }
        return RememberedDecision.model_validate(usual | {"id": name, "fleet": Fleet(tenant=tenant, name=fleet)} | given)

    return make


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[QdrantMemory]:
    """An empty memory in a folder."""
    memory = QdrantMemory(tmp_path / "memory")
    yield memory
    memory.close()
