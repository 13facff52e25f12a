"""How healthy devices behave, and how episodes bend it: from activity and noise to the values of the eight metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from server.connectors.synthetic.calendar import Calendar
from server.connectors.synthetic.catalogue import (
    BATTERY,
    CONNECTED,
    DISCONNECTS,
    DOWNLOAD,
    METRIC_NAMES,
    OFFLINE,
    PLACE_OF,
    SIGNAL,
    STORAGE,
    UPLOAD,
)
from server.connectors.synthetic.draws import Stream, stream
from server.connectors.synthetic.episodes import Course, Effect, Episode, FloatArray, Manifest
from server.connectors.synthetic.incidents import INCIDENTS
from server.connectors.synthetic.look_alikes import LOOK_ALIKES
from server.connectors.synthetic.roster import Device

_WORK, _RADIO = len(METRIC_NAMES), len(METRIC_NAMES) + 1
_LOADING: dict[str, tuple[int, float]] = {
    BATTERY: (_WORK, 0.60),
    DOWNLOAD: (_WORK, 0.70),
    UPLOAD: (_WORK, 0.65),
    OFFLINE: (_RADIO, 0.75),
    DISCONNECTS: (_RADIO, 0.75),
    SIGNAL: (_RADIO, -0.55),
    CONNECTED: (_RADIO, -0.20),
}
"""The common cause that a metric's noise shares, and how strongly; free storage shares none."""
_DAY_SHARE = 0.25
_TAIL, _TAIL_SD = np.float32(0.03), np.float32(np.sqrt(1 + 6 * 0.03 + 15 * 0.03**2))
_LOGARITHMIC = (PLACE_OF[DOWNLOAD], PLACE_OF[UPLOAD])


@dataclass(frozen=True, slots=True)
class Latent:
    """What values are made of: each array is (8 metrics, devices, steps); a value is level + sigma x noise.

    Traffic is so in its logarithm. `chance` (devices, steps) is uniform, for rounding counts without bias.
    """

    level: FloatArray
    sigma: FloatArray
    noise: FloatArray
    chance: FloatArray


def latent(calendar: Calendar, devices: Sequence[Device]) -> Latent:
    """The healthy behaviour of the devices, before any episode."""
    noise, chance, traits = _noise(calendar, devices)
    activity = np.stack([calendar.store(device.store).activity for device in devices])
    level, sigma = _levels(calendar, devices, activity, traits)
    return Latent(level, sigma, noise, chance)


def bend(made: Latent, row: int, episodes: Sequence[Episode], activity: FloatArray, step_hours: float) -> None:
    """Apply the episodes to the device at position `row`, in place."""
    for episode in episodes:
        span = slice(episode.first, episode.last)
        hours = np.arange(episode.last - episode.first, dtype=np.float32) * np.float32(step_hours)
        course = Course(hours, activity[span], episode.strength)
        kind = INCIDENTS.get(episode.type) or LOOK_ALIKES[episode.type]
        _apply(made, row, span, shown_as(episode, kind.effect(course), course))


def shown_as(episode: Episode, effect: Effect, course: Course) -> Effect:
    """The effect in the incident's manifest: at once, slowly, or (a tenth of it) beside a broken correlation."""
    if episode.manifest is Manifest.SLOW:
        ramp = np.minimum(1, 1.5 * course.progress)
        return Effect({name: shift * ramp for name, shift in effect.shift.items()}, effect.factor)
    if episode.manifest is Manifest.MULTIVARIATE:
        cause = next(iter(effect.shift))
        return Effect({name: 0.1 * shift for name, shift in effect.shift.items()}, effect.factor, (cause,))
    return effect


def values(made: Latent, step_hours: float) -> FloatArray:
    """The metrics as the devices report them: whole counts, seconds within the interval, dBm and percent within bounds."""
    drawn = made.level + made.sigma * made.noise
    seconds = np.float32(3600 * step_hours)
    battery, storage = drawn[PLACE_OF[BATTERY]], drawn[PLACE_OF[STORAGE]]
    np.divide(np.rint(np.clip(battery, 0, 100) * 10), 10, out=battery)
    np.rint(np.maximum(storage, 0), out=storage)
    for place in _LOGARITHMIC:
        np.rint(np.exp(np.clip(drawn[place], 0, 22)) - 1, out=drawn[place])
    offline, connected = drawn[PLACE_OF[OFFLINE]], drawn[PLACE_OF[CONNECTED]]
    np.rint(np.clip(offline, 0, seconds), out=offline)
    # Connected time is what is left of the interval after time offline and time unaccounted for, never a draw of its own.
    unaccounted = np.maximum(2 * made.level[PLACE_OF[CONNECTED]] - connected, 0)
    np.rint(np.clip(seconds - offline - unaccounted, 0, seconds), out=connected)
    disconnects = drawn[PLACE_OF[DISCONNECTS]]
    np.floor(np.maximum(disconnects, 0) + made.chance, out=disconnects)
    signal = drawn[PLACE_OF[SIGNAL]]
    np.rint(np.clip(signal, -95, -25), out=signal)
    return drawn


