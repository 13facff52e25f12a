"""Where chance comes from: every stream depends on the seed and on what it is for, never on the size of the fleet."""

from enum import IntEnum
from functools import lru_cache

import numpy as np


class Stream(IntEnum):
    """What a stream of random numbers is for: the first part of its key."""

    IDENTITY = 0
    NOISE = 1
    FAULTS = 2
    STORE = 3
    MODEL = 4
    EPISODE = 5
    DEVICE_SLOTS = 6
    STORE_SLOTS = 7
    CUSTOMER_SLOTS = 8


def stream(seed: int, kind: Stream, *key: int) -> np.random.Generator:
    """A generator of its own for that use and key (a device's index, a store's)."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(int(kind), *key))))


@lru_cache(maxsize=512)
def slots(seed: int, kind: Stream, block: int, size: int, packed: int) -> tuple[int, ...]:
    """The members of a block in drawn order: slot k belongs to the k-th entry (a position below `size`).

    Each block of `size` devices or stores gives one member to each slot, so that every kind of thing happens at the same
    rate in fleets of any size. The first block draws from its first `packed` members only: small fleets have some too.
    """
    order = stream(seed, kind, block).permutation(packed if block == 0 else size)
    return tuple(int(place) for place in order)


def slot_of(seed: int, kind: Stream, index: int, *, size: int, packed: int) -> int:
    """Which slot of its block that member holds; `size` if none."""
    block, place = divmod(index, size)
    order = slots(seed, kind, block, size, packed)
    return order.index(place) if place in order else size
