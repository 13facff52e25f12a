"""The one place where an error becomes what a client is told: what was meant for it as it is, anything else as a log id."""

import inspect
import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

import structlog
from mcp import MCPError
from mcp.server.mcpserver.exceptions import MCPServerError, ResourceError, ResourceNotFoundError, ToolError

from server.errors import AnomalystError, NotFound

_log = structlog.get_logger("anomalyst.tools")
Translation = Callable[[Exception], Exception]


def for_tools(error: Exception) -> Exception:
    """What a failed call says: the message of our own errors, which tells what to do next; else only a log id."""
    if isinstance(error, AnomalystError):
        return ToolError(str(error))
    return error if isinstance(error, MCPError | MCPServerError) else ToolError(masked(error))


def for_resources(error: Exception) -> Exception:
    """What a failed read says; an id that there is not is told apart from other failures."""
    if isinstance(error, NotFound):
        return ResourceNotFoundError(str(error))
    if isinstance(error, AnomalystError):
        return ResourceError(str(error))
    return error if isinstance(error, MCPError | MCPServerError) else ResourceError(masked(error))


def masked(error: BaseException) -> str:
    """Words that reveal nothing of the error but the id under which the log has all of it."""
    log_id = secrets.token_hex(4)
    _log.error("fault", log_id=log_id, exc_info=error)
    return f"this is a fault of anomalyst, not of your call. Report it with log id {log_id}; another call may work."


def translated(function: Callable[..., Any], translation: Translation) -> Callable[..., Any]:
    """The function with the errors that it raises translated; its signature and its kind (sync or async) stay."""
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def awaited(*args: Any, **named: Any) -> Any:
            try:
                return await function(*args, **named)
            except Exception as error:  # whatever it is, the client hears of it in words made here
                raise translation(error) from error

        return cast("Callable[..., Any]", awaited)

    @wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        try:
            return function(*args, **named)
        except Exception as error:  # as above
            raise translation(error) from error

    return called
