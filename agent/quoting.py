"""Text that came from devices, notes or files: what is shown of it can steer no model, link nowhere and break no table."""

import re
import unicodedata

_MARKUP = str.maketrans({"[": "(", "]": ")", "`": "'", "|": "/", "<": "\u2039", ">": "\u203a", "\n": " ", "\r": " ", "\t": " "})


def plain(text: object, limit: int = 120) -> str:
    """The text in one line without control, zero-width and direction characters, markup or live links, capped at `limit`."""
    kept = "".join(
        c for c in str(text).translate(_MARKUP) if unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
    )
    kept = re.sub(r"\s+", " ", re.sub(r"(\w)://", "\\1:\u2044\u2044", kept)).strip()
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def quoted(text: object, limit: int = 120) -> str:
    """The text made plain, in quotation marks: what someone said, not what is so."""
    return f"“{plain(text, limit).replace('“', chr(39)).replace('”', chr(39))}”"
