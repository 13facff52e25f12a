"""Pytest plugin: every server of the process uses one Spark session, because to start one takes longer than most tests."""

from collections.abc import Iterator

import pytest

from server.engines.spark.cluster import Cluster


@pytest.fixture(scope="session", autouse=True)
def one_session() -> Iterator[None]:
    """Servers leave the session running; it ends with the process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cluster, "close", lambda _: None)
        yield
