"""Logs of a server: one JSON object a line on stderr (stdout is the protocol's), without secrets or local variables."""

import logging
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

_SECRET = ("authorization", "token", "secret", "password", "cookie", "api_key")
_LOUD = ("alembic", "uvicorn", "mcp", "httpx", "httpx2", "sse_starlette")


def configure_logs(level: int = logging.INFO) -> None:
    """Send structlog's and the standard library's logs to stderr. To be called before an `MCPServer` is made."""
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                without_secrets,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _LOUD:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def without_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The event with the value of every field that is named like a secret left out."""
    return {name: "..." if any(part in name.lower() for part in _SECRET) else value for name, value in event.items()}
