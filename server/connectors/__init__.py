"""Where telemetry comes from. Each connector is found through the entry-point group `anomalyst.connectors`."""