def _noise(calendar: Calendar, devices: Sequence[Device]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Correlated, heavy-tailed standard noise (8, devices, steps), uniforms (devices, steps) and device traits (8, devices)."""
    plan, kinds = calendar.plan, len(METRIC_NAMES)
    raw = np.empty((len(devices), kinds + 2, plan.steps), dtype=np.float32)
    chance = np.empty((len(devices), plan.steps), dtype=np.float32)
    traits = np.empty((kinds, len(devices)), dtype=np.float32)
    days = np.arange(plan.steps) // plan.span(24)
    for row, device in enumerate(devices):
        rng = stream(plan.seed, Stream.NOISE, device.index)
        traits[:, row] = rng.standard_normal(kinds, dtype=np.float32)
        of_day = rng.standard_normal((2, plan.days), dtype=np.float32)
        rng.standard_normal(dtype=np.float32, out=raw[row])
        rng.random(dtype=np.float32, out=chance[row])
        raw[row, kinds:] = np.sqrt(1 - _DAY_SHARE) * raw[row, kinds:] + np.sqrt(_DAY_SHARE) * of_day[:, days]
    noise = np.empty((kinds, len(devices), plan.steps), dtype=np.float32)
    for place, name in enumerate(METRIC_NAMES):
        factor, loading = _LOADING.get(name, (_WORK, 0.0))
        mixed = np.float32(loading) * raw[:, factor] + np.float32(np.sqrt(1 - loading**2)) * raw[:, place]
        noise[place] = mixed * (1 + _TAIL * mixed * mixed) / _TAIL_SD
    return noise, chance, traits


def _levels(
    calendar: Calendar, devices: Sequence[Device], activity: FloatArray, traits: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Level and noise scale of each metric, both (8, devices, steps)."""
    hours = np.float32(calendar.plan.step_hours)
    level = np.empty((len(METRIC_NAMES), *activity.shape), dtype=np.float32)
    sigma = np.empty_like(level)
    drain = np.array([device.model.drain for device in devices], dtype=np.float32)
    site = np.array([calendar.store(device.store).traits for device in devices], dtype=np.float32).T

    def put(name: str, mean: FloatArray, spread: FloatArray | float) -> None:
        level[PLACE_OF[name]], sigma[PLACE_OF[name]] = mean, spread

    def like(name: str, spread: float) -> FloatArray:
        return np.exp(np.float32(spread) * traits[PLACE_OF[name]])[:, None]

    battery = (0.4 + 4.5 * activity) * hours * drain[:, None] * like(BATTERY, 0.15)
    put(BATTERY, battery, 0.2 + 0.18 * battery)
    put(STORAGE, *_storage(calendar, devices, traits[PLACE_OF[STORAGE]]))
    put(DOWNLOAD, np.log((300 + 9000 * activity) * hours * like(DOWNLOAD, 0.3)), 0.5)
    put(UPLOAD, np.log((150 + 2500 * activity) * hours * like(UPLOAD, 0.3)), 0.45)
    offline = (60 + 200 * activity) * hours * like(OFFLINE, 0.2) * np.exp(0.2 * site[0])[:, None]
    put(OFFLINE, offline, 20 + 0.3 * offline)
    disconnects = (0.6 + 2.2 * activity) * hours * like(DISCONNECTS, 0.2) * np.exp(0.2 * site[0])[:, None]
    put(DISCONNECTS, disconnects, 0.3 + 0.35 * disconnects)
    radio = np.array([device.model.signal for device in devices], dtype=np.float32) + 3 * site[1] + 2 * traits[PLACE_OF[SIGNAL]]
    put(SIGNAL, radio[:, None] - 55 - 3 * activity, 3.5)
    put(CONNECTED, (45 + 20 * activity) * hours, 15 * calendar.plan.step_hours)
    return level, sigma


def _storage(calendar: Calendar, devices: Sequence[Device], traits: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Free storage falls a little each day and is cleaned up every seventh, on a day of the device's own."""
    capacity = np.array([device.model.storage_gb for device in devices], dtype=np.float32)[:, None] * np.float32(2**20)
    phase = np.array([device.index % 7 for device in devices], dtype=np.float32)[:, None]
    days = np.arange(calendar.plan.steps, dtype=np.float32) * np.float32(calendar.plan.step_hours / 24)
    free = np.clip(0.5 + 0.12 * traits, 0.2, 0.85)[:, None]
    return capacity * (free - 0.002 * ((days[None, :] + phase) % 7)), np.broadcast_to(
        0.003 * capacity, (len(devices), len(days))
    )


def _apply(made: Latent, row: int, span: slice, effect: Effect) -> None:
    for name in effect.flipped:
        # The metric alone looks as ever: only its company has changed.
        made.noise[PLACE_OF[name], row, span] *= -1
    for name, shift in effect.shift.items():
        made.noise[PLACE_OF[name], row, span] += shift
    for name, factor in effect.factor.items():
        made.level[PLACE_OF[name], row, span] *= factor
        made.sigma[PLACE_OF[name], row, span] *= factor
