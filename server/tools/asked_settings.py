"""The settings that a run may be started with over MCP and HTTP: the knobs of a walk that people turn, in one flat object."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, ValidationError

from server.domain.duration import duration
from server.domain.settings import WalkSettings
from server.domain.telemetry import Frozen
from server.errors import InvalidInput
from server.tools.fields import AlertBudget, Contamination, Weights

Length = Annotated[str, Field(max_length=20)]
"""A length of time as `duration` reads it, which refuses others in clearer words than a pattern would."""

_FIELD_OF = {"detector": "name", "keep_baselines": "keep_for"}
"""Settings of a walk that are called otherwise here, as on the command line."""


class AskedSettings(Frozen, strict=True):
    """What decides a run's results besides its telemetry; what is left out keeps its default. A run keeps them for good."""

    detector: (
        Annotated[str, Field(min_length=1, max_length=60, description="The detector to train, such as hybrid.")] | None
    ) = None
    contamination: Contamination | None = None
    alerts_per_day: AlertBudget | None = Field(default=None, description="Anomalies a day to allow; replaces contamination.")
    domain_weights: Weights | None = None
    min_rows: (
        Annotated[int, Field(ge=2, le=1_000_000, description="Rows at which a baseline level starts to count.")] | None
    ) = None
    window: Length | None = Field(default=None, description="Length of the rolling window, such as 12h.")
    lag: Length | None = Field(default=None, description="How far back changes are taken, such as 24h.")
    keep_baselines: Length | None = Field(
        default=None, description="How far telemetry may go on before anything is learned anew; until then new rows are scored."
    )
    fit_split: (
        Annotated[
            str, Field(pattern=r"^[^\x00]*$", max_length=200, description="Learn only from rows whose split column says this.")
        ]
        | None
    ) = None

    def of_walk(self) -> WalkSettings:
        """The settings of a run that is started with these. Raises `InvalidInput` naming one that cannot be had."""
        told: dict[str, object] = {_FIELD_OF.get(name, name): value for name, value in self if value is not None}
        lengths = {"window": self.window, "lag": self.lag, "keep_baselines": self.keep_baselines}
        told |= {_FIELD_OF.get(name, name): _length(name, text) for name, text in lengths.items() if text is not None}
        try:
            return WalkSettings.from_flat(told)
        except ValidationError as error:
            wrong = error.errors()[0]
            asked_as = {field: name for name, field in _FIELD_OF.items()}
            name = str(wrong["loc"][-1])
            raise InvalidInput(f"`settings.{asked_as.get(name, name)}`: {wrong['msg']}.") from error


def _length(name: str, text: str) -> timedelta:
    try:
        return duration(text)
    except ValueError as error:
        raise InvalidInput(f"`settings.{name}`: {error}") from error
