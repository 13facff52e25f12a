"""The detectors that are installed, ours and others', all found through the entry-point group `anomalyst.detectors`."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from server.detectors.base import Detector
from server.errors import NotFound

GROUP = "anomalyst.detectors"


class Detectors:
    """Detectors by name; each is imported when it is first asked for."""

    def __init__(self, found: Mapping[str, EntryPoint] | None = None) -> None:
        self._found = {point.name: point for point in entry_points(group=GROUP)} if found is None else dict(found)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._found))

    def get(self, name: str) -> Detector:
        """The detector of that name. Raises `NotFound` with near matches."""
        if name not in self._found:
            raise NotFound("detector", name, self.names, listed_by="anomalyst doctor")
        detector: Detector = self._found[name].load()()
        return detector
