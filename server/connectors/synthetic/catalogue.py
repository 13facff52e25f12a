"""What the synthetic fleet is made of: its device models, its metrics, and the names of its columns."""

from dataclasses import dataclass

from server.domain.telemetry import ColumnMapping, HarmfulDirection, Metric, Transform


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """A model on the market. `drain` multiplies battery use, `signal` is added in dB, `weight` is its share of a fleet."""

    manufacturer: str
    name: str
    versions: tuple[str, ...]
    weight: float
    drain: float
    storage_gb: int
    signal: float


MODELS: tuple[DeviceModel, ...] = (
    DeviceModel("Zebra", "TC57", ("13.2", "13.3", "13.4"), 0.20, 1.00, 32, 0.0),
    DeviceModel("Zebra", "TC52", ("11.8", "13.1"), 0.10, 1.05, 32, 0.5),
    DeviceModel("Zebra", "MC33", ("10.5", "11.2"), 0.08, 0.80, 16, 1.5),
    DeviceModel("Samsung", "S21", ("13.0", "14.0", "14.1"), 0.17, 1.15, 128, -1.0),
    DeviceModel("Samsung", "XCover6", ("13.0", "14.0"), 0.12, 0.95, 128, 0.0),
    DeviceModel("Honeywell", "CT60", ("10.0", "11.0", "11.1"), 0.10, 1.10, 32, -0.5),
    DeviceModel("Honeywell", "CT45", ("11.0", "12.0"), 0.08, 0.90, 64, 0.5),
    DeviceModel("Datalogic", "Memor 11", ("9.2", "11.0"), 0.06, 1.00, 32, -1.5),
    DeviceModel("Datalogic", "Skorpio X5", ("10.0", "11.0"), 0.05, 0.85, 32, 1.0),
    DeviceModel("Panasonic", "FZ-N1", ("8.1", "10.0"), 0.04, 1.30, 32, -2.0),
)
OLD_MODEL, NEW_MODEL = "MC33", "XCover6"
"""A hardware refresh replaces the first by the second."""

BATTERY, STORAGE, DOWNLOAD, UPLOAD = "TotalBatteryLevelDrop", "TotalFreeStorageKb", "Download", "Upload"
OFFLINE, DISCONNECTS, SIGNAL, CONNECTED = "OfflineTime", "DisconnectCount", "WiFiSignalStrength", "ConnectionTime"

METRICS: tuple[Metric, ...] = (
    Metric(
        name=BATTERY,
        unit="%",
        domain="battery",
        harmful=HarmfulDirection.HIGHER,
        lower=0,
        upper=100,
        resolution=0.1,
        sentinels=(-1.0,),
    ),
    Metric(
        name=STORAGE, unit="KiB", domain="storage", harmful=HarmfulDirection.LOWER, lower=0, resolution=1, sentinels=(-1.0,)
    ),
    Metric(name=DOWNLOAD, unit="KiB", domain="usage", lower=0, resolution=1, transform=Transform.LOG1P, sentinels=(-1.0,)),
    Metric(name=UPLOAD, unit="KiB", domain="usage", lower=0, resolution=1, transform=Transform.LOG1P, sentinels=(-1.0,)),
    Metric(
        name=OFFLINE,
        unit="s",
        domain="connectivity",
        harmful=HarmfulDirection.HIGHER,
        lower=0,
        upper=3600,
        resolution=1,
        sentinels=(-1.0,),
    ),
    Metric(
        name=DISCONNECTS,
        domain="connectivity",
        harmful=HarmfulDirection.HIGHER,
        lower=0,
        resolution=1,
        sentinels=(-1.0, 255.0),
    ),
    Metric(
        name=SIGNAL,
        unit="dBm",
        domain="connectivity",
        harmful=HarmfulDirection.LOWER,
        lower=-100,
        upper=-20,
        resolution=1,
        sentinels=(-1.0, 255.0),
    ),
    Metric(
        name=CONNECTED,
        unit="s",
        domain="connectivity",
        harmful=HarmfulDirection.LOWER,
        lower=0,
        upper=3600,
        resolution=1,
        sentinels=(-1.0,),
    ),
)
METRIC_NAMES: tuple[str, ...] = tuple(metric.name for metric in METRICS)
PLACE_OF: dict[str, int] = {name: place for place, name in enumerate(METRIC_NAMES)}
"""A metric's position in every array of this package."""

NEW_COLUMN = "BatteryTemperature"
"""A column that nobody announced: no role is known for it."""

MAPPING = ColumnMapping(
    device="DeviceId",
    time="Timestamp",
    arrival="ArrivalTime",
    cohort=("ManufacturerId", "ModelId", "OsVersionId"),
    store="StoreId",
    customer="CustomerId",
    metrics=METRIC_NAMES,
)

ZONES: tuple[str, ...] = ("Europe/Berlin", "America/New_York", "Europe/London")
"""Time zones of the stores; their clocks change on different days."""


def model_named(name: str) -> DeviceModel:
    """The catalogue's entry of that name. Raises `StopIteration` for a name that it does not hold."""
    return next(model for model in MODELS if model.name == name)
