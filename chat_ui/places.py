"""The chat's folder, and what Chainlit has to find in it and in the environment before it is imported."""

import os
import secrets
import shutil
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
_WELCOME = ("chainlit.md", "chainlit_en-US.md")


def prepare(folder: Path, *, sent_here_from_elsewhere: bool = False) -> None:
    """Lay out the folder for Chainlit and name it in the environment. To be called before the first import of Chainlit.

    Where a provider's page sends people here, as with OAuth, browsers hold strict cookies back and nobody could log in.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".chainlit").mkdir(exist_ok=True)
    shutil.copyfile(ASSETS / "config.toml", folder / ".chainlit" / "config.toml")
    shutil.copytree(ASSETS / "public", folder / "public", dirs_exist_ok=True)
    for name in _WELCOME:
        (folder / name).write_text("", "utf-8")
    os.environ["CHAINLIT_APP_ROOT"] = str(folder)
    os.environ.setdefault("CHAINLIT_AUTH_SECRET", _secret(folder / "session.key"))
    os.environ.setdefault("CHAINLIT_COOKIE_SAMESITE", "lax" if sent_here_from_elsewhere else "strict")


def _secret(path: Path) -> str:
    """The key that logins are signed with, made when there is none; only the owner may read it."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text("ascii")
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32))
    return path.read_text("ascii")
