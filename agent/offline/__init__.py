"""The offline model: a planner and narrator that needs no language model and no network."""
