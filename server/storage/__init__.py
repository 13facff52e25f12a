"""Where things are kept: telemetry in DuckDB, facts in SQL, heavy results as content-addressed artifacts."""
