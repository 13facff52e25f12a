"""What somebody had before them is offered again, after a restart too."""

from pathlib import Path

from chat_ui.opened import Opened


def test_what_was_open_outlives_the_process(tmp_path: Path) -> None:
    """By person, in order, each once; what is decided is forgotten."""
    path = tmp_path / "opened.json"
    before = Opened(path)
    for suggestion in ("s-1", "s-2", "s-1"):
        before.add("ann", suggestion)
    before.add("bob", "s-1")
    before.remove("bob", "s-1")
    after = Opened(path)
    assert after.of("ann") == ["s-1", "s-2"]
    assert after.of("bob") == []
    assert after.of("eve") == []
