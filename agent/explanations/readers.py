"""Who an explanation is for, what its blanks are filled with, and the template that needs no model."""

from collections.abc import Mapping
from enum import StrEnum

from agent.narration.words import Payload, Reader, figure, rate
from agent.quoting import plain


class Audience(StrEnum):
    """Who reads it. The claims are the same; a store manager gets no scores, levels or z-values."""

    OPERATOR = "operator"
    STORE_MANAGER = "store-manager"


_LAY: Mapping[str, str] = {
    "TotalBatteryLevelDrop": "battery use",
    "TotalFreeStorageKb": "free storage",
    "WiFiSignalStrength": "Wi-Fi signal",
    "DisconnectCount": "count of disconnects",
    "OfflineTime": "offline time",
    "ConnectionTime": "connection time",
    "Download": "download volume",
    "Upload": "upload volume",
}
_LEVELS = {"global": "the fleet", "cohort": "its cohort", "site": "its site", "device": "this device"}


def blanks(told: Payload, audience: Audience, reader: Reader) -> dict[str, str]:
    """By name, what may be put into prose about this anomaly: figures with their units, names made plain."""
    found = {"device": plain(told["device"], 60), "when": f"{reader.time(told['time'])} ({reader.zone_name})"}
    if told.get("site"):
        found["place"] = plain(told["site"], 60)
    if told.get("peers"):
        found["others"] = rate(told["peers"]["inside"])
    if told.get("changes"):
        found["change"] = _change(told["changes"][0], reader)
    if told["metrics"]:
        found |= _of_metric(told["metrics"][0], audience)
    if audience is Audience.OPERATOR:
        found |= {"severity": f"{figure(told['severity'])} ({told['band']})"}
    return found


def template(told: Payload, audience: Audience, reader: Reader) -> str:
    """The explanation without any model: the server's own words, or few plain ones."""
    if audience is Audience.OPERATOR:
        return plain(told["text"], 1500)
    found = blanks(told, audience, reader)
    place = f" ({found['place']})" if "place" in found else ""
    what = (
        f"the {found['metric']} was {found['value']}, {found['direction']} the usual {found['typical']}"
        if "typical" in found
        else "something unusual was measured"
    )
    return " ".join(
        filter(
            None,
            (
                f"{found['device']}{place} on {found['when']}: {what}.",
                f"That day, {found['others']} of its kind showed something unusual, too." if "others" in found else "",
                f"Shortly before: {found['change']}." if "change" in found else "No change before it is recorded.",
                "Please look at the device and tell us whether this was planned.",
            ),
        )
    )


def _of_metric(metric: Payload, audience: Audience) -> dict[str, str]:
    """The strongest metric. A store manager reads its name as people call it, and what of it was measured."""
    lay = _LAY.get(metric["metric"], metric["metric"])
    of = {"mean": "", "std": "spread of the ", "slope": "trend of the ", "max": "highest ", "min": "lowest "}
    statistic = str(metric["feature"]).removeprefix(f"{metric['metric']}_")
    named = f"{of.get(statistic, f'{statistic} of the ')}{lay}" if audience is Audience.STORE_MANAGER else metric["feature"]
    found = {"metric": plain(named, 60), "value": figure(metric["value"], metric["unit"])}
    if metric["typical"] is not None and metric["level"] is not None:
        found |= {"typical": figure(metric["typical"], metric["unit"]), "direction": metric["direction"]}
        if audience is Audience.OPERATOR:
            found |= {"rows": f"{metric['n']:,} rows", "level": _LEVELS.get(str(metric["level"]), str(metric["level"]))}
    return found


def _change(change: Payload, reader: Reader) -> str:
    return f"{plain(change['description'], 100)} on {reader.time(change['time'])}"
