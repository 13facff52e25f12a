"""What a question names: devices, ids, models, versions, stores, metrics, groups, files and SQL."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from agent.offline.numbers import ordinal
from agent.offline.plainly import plainly
from agent.offline.times import TIME
from agent.offline.vocabulary import vocabulary

_SQL = re.compile(
    r"(?:```(?:sql)?\s*)?\b((?:select\b(?=.*\bfrom\b|\s+[\d'(*])|with\s+\w+\s+as\s*\().*?)(?:\s*```|;?\s*$)",
    re.IGNORECASE | re.DOTALL,
)
_PATH = re.compile(
    r"['\"]([^'\"]+\.(?:csv|parquet|duckdb|json|gz))['\"]|(\S*[\w/]\.(?:csv|parquet|duckdb|csv\.gz))\b", re.IGNORECASE
)
_ID = {
    "anomaly": re.compile(r"\ba-[0-9a-f]{6,}\b", re.IGNORECASE),
    "incident": re.compile(r"\bi-[0-9a-f]{6,}\b", re.IGNORECASE),
    "suggestion": re.compile(r"\bs-[0-9a-f]{6,}\b|(?<=suggestion )(?!s-)[a-z]*-?\d[\w-]*", re.IGNORECASE),
}
_RUN = re.compile(r"\brun ([a-z][a-z0-9]*(?:-[a-z0-9]+)+)\b", re.IGNORECASE)
_QUOTED_DEVICE = re.compile(r"\bdevice (?:is )?(?:named |called )?[\"'“]([^\"”']{1,200})[\"'”]", re.IGNORECASE)
_DEVICE = re.compile(r"\b([a-z]{1,4}-\d{3,}|d\d{3,})\b", re.IGNORECASE)
_DEVICE_NUMBER = re.compile(r"\b(?:device|unit|handheld) #?(\d{2,})\b", re.IGNORECASE)
_DEVICE_WORD = re.compile(r"\b(?:device|unit|handheld|machine) ((?=[\w-]*\d)[\w-]*[a-z-][\w-]*)\b", re.IGNORECASE)
_FLAGGED = re.compile(
    r"(?:(?<=\bwhy was )|(?<=\bwhy is ))((?=[\w.:-]*\d)[\w.:-]*[a-z][\w.:-]*)(?= (?:flagged|reported|marked)\b)",
    re.IGNORECASE,
)
_DEVICES = (_QUOTED_DEVICE, _DEVICE, _DEVICE_NUMBER, _DEVICE_WORD, _FLAGGED)
_STORE = re.compile(r"\b(?:store|shop|branch|site|location)[ -]?#?(\d{1,5})\b", re.IGNORECASE)
_MODEL = re.compile(r"\b((?!v\d)(?:[A-Za-z]{1,7}-?[A-Z]?\d{1,3}))(?:s\b|['\u2019]s\b|\b)")
_NOT_MODELS = re.compile(
    r"(?:top|last|past|next|worst|week|version|number|hour|day|h|d|w|m|v|am|pm|of|no|to)-?\d+", re.IGNORECASE
)
_VERSION = re.compile(r"(?<![\w.])v?(\d{1,2}\.\d{1,2}(?:\.\d+)?)(?![\w%])")


@dataclass(frozen=True)
class Entities:
    """What a question names; None or empty where it names nothing of the kind."""

    device: str | None = None
    anomaly: str | None = None
    incident: str | None = None
    suggestion: str | None = None
    run: str | None = None
    metric: str | None = None
    group: str | None = None
    store: str | None = None
    model: str | None = None
    versions: tuple[str, ...] = ()
    ordinal: int | None = None
    path: str | None = None
    sql: str | None = None

    @property
    def cohort(self) -> str | None:
        """Model and OS version as one cohort is shown, as far as they are named."""
        return " / ".join(part for part in (self.model, *self.versions[:1]) if part) or None


def entities_in(text: str, known: Collection[str] = ()) -> Entities:
    """What the text names. `known` are device names seen in the conversation, whatever they look like."""
    sql = _SQL.search(text)
    if sql:
        return Entities(sql=sql[1].strip().rstrip(";"))
    path = _PATH.search(text)
    if path:
        return Entities(path=path[1] or path[2])
    ids = {kind: found[0] for kind, pattern in _ID.items() if (found := pattern.search(text))}
    run = _RUN.search(text)
    device, rest = device_in(_RUN.sub(" ", text), known)
    rest = TIME.sub(" ", rest)
    store = _STORE.search(rest)
    models = [m[1] for m in _MODEL.finditer(_STORE.sub(" ", rest)) if not _NOT_MODELS.fullmatch(m[1])]
    return Entities(
        **ids,
        device=device,
        run=run[1].lower() if run else None,
        metric=_named("metrics", text),
        group=_named("groups", rest),
        store=f"store-{int(store[1]):03d}" if store else None,
        model=models[0] if models and not run else None,
        versions=tuple(_VERSION.findall(rest)),
        ordinal=ordinal(rest),
    )


def _devices(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Where the pattern finds a device; what was flagged may also be a store, a version or a time."""
    for found in pattern.finditer(text):
        others = (_STORE, _VERSION, TIME, *_ID.values()) if pattern is _FLAGGED else _ID.values()
        if not any(each.fullmatch(found[1]) for each in others) and not found[1].lower().startswith("store-"):
            yield found


