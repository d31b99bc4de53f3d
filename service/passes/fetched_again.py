"""Pictures that are fetched again because a setting changed: told before it begins, with what it costs."""

from collections.abc import Collection

import structlog

from immich_facesets.wording import counted
from service.passes.context import PassContext
from service.store import embedding_work
from service.store.embedding_work import FetchedAgain, Recipe
from service.web.formatting import size

log = structlog.get_logger(__name__)

AGAIN = (
    "the stored crops or faces are of other values of FACESETS_CROP_SIZE, FACESETS_CROP_PADDING, "
    "FACESETS_EXPORT_MIN_FACE_SHORT or FACESETS_DETECTION"
)


def cost(again: FetchedAgain) -> str:
    """Return how much is fetched again, in words; the size is that of the files when they were last fetched."""
    return f"{counted(again.pictures, 'picture')} again, about {size(again.size_bytes)}"


def warning(again: FetchedAgain) -> str:
    """Return a sentence for the status."""
    return f"a sync fetches {cost(again)}: {AGAIN}. The former values spare it; pictures that are done stay done"


async def announce_fetches(context: PassContext, recipe: Recipe, sources: Collection[str]) -> None:
    """Tell log and progress what a changed setting costs, before anything is fetched for it."""
    again = await context.store.read(embedding_work.fetched_again, recipe, context.clock(), sources=sources)
    if again.pictures:
        log.warning("pictures_fetched_again", count=again.pictures, size_bytes=again.size_bytes, why=AGAIN)
        context.board.update_stage("embed", note=f"fetching {cost(again)}")
