"""Requests to the embedder that isolate a picture that crashes it, without affecting other pictures."""

from pathlib import Path

from immich_facesets.assets import Asset
from immich_facesets.errors import ItemError
from immich_facesets.wire import FacesAnswer, FacesRequest
from service.embedders.client import EmbedderLostError
from service.embedders.pool import WHOLE_PICTURE, EmbedderPool
from service.passes.context import PassContext
from service.store import failures

_CRASHES = 2
"""Number of embedder crashes on one picture, sent alone, after which the picture is set aside."""


class PictureIsolation:
    """
    Requests of one run to the embedder. Each crash on an original is stored at once, so that it counts after a kill.

    A crashing embedder has several pictures in progress. Each of them is sent again alone: this completes the harmless
    ones and identifies the cause.
    """

    def __init__(self, context: PassContext, pool: EmbedderPool) -> None:
        self._context = context
        self._pool = pool
        self._suspects: set[str] = set()

    async def prepare(self) -> None:
        """Load the suspects of earlier runs; they are not sent beside other pictures again."""
        self._suspects = await self._context.store.read(failures.items_at_crash, failures.EMBED)

    async def ask(
        self, picture: Path | bytes, request: FacesRequest = WHOLE_PICTURE, *, asset: Asset | None = None
    ) -> FacesAnswer:
        """
        Return the faces of a picture.

        asset: the asset of an original, whose crashes are stored; those of a face crop count within this call only.

        ``ItemError`` when the embedder crashed often enough on this picture alone.
        """
        alone = asset is not None and asset.fingerprint in self._suspects
        crashes = 0
        while True:
            try:
                return await self._pool.faces(picture, request, alone=alone)
            except EmbedderLostError as error:
                crashes = crashes + alone if asset is None else await self._record(asset, error, alone=alone)
            if alone and crashes >= _CRASHES:
                break
            alone = True
        await self._pool.check_alive()
        raise ItemError(
            f"the embedder ended {crashes} times while it had this picture and no other: its log may say why",
            reason=failures.CRASHES_EMBEDDER,
        )

    async def _record(self, asset: Asset, error: EmbedderLostError, *, alone: bool) -> int:
        """Store a crash and return how many there were with this picture alone."""
        return await self._context.store.write(
            failures.record_crash,
            failures.EMBED,
            asset.source,
            asset.fingerprint,
            message=f"{error} while it had this picture; it is asked for again alone",
            now=self._context.clock(),
            alone=alone,
        )
