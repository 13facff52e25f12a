"""Checks prose against what the tools returned: every number, name and comparison is computed again."""

from agent.grounding.checking import Finding, check, supported, unsupported_rate
from agent.grounding.facts import Facts, facts_of
from agent.grounding.placeholders import filled

__all__ = ["Facts", "Finding", "check", "facts_of", "filled", "supported", "unsupported_rate"]
