"""What clients may read by address: runs, anomalies, incidents, baselines, suggestions, the metric catalogue and the guide."""

import json
from collections.abc import Callable
from typing import Any

from mcp.server import MCPServer

from server.domain.catalogue import CATALOGUE, load_catalogue
from server.domain.identity import Scope
from server.tools.answers import run_answer
from server.tools.caller import caller, who
from server.tools.desk import Desk
from server.tools.errors import for_resources, translated

_JSON, _MARKDOWN = "application/json", "text/markdown"
_MOST_BASELINES = 200


class Resources:
    """Each read is a call of one service, as the same caller's tools would make it."""

    def __init__(self, desk: Desk, guide: str) -> None:
        self._desk, self._app, self._guide = desk, desk.app, guide

    def add_to(self, server: "MCPServer[Desk]") -> None:
        """Offer all of them on that server."""
        offered: tuple[tuple[str, Callable[..., str], str, str, str], ...] = (
            ("runs/{run}", self.run, "Run", "Where a run stands, and the tool to call next.", _JSON),
            ("anomalies/{anomaly}", self.anomaly, "Anomaly", "One anomaly with every metric's part in it.", _JSON),
            ("incidents/{incident}", self.incident, "Incident", "One incident with its devices, metrics and verdicts.", _JSON),
            ("baselines/{version}", self.baselines, "Baselines", "A baseline version: what is normal, for whom.", _JSON),
            ("suggestions/{suggestion}", self.suggestion, "Suggestion", "A suggested change, and where it stands.", _JSON),
            ("catalogue", self.catalogue, "Metric catalogue", "What is known of each metric: unit, domain, bounds.", _JSON),
            ("guide", self.guide, "Guide", "Every tool in a line, and the order to call them in.", _MARKDOWN),
        )
        for path, function, title, about, kind in offered:
            read = translated(function, for_resources)
            add: Any = server.resource(f"anomalyst://{path}", title=title, description=about, mime_type=kind)
            add(read)

    def run(self, run: str) -> str:
        """The run as get_run answers it."""
        principal = who(Scope.READ)
        found = self._app.records.run(principal.tenant, run)
        return run_answer(found, self._desk.jobs.of(principal.tenant, run), whole_path=caller().is_local).model_dump_json()

    def anomaly(self, anomaly: str) -> str:
        """The anomaly as get_anomaly answers it."""
        return self._app.questions.get_anomaly(who(Scope.READ), anomaly).model_dump_json()

    def incident(self, incident: str) -> str:
        """The incident as get_incident answers it."""
        return self._app.questions.get_incident(who(Scope.READ), incident).model_dump_json()

    def baselines(self, version: str) -> str:
        """The first baselines of a version; `v` in front of its number is allowed."""
        number = version.removeprefix("v")
        known = int(number) if number.isascii() and number.isdigit() and len(number) < 8 else 0
        page = self._app.questions.list_baselines(
            who(Scope.READ), fleet=None, version=known, level=None, group=None, feature=None, limit=_MOST_BASELINES, offset=0
        )
        return page.model_dump_json()

    def suggestion(self, suggestion: str) -> str:
        """The suggestion with its newest preview."""
        return self._app.corrections.get(who(Scope.READ), suggestion).model_dump_json()

    def catalogue(self) -> str:
        """The metrics that are known by name."""
        who(Scope.READ)
        own = self._app.settings.catalogue
        metrics = load_catalogue(own) if own else CATALOGUE
        return json.dumps([metric.model_dump(mode="json") for metric in metrics])

    def guide(self) -> str:
        """The guide."""
        return self._guide
