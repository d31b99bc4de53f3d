"""The faces of a picture for a caller that waits: an answer in time, or the reason why there is none."""

import asyncio

from immich_facesets.errors import SetupError, TransientError
from immich_facesets.face_requests import FacesRequest
from immich_facesets.wire import FacesAnswer
from service.embedders.pool import EmbedderPool

ANSWER_SECONDS = 60.0
"""How long a caller waits for the embedder, which may have pictures of a sync in hand."""


async def faces_within(
    pool: EmbedderPool, picture: bytes, request: FacesRequest, seconds: float = ANSWER_SECONDS
) -> FacesAnswer:
    """Return the faces of a picture; ``TransientError`` where no embedder answers in time."""
    try:
        async with asyncio.timeout(seconds):
            if not pool.is_open:
                await pool.open()
            return await pool.faces(picture, request)
    except TimeoutError as error:
        raise TransientError(
            f"the embedder gave no answer within {seconds:g} seconds: it is down, or busy with a sync", retry_after=30
        ) from error


def refuse_other_space(served: str, used: str) -> None:
    """Raise a ``SetupError`` where the embedder serves another space than that of the known people."""
    if served != used:
        raise SetupError(
            f"the embedder serves another space ({served}) than the people ({used}), and their vectors cannot "
            "be compared: 'immich-facesets status' says how far re-embedding is; otherwise give it its former models back"
        )
