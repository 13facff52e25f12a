"""The vocabulary: what a fleet, a run, a baseline and an anomaly are. Standard library and pydantic only."""