def device_in(text: str, known: Collection[str] = ()) -> tuple[str | None, str]:
    """The device that the text names, and the text without its name."""
    for name in sorted(known, key=len, reverse=True):
        if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE):
            return name, re.sub(re.escape(name), " ", text, flags=re.IGNORECASE)
    for pattern in _DEVICES:
        if found := next(_devices(pattern, text), None):
            return _spelled(found[1], pattern), text[: found.start(1)] + " " + text[found.end(1) :]
    return None, text


def masked(text: str, known: Collection[str] = ()) -> str:
    """The text with a placeholder for each entity, in small letters: what the classifier sees."""
    if _SQL.search(text):
        return _SQL.sub(" sqltext ", text).lower()
    shown = _PATH.sub(" filepath ", text)
    for kind, pattern in _ID.items():
        shown = pattern.sub(f" {kind}id ", shown)
    shown = _RUN.sub(" run runid ", shown)
    shown = _without_devices(shown, known)
    shown = TIME.sub(" timephrase ", shown)
    shown = _STORE.sub(" storename ", shown)
    shown = _VERSION.sub(" versionnumber ", shown)
    shown = _MODEL.sub(lambda found: found[0] if _NOT_MODELS.fullmatch(found[1]) else " modelname ", shown)
    for pattern in vocabulary()["metrics"].values():
        shown = pattern.sub(" metricname ", shown)
    shown = re.sub(r"\b\d[\d,.]*\b", " number ", shown)
    return plainly(shown)


def _without_devices(text: str, known: Collection[str]) -> str:
    for name in sorted(known, key=len, reverse=True):
        text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", " devicename ", text, flags=re.IGNORECASE)
    for pattern in _DEVICES:
        for found in reversed(list(_devices(pattern, text))):
            text = f"{text[: found.start()]} devicename {text[found.end() :]}"
    return text


def _spelled(name: str, pattern: re.Pattern[str]) -> str:
    if pattern is _DEVICE_NUMBER:
        return f"D-{name}"
    if pattern is _DEVICE:
        letters, digits = re.fullmatch(r"([a-z]+)-?(\d+)", name, re.IGNORECASE).groups()  # type: ignore[union-attr]
        return f"{letters.upper()}-{digits}"
    return name


def _named(kind: str, text: str) -> str | None:
    exact = [name for name in vocabulary()[kind] if re.search(rf"\b{name}\b", text, re.IGNORECASE)]
    if exact:
        return exact[0]
    hits = [(found.start(), name) for name, pattern in vocabulary()[kind].items() if (found := pattern.search(text))]
    return min(hits)[1] if hits else None
