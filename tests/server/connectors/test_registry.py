"""Connectors are found by name, built-in ones through the entry points like any other."""

from importlib.metadata import EntryPoint

import pytest

from server.connectors.files import FilesConnector
from server.connectors.registry import GROUP, Connectors
from server.errors import InvalidInput, NotFound


def test_the_built_in_connectors_come_through_the_entry_points():
    """No list in the code names them."""
    assert {"files", "synthetic"} <= set(Connectors().names)
    assert isinstance(Connectors().get("files"), FilesConnector)


def test_a_configured_connector_replaces_the_one_of_its_name(tmp_path):
    """This is how allowed roots reach it."""
    configured = FilesConnector([tmp_path])
    assert Connectors([configured]).get("files") is configured


def test_an_unknown_name_is_not_found_and_near_ones_are_named():
    """So the next call can be right."""
    with pytest.raises(NotFound, match="files"):
        Connectors().get("file")


def test_a_broken_plug_in_is_named_and_the_others_work():
    """One bad package does not take the others along."""
    broken = EntryPoint("broken", "server.connectors.absent:Nothing", GROUP)
    with pytest.raises(InvalidInput, match="broken"):
        Connectors(points=[broken]).get("broken")
