"""What ships: licences as the lock has them, nothing that runs by itself, and a page of docs that asks nobody for anything."""

import importlib.util
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
RUN_AT_START = {"distutils-precedence.pth": "setuptools", "_editable_impl_anomalyst.pth": "anomalyst"}
"""Files by which packages run code, or find more of it, whenever Python starts. setuptools comes with the environment."""


def licences() -> ModuleType:
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("licences", ROOT / "scripts/licences.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_licences_has_every_package_of_the_lock() -> None:
    """In its version; `make licences` brings it up to date."""
    script = licences()
    rows = re.findall(r"^\| ([A-Za-z0-9._-]+) \| (\S+) \| \S", script.PAGE.read_text(), re.MULTILINE)
    assert rows[1:] == script.pinned()


def test_no_package_runs_code_when_python_starts() -> None:
    """But for those that are known: a `.pth` file is a way in that no import shows."""
    owned = {
        Path(str(file)).name: found.metadata["Name"]
        for found in distributions()
        for file in found.files or ()
        if str(file).endswith(".pth") and "/" not in str(file)
    }
    assert owned.items() <= RUN_AT_START.items()


def test_every_package_is_pinned_by_hash() -> None:
    """In both locks, and what ships is part of what is developed with, in the same version."""
    pins: dict[str, list[tuple[str, str]]] = {}
    for name in ("requirements.lock", "requirements.runtime.lock"):
        text = (ROOT / name).read_text()
        pins[name] = re.findall(r"^([A-Za-z0-9._-]+)==(\S+) .*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
        assert len(pins[name]) == len(re.findall(r"^[A-Za-z0-9]", text, re.MULTILINE)), "each has a version and hashes"
    assert set(pins["requirements.runtime.lock"]) <= set(pins["requirements.lock"])


@pytest.mark.slow
def test_the_docs_build_and_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    """Strictly: a dead link or a page that no menu leads to fails. No page loads from another host."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text()
        assert not re.findall(r"<(?:script|img|iframe|link)[^>]+(?:src|href)=\"?(?:https?:)?//[^\s\"'>]+", text), page.name
    for sheet in (tmp_path / "site").rglob("*.css"):
        assert not re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text()), sheet.name
