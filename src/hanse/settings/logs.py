"""Logging: one JSON line an event in path.logs, a short line on the console.

Tests: tests/settings/test_logs.py.
"""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import orjson
import structlog

from hanse.settings.node_settings import CLUSTER_NAME, PATH_LOGS
from hanse.settings.registry import Settings

LOG_BYTES_MAX = 64 * 1024 * 1024
LOG_FILES_MAX = 8


def configure_logs(settings: Settings, *, console: bool = True) -> None:
    """Sends structlog's events to `<path.logs>/<cluster.name>.log` (mode 0600) and to standard error."""
    handlers: list[logging.Handler] = []
    if console:
        stream = logging.StreamHandler(sys.stderr)
        stream.setFormatter(structlog.stdlib.ProcessorFormatter(processors=_CONSOLE))
        handlers.append(stream)
    folder = settings.read(PATH_LOGS)
    if folder:
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = path / f"{settings.read(CLUSTER_NAME)}.log"
        file.touch(mode=0o600, exist_ok=True)
        rotating = RotatingFileHandler(file, maxBytes=LOG_BYTES_MAX, backupCount=LOG_FILES_MAX)
        rotating.setFormatter(structlog.stdlib.ProcessorFormatter(processors=_JSON))
        handlers.append(rotating)
    logging.basicConfig(handlers=handlers or [logging.NullHandler()], level=logging.INFO, force=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _dump(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()


_CONSOLE: list[Any] = [
    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
    structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0),
]
_JSON: list[Any] = [
    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
    structlog.processors.JSONRenderer(serializer=_dump),
]
