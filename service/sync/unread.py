"""The pictures that a sync leaves unread, and the words for it."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime

from immich_facesets.errors import TransientError
from service.embedders.pool import EmbedderPool
from service.passes.context import PassContext
from service.passes.embed import recipe_of
from service.store import embedding_work, spaces
from service.sync.outcome import UP_TO_DATE, Outcome, Result

UNREAD = "embed_unread"
"""The name of the count of pictures that a sync left unread."""

WORDS: Mapping[str, str] = {
    "answer_too_large": "with too large an answer",
    "at_crash": "in hand when the embedder ended",
    "bad_answer": "with a wrong answer of the embedder",
    "bad_crop": "with a damaged crop",
    "changed": "changed meanwhile",
    "changing": "being written",
    "checksum_mismatch": "with other bytes than Immich names",
    "corrupt": "damaged",
    "crashes_decoder": "ending the decoder",
    "crashes_embedder": "ending the embedder",
    "degenerate_face": "with a face without direction",
    "denied": "with access denied",
    "empty": "empty",
    "impossible_answer": "with impossible data",
    "inference_failed": "on which the models fail",
    "link_outside": "behind a link out of the folder",
    "not_a_picture": "without a picture in it",
    "not_found": "not found",
    "not_json": "with a web page in place of data",
    "not_ready": "not made by Immich yet",
    "offline": "missing at Immich",
    "own_export": "written by this program",
    "path_too_long": "with too long a path",
    "refused": "refused by Immich",
    "server_error": "with an error of Immich",
    "timeout": "without an answer in time",
    "too_large": "too large",
    "too_many_pixels": "with too many pixels",
    "too_many_scans": "with too many scans",
    "too_much_memory": "needing too much memory",
    "too_slow": "too slow",
    "truncated": "broken off",
    "unavailable": "not reachable",
    "unreadable": "not readable",
    "unsupported": "of a kind that is not read",
    "waiting": "waiting",
}
"""The reasons why a picture is not read, in words that stand behind a number of pictures."""


def with_unread(result: Result, reasons: Mapping[str, int]) -> Result:
    """
    Return the result of a sync that left pictures unread, by reason, with their number and the reasons in its message.

    A stopped sync leaves pictures to the next one, and its message says so.
    """
    if not reasons or result.outcome is Outcome.STOPPED:
        return result
    total = sum(reasons.values())
    ordered = sorted(reasons.items(), key=lambda reason: (-reason[1], reason[0]))
    why = ", ".join(f"{count:,} {WORDS.get(reason) or reason.replace('_', ' ')}" for reason, count in ordered)
    unread = f"{total:,} {'picture was' if total == 1 else 'pictures were'} not read: {why}"
    match result.outcome:
        case Outcome.DONE if result.message == UP_TO_DATE:
            message = f"{unread}; all others are up to date"
        case Outcome.DONE:
            message = f"{result.message}; {unread}"
        case _:
            message = f"{result.message.removesuffix('.')}. {unread}."
    return replace(result, message=message, counts={**result.counts, UNREAD: total})


@asynccontextmanager
async def counting_unread(
    context: PassContext, pool: EmbedderPool, sources: Collection[str], since: datetime, unread: dict[str, int]
) -> AsyncIterator[None]:
    """Store in ``unread`` what a sync that began at ``since`` leaves unread, by reason, also when an outage ends it."""

    async def count() -> None:
        space = pool.info.space if pool.is_open else await context.store.read(spaces.active_space)
        recipe, now = recipe_of(space or "", context.settings), context.clock()
        unread.update(await context.store.read(embedding_work.unread, recipe, now, since, sources))

    try:
        yield
    except TransientError:
        with suppress(TransientError):  # the database may be what is down
            await count()
        raise
    await count()
