"""The kinds of incident: what each does to a device, in sigma. A new kind is one function and one entry of `INCIDENTS`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from server.connectors.synthetic.catalogue import (
    BATTERY,
    CONNECTED,
    DISCONNECTS,
    DOWNLOAD,
    OFFLINE,
    SIGNAL,
    STORAGE,
    UPLOAD,
)
from server.connectors.synthetic.episodes import Course, Effect, EffectOf, Scope


def battery_drain(course: Course) -> Effect:
    """Drain is higher for as long as it lasts."""
    return Effect({BATTERY: course.strength})


def app_crash_loop(course: Course) -> Effect:
    """Each crash uploads a report and starts the app again."""
    return Effect({UPLOAD: course.strength, BATTERY: 0.6 * course.strength, DOWNLOAD: 0.3 * course.strength})


def storage_leak(course: Course) -> Effect:
    """Free storage falls by `strength` sigma a day."""
    return Effect({STORAGE: -course.strength * course.hours / np.float32(24)})


def data_spike(course: Course) -> Effect:
    """Traffic multiplies, and draws on the battery a little."""
    return Effect({DOWNLOAD: course.strength, UPLOAD: 0.6 * course.strength, BATTERY: 0.3 * course.strength})


def wifi_roam_storm(course: Course) -> Effect:
    """Devices hop between access points and hear them badly; worse when people walk about."""
    storm = course.strength * (0.5 + 0.5 * course.activity)
    return Effect({DISCONNECTS: storm, SIGNAL: -0.6 * storm, OFFLINE: 0.4 * storm})


def offline_storm(course: Course) -> Effect:
    """The site's uplink is gone; nothing can be sent, nothing comes in."""
    return Effect(
        {
            OFFLINE: course.strength,
            CONNECTED: -course.strength,
            DOWNLOAD: -0.7 * course.strength,
            UPLOAD: -0.7 * course.strength,
        }
    )


def battery_ageing(course: Course) -> Effect:
    """Drain climbs over weeks, to full strength at two thirds of the time."""
    return Effect({BATTERY: course.strength * np.minimum(1, 1.5 * course.progress)})


def dock_fault(course: Course) -> Effect:
    """The dock does not charge: drain at night, when there should be none; days look as always."""
    return Effect({BATTERY: course.strength * (course.activity < 0.1).astype(np.float32)})


def reboot_loop(course: Course) -> Effect:
    """Every restart drops the connection and costs battery."""
    return Effect({DISCONNECTS: course.strength, OFFLINE: 0.7 * course.strength, BATTERY: 0.5 * course.strength})


def carrier_outage(course: Course) -> Effect:
    """The carrier's network is down for the devices on it."""
    return Effect({OFFLINE: course.strength, DOWNLOAD: -course.strength, UPLOAD: -0.8 * course.strength})


def lost_device(course: Course) -> Effect:
    """Carried out of reach: the signal fades, the device drops off, and then there is silence."""
    return Effect({SIGNAL: -course.strength * np.minimum(1, 2 * course.progress), OFFLINE: course.strength})


def combination(course: Course) -> Effect:
    """Two faults at once: a storage leak on a device whose app crashes."""
    return Effect({**storage_leak(course).shift, **app_crash_loop(course).shift})


@dataclass(frozen=True, slots=True)
class IncidentType:
    """A kind of incident. `metrics` begins with the cause's own; `share` is how much of its scope it strikes."""

    effect: EffectOf
    metrics: tuple[str, ...]
    cause: str
    scope: Scope
    hours: tuple[int, int]
    share: float = 1.0
    model: str = ""
    to_the_end: bool = False
    silence_after: bool = False
    withholds_rows: bool = False


INCIDENTS: Mapping[str, IncidentType] = {
    "battery_drain_after_update": IncidentType(
        battery_drain,
        (BATTERY,),
        "the OS update drains the battery, on each device from its own update on",
        Scope.UPDATE,
        (120, 192),
        share=0.4,
        model="TC57",
    ),
    "app_crash_loop": IncidentType(
        app_crash_loop,
        (UPLOAD, BATTERY, DOWNLOAD),
        "an app release of one customer crashes and restarts in a loop",
        Scope.CUSTOMER,
        (48, 96),
        share=0.15,
    ),
    "storage_leak": IncidentType(storage_leak, (STORAGE,), "an app never deletes its logs", Scope.DEVICE, (144, 240)),
    "data_spike": IncidentType(data_spike, (DOWNLOAD, UPLOAD, BATTERY), "a sync starts over and over", Scope.DEVICE, (12, 48)),
    "wifi_roam_storm": IncidentType(
        wifi_roam_storm,
        (DISCONNECTS, SIGNAL, OFFLINE),
        "an access point of the store fails and devices roam between the others",
        Scope.STORE,
        (24, 60),
    ),
    "offline_storm": IncidentType(
        offline_storm,
        (OFFLINE, CONNECTED, DOWNLOAD, UPLOAD),
        "the store's uplink is down; its rows arrive in one flood afterwards",
        Scope.STORE,
        (6, 12),
        withholds_rows=True,
    ),
    "battery_ageing": IncidentType(
        battery_ageing, (BATTERY,), "the battery is worn out", Scope.DEVICE, (240, 480), to_the_end=True
    ),
    "dock_fault": IncidentType(dock_fault, (BATTERY,), "the dock does not charge at night", Scope.DEVICE, (120, 240)),
    "reboot_loop": IncidentType(
        reboot_loop,
        (DISCONNECTS, OFFLINE, BATTERY),
        "this OS version restarts this model in a loop",
        Scope.UPDATE,
        (48, 96),
        share=0.4,
        model="CT60",
    ),
    "carrier_outage": IncidentType(
        carrier_outage, (OFFLINE, DOWNLOAD, UPLOAD), "the carrier's network is down", Scope.CUSTOMER, (4, 10), share=0.4
    ),
    "lost_device": IncidentType(
        lost_device, (SIGNAL, OFFLINE), "the device was lost and fell silent", Scope.DEVICE, (8, 24), silence_after=True
    ),
    "combination": IncidentType(
        combination,
        (STORAGE, UPLOAD, BATTERY, DOWNLOAD),
        "a storage leak and a crash loop at once",
        Scope.DEVICE,
        (72, 120),
    ),
}
"""Every kind, in the order in which they take their slots; append new ones, so that older fleets keep theirs."""
