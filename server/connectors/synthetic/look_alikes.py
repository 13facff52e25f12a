"""What looks like an incident and is none. A new kind is one function and one entry of `LOOK_ALIKES`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from server.connectors.synthetic.catalogue import (
    BATTERY,
    CONNECTED,
    DISCONNECTS,
    DOWNLOAD,
    NEW_MODEL,
    OFFLINE,
    OLD_MODEL,
    SIGNAL,
    STORAGE,
    UPLOAD,
)
from server.connectors.synthetic.episodes import Course, Effect, EffectOf, Scope


def stock_take(course: Course) -> Effect:
    """Everyone counts goods: all rates up while the store works."""
    busy = 3 * (0.2 + 0.8 * course.activity)
    return Effect({BATTERY: busy, DOWNLOAD: busy, UPLOAD: busy, DISCONNECTS: 0.7 * busy, OFFLINE: 0.5 * busy})


def new_app_drain(_: Course) -> Effect:
    """Drain a tenth higher, for good: a new normal."""
    return Effect(factor={BATTERY: 1.10})


def docked_kiosk(_: Course) -> Effect:
    """Never off its dock, never carried about: no drain, hardly a disconnect."""
    return Effect({SIGNAL: 0.5}, {BATTERY: 0.02, DISCONNECTS: 0.15, OFFLINE: 0.15})


def cold_store(_: Course) -> Effect:
    """Batteries give less in the cold, and steel walls swallow signal: always so, at this store."""
    return Effect({SIGNAL: -1.5}, {BATTERY: 1.35})


def patch_day(course: Course) -> Effect:
    """Every device fetches the same patch in the same night."""
    return Effect({DOWNLOAD: np.full_like(course.hours, 5.0), BATTERY: 1.0})


def inventory_scan(_: Course) -> Effect:
    """A scripted scan that uploads the store's inventory."""
    return Effect({UPLOAD: 4.0, BATTERY: 2.0, DOWNLOAD: 1.5})


def first_days(course: Course) -> Effect:
    """Set-up: apps are fetched, indexed and stored, less each day."""
    fading = 1 - course.progress
    return Effect({DOWNLOAD: 4 * fading, BATTERY: 2.5 * fading, STORAGE: 4 * fading, CONNECTED: -1.0 * fading})


def nothing_of_its_own(_: Course) -> Effect:
    """The look-alike is in the structure: in the shifts, the clocks or the roster."""
    return Effect()


@dataclass(frozen=True, slots=True)
class LookAlikeType:
    """A benign kind of change; `announced` is how the change log tells of it, empty if it does not."""

    effect: EffectOf
    scope: Scope
    announced: str = ""
    kind: str = ""
    before: str = ""
    after: str = ""


LOOK_ALIKES: Mapping[str, LookAlikeType] = {
    "stock_take": LookAlikeType(stock_take, Scope.STORE, "stock-take", "operation"),
    "new_app_drain": LookAlikeType(
        new_app_drain, Scope.MODEL, "a new scanning app was installed", "app_release", "scan 2.9", "scan 3.0"
    ),
    "night_shift": LookAlikeType(
        nothing_of_its_own, Scope.STORE, "a night shift was added", "operation", "closed at night", "open 22:00-06:00"
    ),
    "docked_kiosks": LookAlikeType(docked_kiosk, Scope.DEVICE),
    "cold_store": LookAlikeType(cold_store, Scope.STORE),
    "patch_day": LookAlikeType(patch_day, Scope.FLEET, "monthly security patches", "security_patch"),
    "inventory_scan": LookAlikeType(inventory_scan, Scope.STORE),
    "cohort_mix_refresh": LookAlikeType(
        nothing_of_its_own, Scope.STORE, "old devices were replaced", "device_refresh", OLD_MODEL, NEW_MODEL
    ),
    "daylight_saving": LookAlikeType(nothing_of_its_own, Scope.ZONE),
    "new_device_first_days": LookAlikeType(first_days, Scope.DEVICE),
}
"""Every kind of look-alike, in the order of the slots that stores take."""
