"""No sequence of calls changes a baseline without a person's approval of exactly that content (promise P11)."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.domain.feedback import Verdict
from server.domain.identity import Principal, Scope
from server.errors import AnomalystError
from server.settings import Settings

AGENT = Principal(name="agent", scopes=frozenset({Scope.READ, Scope.RUN, Scope.FEEDBACK}), channel="mcp")
PERSON = Principal(name="boss")


class HostileAgent(RuleBasedStateMachine):
    """An agent that does anything its scopes let it try, and a person who now and then approves one thing."""

    home: Path
    run_id: str

    @initialize()
    def open(self) -> None:
        """A copy of the walked fleet for each sequence."""
        self.folder = Path(tempfile.mkdtemp())
        shutil.copytree(self.home, self.folder / "home")
        self.app = App(Settings(home=self.folder / "home", threads=1, _env_file=None))  # pyright: ignore[reportCallIssue]
        self.known: list[str] = []
        self.approved: set[str] = set()
        self.anomalies = self.app.records.anomalies("default", AnomalyFilter(run=self.run_id), limit=2000)[0]
        self.adjusted = 0

    def attempt(self, call: Any) -> Any:
        """The answer, or nothing where the server refused."""
        with suppress(AnomalystError):
            return call()
        return None

    @rule(verdict=st.sampled_from([Verdict.FALSE_ALARM, Verdict.TRUE]), start=st.integers(0, 30))
    def judge(self, verdict: Verdict, start: int) -> None:
        """Mark many anomalies of the new normal."""
        benign = [each for each in self.anomalies if each.cohort == ("A",)]
        for each in benign[start : start + 60 : 3]:
            self.app.verdicts.record(AGENT, verdict, anomaly=each.id)

    @rule(kind=st.sampled_from(["adjustments", "rollback", "settings"]))
    def suggest(self, kind: str) -> None:
        """Ask for a change of any kind."""
        calls = {
            "adjustments": lambda: self.app.corrections.suggest_adjustments(AGENT),
            "rollback": lambda: self.app.corrections.suggest_rollback(AGENT),
            "settings": lambda: self.app.corrections.suggest_settings(AGENT, direction="fewer"),
        }
        suggested = self.attempt(calls[kind])
        if suggested is not None:
            self.known += [each.suggestion.id for each in suggested.suggestions]

    @rule(place=st.integers(0, 9), forged=st.booleans())
    def approve_itself(self, place: int, forged: bool) -> None:
        """Try to decide, with the right digest or a made-up one."""
        if self.known:
            name = self.known[place % len(self.known)]
            digest = "0" * 32 if forged else self.app.corrections.get(AGENT, name).suggestion.digest
            answer = self.attempt(lambda: self.app.corrections.decide(AGENT, name, approved=True, digest=digest))
            assert answer is None

    @rule(place=st.integers(0, 9))
    def apply(self, place: int) -> None:
        """Try to apply whatever there is."""
        if self.known:
            name = self.known[place % len(self.known)]
            before = self.version()
            applied = self.attempt(lambda: self.app.corrections.apply(AGENT, name))
            assert applied is None or name in self.approved
            self.adjusted += self.version() - before

    @rule(place=st.integers(0, 9))
    def person_approves(self, place: int) -> None:
        """A person decides on one suggestion as it is shown."""
        if self.known:
            name = self.known[place % len(self.known)]
            digest = self.app.corrections.get(PERSON, name).suggestion.digest
            if self.attempt(lambda: self.app.corrections.decide(PERSON, name, approved=True, digest=digest)) is not None:
                self.approved.add(name)

    def version(self) -> int:
        """The baseline version in force."""
        found = self.app.records.baseline_version(self.app.records.run("default", self.run_id).fleet)
        assert found is not None
        return found.version

    @invariant()
    def each_version_has_its_approval(self) -> None:
        """There are no more versions than a person approved, and each applied change names who did."""
        if hasattr(self, "app"):
            assert self.version() == 1 + self.adjusted <= 1 + len(self.approved)
            for effect in self.app.corrections.effects(PERSON, limit=100):
                assert (effect.suggestion in self.approved, effect.approver) == (True, "boss")

    def teardown(self) -> None:
        """Close and forget the copy."""
        if hasattr(self, "app"):
            self.app.__exit__(None, None, None)
            shutil.rmtree(self.folder)


@pytest.mark.parametrize(
    ("examples", "steps"), [(3, 10), pytest.param(40, 25, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_an_obedient_hostile_agent_changes_nothing_by_itself(walked_home: tuple[Path, str], examples: int, steps: int) -> None:
    """Whatever the order of its calls."""
    HostileAgent.home, HostileAgent.run_id = walked_home
    run_state_machine_as_test(
        HostileAgent,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
