"""The walk as a few lines of Python, pandas in and pandas out: the same features, baselines, z-scores and detectors."""

from server.library.baselines import Baselines, apply_baselines, compute_baselines
from server.library.detector import AnomalyDetectorConfig, HybridAnomalyDetector
from server.library.features import DeviceFeatureBuilder
from server.library.levels import BaselineLevel
from server.library.saving import save_anomaly_results

__all__ = [
    "AnomalyDetectorConfig",
    "BaselineLevel",
    "Baselines",
    "DeviceFeatureBuilder",
    "HybridAnomalyDetector",
    "apply_baselines",
    "compute_baselines",
    "save_anomaly_results",
]
