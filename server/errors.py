"""Every error that the server raises on purpose, grouped by how one recovers from it.

    AnomalystError
    ├── StageNotReady            call the named verb first
    ├── NotFound                 use a listed id
    │   └── TelemetryPruned      use a newer run
    ├── InvalidInput             fix the arguments or the file
    │   └── PathNotAllowed       move the file below an allowed root
    ├── NotEnoughData            widen the window or the group
    ├── AdjustmentOutOfBounds    suggest a smaller shift
    ├── NotAllowed               use credentials that may
    │   ├── ApprovalMissing      a person has to decide
    │   ├── ApprovalStale        look at it again: what was approved is not what is there now
    │   └── GateClosed           it would hide what a person marked true, or the like
    ├── ArtifactDamaged          rerun the stage that wrote it
    └── Unavailable              try again later
        ├── StoreBusy            another process holds the files
        └── RunBusy              the run is being walked for another call

Each class carries the exit status that the command line ends with (BSD's sysexits where one fits).
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import ClassVar


class AnomalystError(Exception):
    """Base of all errors whose message is meant for the person or model that made the call."""

    exit_code: ClassVar[int] = 70


class StageNotReady(AnomalystError):
    """A stage was asked for whose prerequisite is missing or stale; `blocker` is the verb to call next."""

    exit_code = 3

    def __init__(self, stage: str, blocker: str, why: str) -> None:
        self.stage, self.blocker, self.why = stage, blocker, why
        super().__init__(f"{stage} needs {blocker}, which is {why}. Call {blocker} next.")


class NotFound(AnomalystError):
    """Nothing of that kind has that id for this tenant; near matches are offered."""

    exit_code = 66

    def __init__(self, kind: str, wanted: str, known: Sequence[str] = (), *, listed_by: str = "", advice: str = "") -> None:
        self.kind, self.wanted = kind, wanted
        self.near = tuple(get_close_matches(wanted, known, n=3, cutoff=0.5))
        hint = f" Did you mean {', '.join(self.near)}?" if self.near else ""
        listing = f" {listed_by} lists them." if listed_by else ""
        super().__init__(f"no {kind} {wanted!r}.{hint}{listing}{advice and f' {advice}'}")


class TelemetryPruned(NotFound):
    """Rows of a run's window were removed by age: what is left would answer another question than the one that was asked."""

    def __init__(self, message: str) -> None:
        super().__init__("whole window of telemetry", "")
        self.args = (message,)


class InvalidInput(AnomalystError):
    """An argument, a setting or a file is not usable as given; the message says which and what to do."""

    exit_code = 64


class PathNotAllowed(InvalidInput):
    """A path leads outside the folders that may be read."""


class NotEnoughData(AnomalystError):
    """There are too few rows for an estimate that means anything."""

    exit_code = 65

    def __init__(self, level: str, rows: int, min_rows: int, advice: str = "") -> None:
        self.level, self.rows, self.min_rows = level, rows, min_rows
        super().__init__(f"{level}: {rows:,} usable rows, at least {min_rows:,} are needed. {advice}".rstrip())


class AdjustmentOutOfBounds(AnomalystError):
    """A shift is larger than a single approval, or all approvals together, may make."""

    exit_code = 65


class NotAllowed(AnomalystError):
    """The caller may not do this."""

    exit_code = 77


class ApprovalMissing(NotAllowed):
    """No person has approved the suggestion; the message says where one can."""


class ApprovalStale(NotAllowed):
    """The approval is of another content or another baseline version, has expired, or was used."""


class GateClosed(NotAllowed):
    """The preview found harm that nobody has accepted; the message says which, and who could."""


class ArtifactDamaged(AnomalystError):
    """An artifact's bytes are not those that were written; the stage that wrote it has to run again.

    What no stage can rebuild, such as the audit trail, brings its own `advice` instead of a stage.
    """

    exit_code = 74

    def __init__(self, artifact: str, why: str, stage: str = "", *, advice: str = "") -> None:
        self.artifact, self.stage = artifact, stage
        super().__init__(f"artifact {artifact} is damaged ({why}). {advice or f'Run {stage} again to rebuild it.'}")


class Unavailable(AnomalystError):
    """A store or service did not answer, or could not take a write; what was stored before still is."""

    exit_code = 75


class StoreBusy(Unavailable):
    """Another process holds the store's files."""


class RunBusy(Unavailable):
    """The run is being walked for another call; one walk at a time a run."""
