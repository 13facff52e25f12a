"""Applying a suggestion: only what a person approved, asked through the client only where the policy trusts it to ask one."""

from collections.abc import Callable
from typing import Any

import pytest
from mcp.types import ElicitResult

from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.domain.identity import Principal, Scope
from server.domain.suggestion import SuggestionStatus
from server.tools.applying import CHANNEL
from server.tools.desk import Desk
from server.tools.policy import Policy
from server.tools.server import build_server

pytestmark = pytest.mark.anyio
BOSS = Principal(name="boss")


class Person:
    """Whoever sits before a client that can ask: answers as told, and remembers what was asked."""

    def __init__(self, action: str, **content: Any) -> None:
        self._answer = ElicitResult(action=action, content=content or None)  # pyright: ignore[reportArgumentType]
        self.asked: list[str] = []

    async def __call__(self, _: Any, params: Any) -> ElicitResult:
        """Answer one question."""
        self.asked.append(params.message)
        return self._answer


@pytest.fixture
def talk(mine: App, era: dict[str, Any], connect: Any) -> Callable[..., Any]:
    """Clients over the changeable app: `asks` is whether the policy trusts them, `person` who sits before them."""
    desk = Desk(mine)

    def client(*, asks: bool = True, person: Person | None = None, scopes: frozenset[Scope] = frozenset(Scope)) -> Any:
        user = Principal(name="ann", scopes=scopes, channel="stdio")
        server = build_server(mine, Policy(user, asks=asks), desk)
        return connect(server, **era, **({"elicitation_callback": person} if person else {}))

    return client


async def suggested(client: Any) -> str:
    """Id of a pending suggestion."""
    answer = await client.ok("suggest_detector_settings", direction="fewer")
    return answer["suggestions"][0]["suggestion"]["id"]


def status(app: App, suggestion: str) -> SuggestionStatus:
    """Where the suggestion stands."""
    return app.corrections.get(BOSS, suggestion).status


def anomalies(app: App) -> int:
    """How many are shown."""
    return app.records.anomalies("default", AnomalyFilter())[1]


async def test_what_no_person_approved_is_refused_and_changes_nothing(talk, mine) -> None:
    """However often it is called, by a client that cannot ask; the refusal names where a person decides."""
    before = anomalies(mine)
    async with talk() as client:
        suggestion = await suggested(client)
        for _ in range(3):
            said = await client.refused("apply_feedback", suggestion=suggestion)
            assert "A person decides" in said
        assert "no suggestion" in await client.refused("apply_feedback", suggestion="s-nowhere")
    assert (status(mine, suggestion), anomalies(mine)) == (SuggestionStatus.PENDING, before)


async def test_what_a_person_approved_elsewhere_is_applied_once(talk, mine) -> None:
    """By a client that cannot ask and has no scope to approve; a second call tells the same and changes nothing."""
    async with talk(asks=False, scopes=frozenset(Scope) - {Scope.APPROVE}) as client:
        suggestion = await suggested(client)
        standing = mine.corrections.get(BOSS, suggestion)
        mine.corrections.decide(BOSS, suggestion, approved=True, digest=standing.suggestion.digest)
        first = await client.ok("apply_feedback", suggestion=suggestion)
        again = await client.ok("apply_feedback", suggestion=suggestion)
        run = await client.ok("get_run", run=first["run"])
    assert first["effect"]["approver"] == "boss"
    assert run["complete"]
    assert again["effect"]["applied"] == first["effect"]["applied"]
    assert len(mine.corrections.effects(BOSS)) == 1
    assert status(mine, suggestion) is SuggestionStatus.APPLIED


async def test_a_person_is_asked_with_what_is_stored_and_their_yes_is_recorded(talk, mine) -> None:
    """The question names id, content, base version, the change and its counts; the decision names the channel."""
    person = Person("accept", approve=True)
    before = anomalies(mine)
    async with talk(person=person) as client:
        suggestion = await suggested(client)
        preview = await client.ok("preview_suggestion", suggestion=suggestion)
        applied = await client.ok("apply_feedback", suggestion=suggestion)
    standing = mine.corrections.get(BOSS, suggestion)
    asked = person.asked[0]
    assert len(set(person.asked)) == 1, "the same question, however often it is put"
    assert suggestion in asked
    assert standing.suggestion.digest in asked
    assert f"baseline version {standing.suggestion.base_version}" in asked
    assert f"Anomalies now {preview['alarms_before']:,}, then {preview['alarms_after']:,}" in asked
    assert standing.decision is not None
    assert (standing.decision.by, standing.decision.channel) == ("ann", CHANNEL)
    assert standing.decision.digest == standing.suggestion.digest
    assert applied["effect"]["approver"] == "ann"
    assert anomalies(mine) == preview["alarms_after"] < before


@pytest.mark.parametrize(
    "person",
    [lambda: Person("decline"), lambda: Person("cancel"), lambda: Person("accept", approve=False)],
    ids=["declines", "cancels", "says no"],
)
async def test_anything_but_a_yes_leaves_it_pending(talk, mine, person: Callable[[], Person]) -> None:
    """Nothing is decided for them, and nothing applied."""
    before = anomalies(mine)
    async with talk(person=person()) as client:
        suggestion = await suggested(client)
        assert "pending" in await client.refused("apply_feedback", suggestion=suggestion)
    assert (status(mine, suggestion), anomalies(mine)) == (SuggestionStatus.PENDING, before)


@pytest.mark.parametrize("how", [{"asks": False}], ids=["untrusted"])
async def test_a_client_that_is_not_trusted_to_ask_a_person_is_not_asked(talk, mine, how: dict[str, Any]) -> None:
    """An agent that says yes to everything gets nowhere: its answer is not even wanted."""
    person = Person("accept", approve=True)
    async with talk(person=person, **how) as client:
        suggestion = await suggested(client)
        assert "A person decides" in await client.refused("apply_feedback", suggestion=suggestion)
    assert person.asked == []
    assert status(mine, suggestion) is SuggestionStatus.PENDING


async def test_verdicts_and_recall_pass_through(talk, mine) -> None:
    """A verdict is recorded with who and through what; a filter needs more than a fleet; a miss needs a place and a time."""
    async with talk() as client:
        incident = mine.records.incidents("default")[0][0].id
        receipt = await client.ok("record_feedback", verdict="true", incident=incident, note="fan failed", request_id="r1")
        assert receipt["anomalies"] > 0
        recalled = await client.ok("recall_feedback", incident=incident)
        assert recalled["recalled"][0]["decision"]["outcome"] == "true"
        assert "select by `device`" in await client.refused("record_feedback", verdict="true", fleet="shop")
        assert "no ISO 8601" in await client.refused("report_missed", device="d1", since="early", until="late")
        missed = await client.ok(
            "report_missed", device="d1", since="2025-03-02T00:00:00", until="2025-03-02T05:00:00Z", note="no heat"
        )
        assert missed["rows"] == 6
        assert (await client.ok("list_suggestions"))["total"] == 0
        assert (await client.ok("list_effects"))["effects"] == []
    newest = mine.records.audit("default")[0]
    assert (newest.actor, newest.action) == ("ann", "report_missed")
