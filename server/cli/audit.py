"""The command `audit`: who changed what, and whether the trail is whole."""

import typer

from server.cli.options import AsJson, Home, Limit, Offset
from server.cli.session import opened
from server.cli.shown import as_json, moment, say, say_json, say_table


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("audit", rich_help_panel="Read")(_audit)


def _audit(limit: Limit = 20, offset: Offset = 0, json: AsJson = False, home: Home = None) -> None:
    """List who changed what, newest first, after checking that no entry was edited, moved or removed."""
    with opened(home) as app:
        checked = app.records.verify_audit(app.settings.tenant)
        found = app.records.audit(app.settings.tenant, limit=limit, offset=offset)
    if json:
        say_json({"total": checked, "entries": [as_json(entry) for entry in found]})
        return
    rows = [(moment(each.time), each.actor, each.channel, each.action, each.subject, each.outcome) for each in found]
    say_table("Audit trail, newest first", ("time (UTC)", "who", "through", "did", "to", "outcome"), rows)
    say(f"{checked:,} entries, all as they were written.")
