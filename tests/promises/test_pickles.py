"""Attack: a pickle where a detector belongs. Opening one would run whatever it says."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from server.detectors.registry import Detectors
from server.detectors.stored import read_trained
from server.errors import ArtifactDamaged
from server.storage.artifacts import ArtifactFolder


class Bait:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("inside", [False, True])
def test_a_pickle_in_the_place_of_a_detector_is_refused_unread(tmp_path: Path, inside: bool) -> None:
    """As the whole file, and as an array within one; whoever puts it there is stopped by the hash before that."""
    mark, bait = tmp_path / "mark", tmp_path / "bait.npz"
    if inside:
        with bait.open("wb") as file:
            np.savez(file, about=np.array([Bait(mark)], dtype=object))
    else:
        bait.write_bytes(pickle.dumps(Bait(mark)))
    with pytest.raises(ValueError, match="pickle"):
        read_trained(bait, Detectors())
    folder = ArtifactFolder(tmp_path / "artifacts")
    name = folder.write("run-1", "train_detector", ".npz", lambda path: path.write_bytes(b"good") and None)
    (tmp_path / "artifacts/run-1" / name).write_bytes(bait.read_bytes())
    with pytest.raises(ArtifactDamaged):
        folder.open("run-1", name)
    assert not mark.exists()
