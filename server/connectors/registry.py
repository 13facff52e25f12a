"""Connectors by name: the entry points of the group `anomalyst.connectors`. Built-in ones come through the same door."""

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points

from server.connectors.base import Connector, Keeping, Source
from server.connectors.locations import Roots, allowed
from server.errors import InvalidInput, NotFound

GROUP = "anomalyst.connectors"


class Connectors:
    """Connectors, loaded when first asked for; `configured` ones replace those of their name.

    Those that open paths open them below `roots` only.
    """

    def __init__(
        self, configured: Iterable[Connector] = (), points: Iterable[EntryPoint] | None = None, *, roots: Roots = None
    ) -> None:
        self._roots = roots
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
            InvalidInput: the package that offers it is broken, or it does not say whether it opens paths.
        """
        if name not in self._loaded:
            if name not in self._points:
                raise NotFound("connector", name, self.names, listed_by="anomalyst doctor")
            self._loaded[name] = _load(self._points[name])
        return self._loaded[name]

    def opens_paths(self, name: str) -> bool:
        """Whether that connector's locations are paths on this machine. Raises what `get` raises."""
        return self.get(name).opens_paths

    def open(self, name: str, location: str, options: Mapping[str, str]) -> Source:
        """The source at `location`, opened by the connector of that name.

        Raises:
            PathNotAllowed: the location is a path outside the folders that may be read.
            NotFound, InvalidInput: as `get` and the connector's own `open` say.
        """
        if self.opens_paths(name):
            allowed(location, self._roots)
        return self.get(name).open(location, options)

    def let_go(self, name: str, location: str) -> None:
        """Have the connector remove what it keeps of the location, if it keeps anything: it was ingested."""
        connector = self.get(name)
        if isinstance(connector, Keeping):
            connector.let_go(location)


def _load(point: EntryPoint) -> Connector:
    try:
        connector = point.load()()
    except (ImportError, AttributeError, TypeError) as error:
        raise InvalidInput(
            f"connector {point.name} ({point.value}) cannot be loaded: {error}. Reinstall or remove it."
        ) from error
    if not isinstance(getattr(connector, "opens_paths", None), bool):  # a path that is taken for none would escape the roots
        raise InvalidInput(
            f"connector {point.name} ({point.value}) does not say whether its locations are paths on this machine. "
            "Give its class `opens_paths = True` or `False`."
        )
    return connector
