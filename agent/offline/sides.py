"""The SELECT that holds devices on an OS version against devices of the same models on other versions."""

# ruff: noqa: S608 - names come from patterns of letters, digits, points and hyphens; the server's connection only reads

from agent.offline.entities import Entities

_SIDES = (("updated", "updated"), ("other", "NOT updated"))
_EACH = ", ".join(
    f"count(*) FILTER ({rows}) AS {side}_devices, sum(measured) FILTER ({rows})::BIGINT AS {side}_rows, "
    f"median(middle) FILTER ({rows}) AS {side}_median, mad(middle) FILTER ({rows}) AS {side}_mad"
    for side, rows in _SIDES
)
_DIFFERENCE = (
    "updated_median - other_median AS difference, "
    "(updated_median - other_median) / nullif(1.4826 * other_mad, 0) AS difference_in_scales"
)


def sides_of_update(names: Entities, since: str | None = None, until: str | None = None) -> str:
    """One row: devices, rows, median and MAD of each side, and their difference; empty if no version or metric is named.

    Each device counts once a side, with its median: one that reports more often weighs no more than another.
    """
    if not (names.versions and names.metric):
        return ""
    version, metric = names.versions[0], names.metric
    model = f"= '{names.model}'" if names.model else f"IN (SELECT ModelId FROM telemetry WHERE OsVersionId = '{version}')"
    bounds = ((">=", since), ("<", until))
    within = "".join(f" AND time {sign} TIMESTAMPTZ '{moment}'" for sign, moment in bounds if moment)
    of_devices = (
        f"SELECT device, OsVersionId = '{version}' AS updated, median({metric}) AS middle, count({metric}) AS measured "
        f"FROM telemetry WHERE ModelId {model} AND {metric} IS NOT NULL{within} GROUP BY 1, 2"
    )
    return f"SELECT *, {_DIFFERENCE} FROM (SELECT {_EACH} FROM ({of_devices}))"
