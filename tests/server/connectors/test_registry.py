"""Connectors are found by name, built-in ones through the entry points like any other."""

from importlib.metadata import EntryPoint

import pytest

from server.connectors.files import FilesConnector
from server.connectors.registry import GROUP, Connectors
from server.errors import InvalidInput, NotFound, PathNotAllowed


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


class Plugged:
    """A plug-in that opens paths and checks nothing."""

    name = "plugged"
    opens_paths = True

    def open(self, location, options):
        """Whatever is there."""
        return FilesConnector().open(location, options)


class Told(Plugged):
    """The same, whose locations are no paths, as it says."""

    opens_paths = False


def test_a_plug_in_that_opens_paths_is_held_to_the_folders_that_may_be_read(tmp_path):
    """Also where a link or `..` leads out; one that says that its locations are no paths is not."""
    inside, outside = tmp_path / "inside", tmp_path / "outside.csv"
    inside.mkdir()
    outside.write_text("device,time,x\na,2026-01-01,1\n")
    (inside / "link.csv").symlink_to(outside)
    (inside / "own.csv").write_text(outside.read_text())
    connectors = Connectors([Plugged()], points=[], roots=[inside])
    for location in (str(outside), str(inside / "link.csv"), f"{inside}/../outside.csv", f"{outside}::table"):
        with pytest.raises(PathNotAllowed, match="outside the folders"):
            connectors.open("plugged", location, {})
    assert connectors.open("plugged", str(inside / "own.csv"), {}).rows is None
    assert Connectors([Told()], points=[], roots=[inside]).open("plugged", str(outside), {}).name == "outside.csv"


class Silent:
    """A plug-in that does not say what its locations are."""

    name = "silent"


def test_a_plug_in_that_does_not_say_whether_it_opens_paths_is_refused():
    """Taken for none, a path would escape the folders that may be read; taken for one, an address would be made a path."""
    point = EntryPoint("silent", f"{__name__}:Silent", GROUP)
    with pytest.raises(InvalidInput, match="opens_paths"):
        Connectors(points=[point]).opens_paths("silent")
