"""Artifacts of runs: files under names that hold the digest of their bytes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol


class ArtifactStore(Protocol):
    """Content-addressed files: a name holds the digest of the bytes, checked when the artifact is opened."""

    def write(self, run: str, stage: str, suffix: str, writer: Callable[[Path], object]) -> str:
        """Call `writer` with a temporary path, then move the file in place, durable.

        Returns its name `<stage>-<digest><suffix>`.
        """
        ...

    def open(self, run: str, name: str) -> Path:
        """Path of a verified artifact.

        Raises:
            NotFound: it is absent.
            ArtifactDamaged: its bytes are not what its name says.
        """
        ...

    def names(self) -> Iterator[tuple[str, str]]:
        """Run and name of every artifact that there is, in order."""
        ...

    def digest(self, name: str) -> str:
        """The digest in an artifact's name."""
        ...

    def size(self, run: str) -> int:
        """Bytes of all files of a run; 0 if it has none."""
        ...

    def remove(self, run: str) -> None:
        """Remove all files of a run. One without any changes nothing."""
        ...
