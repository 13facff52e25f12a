"""How fast the walk is and how much memory it takes, against the obvious way and against other detectors."""
