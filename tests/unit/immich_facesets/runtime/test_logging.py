"""Log output: JSON lines without local variables."""

import io
import json
import logging

import structlog

from immich_facesets.runtime.logging import configure_logging


def break_with(password: str) -> None:
    raise ValueError("broken") from KeyError(len(password))


def test_logs_are_json_lines_without_local_variables() -> None:
    stream = io.StringIO()
    before = structlog.get_config()
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        configure_logging(None, "info", stream)
        log = structlog.get_logger("test")
        try:
            break_with("hunter" + str(2))
        except ValueError:
            log.exception("trouble", count=3)
        log.debug("not shown")
        logging.getLogger("some.library").warning("said %s", "something")
        logging.getLogger("httpx").info("an address")
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
        structlog.configure(**before)
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["event"], first["count"], first["level"], first["logger"]) == ("trouble", 3, "error", "test")
    assert "ValueError: broken" in first["exception"]
    assert "hunter2" not in stream.getvalue()
    assert (second["event"], second["logger"]) == ("said something", "some.library")
