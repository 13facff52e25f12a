"""How good the detectors are on labelled telemetry, beside reference methods and without each of their parts."""
