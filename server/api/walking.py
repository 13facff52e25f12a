"""Walks under way, as this surface starts them."""

from collections.abc import Callable

from server.api.errors import RunBusy
from server.errors import Unavailable
from server.services.walk import StageProgress
from server.tools.caller import Caller
from server.tools.desk import Desk
from server.tools.jobs import Job

Step = Callable[[StageProgress], object]


def begun(desk: Desk, by: Caller, run: str, asked: str, step: Step) -> Job:
    """The walk, started in the background; or the one under way, if it was asked the same.

    Raises:
        RunBusy: the run is being walked for another call.
        Unavailable: the server is stopping.
    """
    try:
        return desk.jobs.start(by, run, asked, step)
    except Unavailable as error:
        if desk.jobs.of(by.principal.tenant, run) is None:
            raise
        raise RunBusy(str(error)) from error
