"""A synthetic fleet with its truth: for demos, tests and what no public set of telemetry covers. Never a claim of accuracy."""

from server.connectors.synthetic.export import export_fleet
from server.connectors.synthetic.plan import PLANS, FleetPlan, Tier
from server.connectors.synthetic.source import SyntheticConnector, SyntheticSource
from server.connectors.synthetic.truth import Truth

__all__ = ["PLANS", "FleetPlan", "SyntheticConnector", "SyntheticSource", "Tier", "Truth", "export_fleet"]
