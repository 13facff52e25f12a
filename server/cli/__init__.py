"""The command line `anomalyst`: parses, makes one call, prints.

Nothing imports it, and its files import nothing heavy at the top, so that `anomalyst --help` answers at once.
"""

from server.cli.root import app, main

__all__ = ["app", "main"]
