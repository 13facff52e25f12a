"""Exit codes: one row a code, in words; `anomalyst help exit-codes` prints them and a test holds them to `server.errors`."""

from dataclasses import dataclass

from server import errors

DONE, FOUND_WRONG, USAGE, FAULT, INTERRUPTED = 0, 1, 2, 70, 130


@dataclass(frozen=True, slots=True)
class Ending:
    """One way for a command to end."""

    code: int
    meaning: str
    next_step: str
    error: type[errors.AnomalystError] | None = None


ENDINGS: tuple[Ending, ...] = (
    Ending(DONE, "done", ""),
    Ending(FOUND_WRONG, "doctor found something wrong, bench lost a ratio, or a prompt was left", "do what doctor says"),
    Ending(USAGE, "the command line cannot be read", "see `anomalyst COMMAND --help`"),
    Ending(
        errors.StageNotReady.exit_code,
        "a stage needs another one first",
        "call the verb that the message names",
        errors.StageNotReady,
    ),
    Ending(
        errors.InvalidInput.exit_code,
        "an argument, a setting or a file is not usable",
        "fix what is named",
        errors.InvalidInput,
    ),
    Ending(
        errors.PathNotAllowed.exit_code,
        "a path leads outside the folders that may be read",
        "move the file below an allowed folder",
        errors.PathNotAllowed,
    ),
    Ending(
        errors.NotEnoughData.exit_code, "there are too few rows for an estimate", "ingest more telemetry", errors.NotEnoughData
    ),
    Ending(
        errors.AdjustmentOutOfBounds.exit_code, "a shift is beyond its bounds", "ask for less", errors.AdjustmentOutOfBounds
    ),
    Ending(errors.NotFound.exit_code, "nothing has that id or name", "use one that is listed", errors.NotFound),
    Ending(errors.TelemetryPruned.exit_code, "its telemetry was removed by age", "ask a newer run", errors.TelemetryPruned),
    Ending(FAULT, "a fault of anomalyst itself", "set ANOMALYST_TRACEBACK=1, run again, report it", errors.AnomalystError),
    Ending(
        errors.ArtifactDamaged.exit_code, "stored bytes are not those written", "rerun the named stage", errors.ArtifactDamaged
    ),
    Ending(errors.Unavailable.exit_code, "a store does not answer or cannot be written", "try again later", errors.Unavailable),
    Ending(errors.StoreBusy.exit_code, "another process holds the store's files", "stop it, or ask it", errors.StoreBusy),
    Ending(errors.NotAllowed.exit_code, "the caller may not do this", "use other credentials", errors.NotAllowed),
    Ending(errors.ApprovalMissing.exit_code, "no person has approved it", "let a person decide", errors.ApprovalMissing),
    Ending(errors.ApprovalStale.exit_code, "the approval is of something else by now", "look again", errors.ApprovalStale),
    Ending(errors.GateClosed.exit_code, "it would hide what it must not", "a second person may accept it", errors.GateClosed),
    Ending(errors.RunBusy.exit_code, "the run is being walked for another call", "wait for it", errors.RunBusy),
    Ending(INTERRUPTED, "stopped with Ctrl-C", "`anomalyst advance RUN` goes on with a run"),
)
"""Every ending, ascending by code; of a class of errors the row with its own name."""
