"""The end of a process: stop signals, and exit codes that show who must act."""

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import Callable
from enum import IntEnum

import structlog

from immich_facesets.errors import RequestError, SetupError, TransientError

log = structlog.get_logger(__name__)


class ExitCode(IntEnum):
    """The meaning of the exit codes."""

    STOPPED = 0
    BUG = 1
    OUTAGE = 2
    """A remote is unavailable: the same command continues later."""
    SETUP = 3
    """A user must change something; the last line describes it."""


def run_reported(run: Callable[[], int | None]) -> int:
    """Call ``run`` and turn its outcome into an exit code; errors are reported once, bugs with their traceback."""
    try:
        code = run()
    except KeyboardInterrupt:
        return ExitCode.STOPPED
    except SetupError as error:
        log.error("setup", message=str(error))  # noqa: TRY400  the message is for a person; it is lost below a traceback
        return ExitCode.SETUP
    except RequestError as error:
        log.error("refused", message=str(error))  # noqa: TRY400  the same
        return ExitCode.SETUP
    except TransientError as error:
        log.error("outage", message=str(error))  # noqa: TRY400  the same
        return ExitCode.OUTAGE
    except Exception:
        log.exception("bug")
        return ExitCode.BUG
    return ExitCode.STOPPED if code is None else code


def stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set. Call it on the running loop, in the main thread."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        if sys.platform == "win32":
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
        else:
            loop.add_signal_handler(number, stop.set)
    return stop


def leave_with_parent(stop: asyncio.Event) -> None:
    """
    Set ``stop`` when standard input closes: a child that holds a pipe from its parent ends with it, even by kill -9.

    Call it on the running event loop.
    """
    loop = asyncio.get_running_loop()

    def watch() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        with contextlib.suppress(RuntimeError):  # the loop ended first
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
