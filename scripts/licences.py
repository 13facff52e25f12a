"""Writes docs/licences.md: every package that ships, with its version and licence, as the packages themselves say.

Read from what is installed here, for the packages of requirements.runtime.lock; one that this platform does not install is
named without a licence. `make licences` runs it; a test holds the page to the lock.
"""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/licences.md"
LOCK = ROOT / "requirements.runtime.lock"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
_LONG = 60
_HEAD = """# Licences

What a runtime installation brings along, from `requirements.runtime.lock`. Anomalyst itself is under Apache-2.0. Written by
`make licences` from what the packages say of themselves; a test holds the packages and versions to the lock. None of them is
changed or copied into the source tree. Licences that ask more of who passes a copy on than to keep their notice are in bold.

| package | version | licence |
|---|---|---|
"""
_COPYLEFT = re.compile(r"GPL|MPL|EPL|CDDL|EUPL", re.IGNORECASE)


def pinned() -> list[tuple[str, str]]:
    """Name and version of each package of the lock, by name."""
    return sorted(_PINNED.findall(LOCK.read_text("utf-8")), key=lambda each: each[0].lower())


def licence(name: str) -> str:
    """What the package says of its licence, in a few words."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return "not installed on the platform where this was written"
    told = found.metadata.get("License-Expression") or _classified(found) or (found.metadata.get("License") or "").strip()
    line = told.splitlines()[0] if told else "not stated"
    short = line if len(line) <= _LONG else line[:_LONG] + "…"
    return f"**{short}**" if _COPYLEFT.search(short) else short


def _classified(found: Distribution) -> str:
    said = [line for line in found.metadata.get_all("Classifier") or [] if line.startswith("License ::")]
    return ", ".join(line.rpartition(":: ")[2] for line in said if not line.endswith("OSI Approved"))


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(f"| {name} | {version} | {licence(name)} |\n" for name, version in pinned())


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
