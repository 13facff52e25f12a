"""Storing a scored set, measured by the script that compares both ways in one process."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from server.bench.child import Figures

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "bulk_insert.py"
"""In a source checkout only: it fills tables with made-up rows, which nobody wants installed."""


def store(given: Mapping[str, Any]) -> Figures:
    """Seconds by way of storing. Raises `FileNotFoundError` outside a source checkout."""
    spec = importlib.util.spec_from_file_location("bulk_insert", SCRIPT)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    figures: Figures = module.measure(given["url"], given["rows"])
    return figures
