"""Logging of facts, each once; as JSON lines unless the stream is a terminal."""

import io
import json as json_text
import logging
import sys
from typing import Any, TextIO

import structlog

from immich_facesets.runtime.visible_text import visible, visible_json

QUIET_LOGGERS = ("PIL", "aiohttp.access", "alembic", "asyncio", "httpx")
"""Libraries whose INFO lines repeat our own log, or show addresses."""


def configure_logging(json: bool | None = None, level: str = "INFO", stream: TextIO | None = None) -> None:
    """
    Send structlog's and the standard library's records to ``stream`` (default: stderr) in one form.

    Tracebacks are plain: structlog's own show local variables, which hold keys, names and vectors. Texts of others are
    shown as ``visible_text`` has it.

    ``json`` None means: JSON unless the stream is a terminal. Call it once, at the start of a process.
    """
    stream = sys.stderr if stream is None else stream
    as_json = not stream.isatty() if json is None else json
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_json)]
        if as_json
        else [
            _visible_values,
            structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=_visible_traceback),
        ]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _json(value: Any, **options: Any) -> str:
    return visible_json(json_text.dumps(value, **options))


def _visible_values(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Return the record for a terminal; the renderer prints texts as they are, and all else as Python writes it."""
    return {key: visible(value, keep_lines=True) if isinstance(value, str) else value for key, value in event.items()}


def _visible_traceback(stream: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    trace = io.StringIO()
    structlog.dev.plain_traceback(trace, exc_info)
    stream.write(visible(trace.getvalue(), keep_lines=True))
