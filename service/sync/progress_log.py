"""Lines in the log while a sync runs, for a service without a terminal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from service.progress import ProgressBoard

log = structlog.get_logger(__name__)

EVERY_SECONDS = 60.0


@asynccontextmanager
async def logged(board: ProgressBoard, *, every: float = EVERY_SECONDS) -> AsyncIterator[None]:
    """Log how far the running stage is, once in so many seconds, while the context is open."""
    logging = asyncio.create_task(_log(board, every))
    try:
        yield
    finally:
        logging.cancel()
        await asyncio.gather(logging, return_exceptions=True)


async def _log(board: ProgressBoard, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        for stage in board.now.stages:
            if stage.state == "running":
                log.info(
                    "sync_progress",
                    stage=stage.stage,
                    done=stage.done,
                    total=stage.total,
                    failed=stage.failed,
                    per_second=_rounded(stage.per_second),
                    seconds_left=_rounded(stage.seconds_left),
                )


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 1)
