"""Connectors by name: the entry points of the group `anomalyst.connectors`. Built-in ones come through the same door."""

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points

from server.connectors.base import Connector, Source
from server.errors import InvalidInput, NotFound

GROUP = "anomalyst.connectors"


class Connectors:
    """Connectors, loaded when first asked for; `configured` ones replace those of their name."""

    def __init__(self, configured: Iterable[Connector] = (), points: Iterable[EntryPoint] | None = None) -> None:
        self._loaded = {connector.name: connector for connector in configured}
        self._points = {point.name: point for point in (entry_points(group=GROUP) if points is None else points)}

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted({*self._loaded, *self._points}))

    def get(self, name: str) -> Connector:
        """The connector of that name.

        Raises:
            NotFound: there is none; near matches are named.
            InvalidInput: the package that offers it is broken.
        """
        if name not in self._loaded:
            if name not in self._points:
                raise NotFound("connector", name, self.names)
            self._loaded[name] = _load(self._points[name])
        return self._loaded[name]

    def open(self, name: str, location: str, options: Mapping[str, str]) -> Source:
        """The source at `location`, opened by the connector of that name, with what `get` and its `open` raise."""
        return self.get(name).open(location, options)


def _load(point: EntryPoint) -> Connector:
    try:
        return point.load()()
    except (ImportError, AttributeError, TypeError) as error:
        raise InvalidInput(
            f"connector {point.name} ({point.value}) cannot be loaded: {error}. Reinstall or remove it."
        ) from error
