"""The form that incidents and look-alikes share: what happens to one device over one stretch of time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
"""Single precision in practice: a fleet is made in half the memory."""


class Scope(StrEnum):
    """What an episode strikes; the word is also how truth tables name it."""

    DEVICE = "device"
    STORE = "store"
    CUSTOMER = "customer"
    UPDATE = "update"
    MODEL = "model"
    ZONE = "zone"
    FLEET = "fleet"


class Manifest(StrEnum):
    """How an incident shows itself."""

    STEP = "step"
    SLOW = "slow"
    MULTIVARIATE = "multivariate"


@dataclass(frozen=True, slots=True)
class Episode:
    """Something that happens to a device in steps `first` to `last` (exclusive); `id` is shared by all devices it strikes.

    `began` is when it did anywhere, whether or not this device was in service then.
    """

    id: str
    type: str
    scope: str
    first: int
    last: int
    strength: float = 1.0
    tier: str = ""
    manifest: Manifest = Manifest.STEP
    began: int = 0


@dataclass(frozen=True, slots=True)
class Course:
    """What an effect is computed from: hours since onset, local activity (0 asleep, 1 busy) and how strong it is, in sigma."""

    hours: FloatArray
    activity: FloatArray
    strength: float

    @property
    def progress(self) -> FloatArray:
        """0 at onset, 1 at the end."""
        return self.hours / max(float(self.hours[-1]), 1.0)


@dataclass(frozen=True, slots=True)
class Effect:
    """What an episode does: shifts in units of the device's own noise, factors on a metric's level and noise (not for traffic,
    whose level is a logarithm), and metrics whose noise turns against those it used to move with."""

    shift: Mapping[str, FloatArray | float] = field(default_factory=dict[str, "FloatArray | float"])
    factor: Mapping[str, float] = field(default_factory=dict[str, float])
    flipped: tuple[str, ...] = ()


EffectOf = Callable[[Course], Effect]
