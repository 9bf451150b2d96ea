"""Structured logs: JSON lines for machines, coloured lines for people, both on standard error."""

from __future__ import annotations

import logging
import math
import sys
from typing import Literal

import structlog


class Repetition(logging.Filter):
    """Lets a client's complaint through once in `seconds`: without its Kafka it has the same several times a second."""

    def __init__(self, seconds: float = 10.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged: ours always are."""
        if not record.name.startswith("aiokafka"):
            return True
        key = record.name, str(record.msg)
        due = record.created >= self._last.get(key, -math.inf) + self._seconds
        if due:
            self._last[key] = record.created
        return due


def configure_logging(level: str, form: Literal["json", "console"]) -> logging.Handler:
    """Send structlog and the standard library's loggers (Faust's, aiokafka's) through one formatter.

    Returns the handler on standard error, for a framework that sets up the root logger itself.
    """
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: structlog.types.Processor
    if form == "json":
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    handler.addFilter(Repetition())
    # The clients' own chatter says nothing to an operator that our log does not say with more context.
    for name in ("aiokafka", "faust", "mode", "aiohttp.access", "kafka"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
    return handler
