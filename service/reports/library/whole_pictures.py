"""Whole pictures, reduced: fetched from their source when somebody looks at them, and decoded by the embedder alone."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from immich_facesets.assets import Asset
from immich_facesets.errors import ItemError, TransientError
from immich_facesets.face_requests import CutRequest, FacesRequest
from immich_facesets.faces import Box
from immich_facesets.runtime.file_modes import make_folder
from service.embedders.pool import EmbedderPool
from service.files.durable import discard, disk_trouble
from service.passes.context import PREVIEWS_FOLDER, PassContext
from service.sources import Source, Staged
from service.store.browsing.whole_pictures import WholePicture, whole_picture

SIDE = 1440
"""The pixels of the longer side; a smaller picture is not enlarged."""

_AT_ONCE = 2
_MOST_KEPT = 24
_SECONDS = 60.0


class WholePictures:
    """
    The pictures by the SHA-256 of their bytes; the latest are kept in memory, and none on disk.

    ``sources``: those that there are now, by name.
    """

    def __init__(self, context: PassContext, sources: Mapping[str, Source], pool: EmbedderPool) -> None:
        self._context = context
        self._sources = sources
        self._pool = pool
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._folder = context.settings.data_dir / PREVIEWS_FOLDER

    async def tidy(self) -> None:
        """Remove what a kill left on disk; nothing may be shown yet."""
        with disk_trouble(self._folder):
            await asyncio.to_thread(discard, self._folder)

    async def show(self, sha256: str, user: str | None = None) -> bytes | None:
        """
        Return a picture as JPEG, upright; None where no face of it is known, or no source has it.

        A ``user`` is shown what the own source has, and never told that another one has the same bytes.

        ``TransientError`` where neither source nor embedder answer now, ``ItemError`` where it cannot be read.
        """
        found = await self._context.store.read(whole_picture, sha256, user)
        if found is None:
            self._kept.pop(sha256, None)
            return None
        if user is not None and not found.places:
            return None
        if sha256 in self._kept:
            self._kept.move_to_end(sha256)
            return self._kept[sha256]
        async with self._places:
            image = await self._read(found)
        if image is not None:
            self._kept[sha256] = image
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return image

    async def _read(self, found: WholePicture) -> bytes | None:
        """Try each place of a picture in turn; raise the last error where none gives it."""
        last: Exception | None = None
        for asset in found.places:
            source = self._sources.get(asset.source)
            if source is None:
                continue
            try:
                async with asyncio.timeout(_SECONDS):
                    return await self._read_from(source, asset, found)
            except TimeoutError:
                last = TransientError(f"{asset.source} or the embedder gave no answer within {_SECONDS:g} seconds")
            except (ItemError, TransientError) as error:
                last = error
        if last is not None:
            raise last
        return None

    async def _read_from(self, source: Source, asset: Asset, found: WholePicture) -> bytes:
        staged = await self._fetched(source, asset)
        try:
            if staged.sha256 != found.sha256:
                raise ItemError("it was changed since it was read: the next sync reads it again", reason="changed")
            if not self._pool.is_open:
                await self._pool.open()
            longer, shorter = max(found.width, found.height), min(found.width, found.height)
            cut = CutRequest(Box(0, 0, found.width, found.height), max(256, round(SIDE * SIDE * shorter / longer)))
            answer = await self._pool.faces(staged.path, FacesRequest(cut=cut))
        finally:
            await asyncio.to_thread(_remove, staged.path)
        if answer.cut is None:
            raise ItemError(
                "this embedder cuts no pictures: update it to the version of the service", reason="bad_answer"
            )
        return answer.cut.image

    async def _fetched(self, source: Source, asset: Asset) -> Staged:
        with disk_trouble(self._folder):
            await asyncio.to_thread(make_folder, self._folder)
        return await source.fetch(asset, self._folder)


def _remove(path: Path) -> None:
    with disk_trouble(path.parent):
        path.unlink(missing_ok=True)
