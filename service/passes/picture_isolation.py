"""Requests to the embedder that isolate a picture that crashes it or takes too long, without affecting others."""

from pathlib import Path

from immich_facesets.assets import Asset
from immich_facesets.errors import ItemError
from immich_facesets.face_requests import FacesRequest
from immich_facesets.wire import FacesAnswer
from service.embedders.client import EmbedderBusyError, EmbedderLostError, EmbedderTimeoutError
from service.embedders.pool import WHOLE_PICTURE, EmbedderPool
from service.passes.context import PassContext
from service.store import failures

_CRASHES = 2
"""Number of embedder crashes on one picture, sent alone, after which the picture is set aside."""


class PictureIsolation:
    """
    Requests of one run to the embedder. Each crash on an original is stored at once, so that it counts after a kill.

    A crashing embedder has several pictures in progress, and a slow picture makes others wait beyond their time. Each
    of them is sent again alone: this completes the harmless ones and identifies the cause. Of the harmless ones that
    only waited, nothing is stored.
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

        ``ItemError`` when the embedder crashed often enough on this picture alone, or gave no answer for it alone.
        ``EmbedderFailsError`` when it does not answer a test picture either.
        """
        alone = asset is not None and asset.fingerprint in self._suspects
        crashes = 0
        while True:
            try:
                return await self._pool.faces(picture, request, alone=alone)
            except EmbedderLostError as error:
                crashes = crashes + alone if asset is None else await self._record(asset, error, alone=alone)
                if alone and crashes >= _CRASHES:
                    await self._pool.check_alive()
                    raise _crashed(crashes) from error
            except EmbedderTimeoutError as error:
                if alone:
                    await self._pool.check_alive()
                    raise _too_slow(error) from error
            except EmbedderBusyError:  # never raised for a picture that is alone
                pass
            alone = True

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


def _crashed(crashes: int) -> ItemError:
    return ItemError(
        f"the embedder ended {crashes} times while it had this picture and no other: its log may say why",
        reason=failures.CRASHES_EMBEDDER,
    )


def _too_slow(error: EmbedderTimeoutError) -> ItemError:
    return ItemError(
        f"{error} while it had this picture and no other (FACESETS_EMBEDDING_TIMEOUT)", reason=failures.TOO_SLOW
    )
