"""The download of a picture from Immich to disk: checked on arrival, and made a file only when complete."""

import asyncio
from pathlib import Path

import httpx

from immich_facesets.assets import Asset
from immich_facesets.errors import FacesetsError, ItemError
from service.sources import Staged
from service.sources.immich.api_errors import AnswerError, looks_like_html
from service.sources.partial_files import BLOCK_BYTES, PartialFile


async def stage(response: httpx.Response, folder: Path, asset: Asset, *, max_bytes: int) -> Staged:
    """
    Write a picture's body into ``folder``; only a complete picture of the announced length leaves a file.

    Raises ``ItemError`` (empty, too_large, not_a_picture, offline), ``AnswerError`` for a truncated body, and
    ``SetupError`` when the folder cannot be written.
    """
    promised = _promised_bytes(response)
    if promised is not None and promised > max_bytes:
        raise _too_large(promised, max_bytes)
    draft = PartialFile(folder)
    staged: Staged | None = None
    try:
        blocks: list[bytes] = []
        waiting = total = 0
        async for block in response.aiter_bytes():
            if total == 0:
                _check_first_bytes(block, asset)
            blocks.append(block)
            waiting += len(block)
            total += len(block)
            if total > max_bytes:
                raise _too_large(total, max_bytes)
            if waiting >= BLOCK_BYTES:
                await asyncio.to_thread(draft.absorb, blocks)
                blocks, waiting = [], 0
        # A proxy that compresses the answer against the request announces the compressed length.
        arrived = response.num_bytes_downloaded if "content-encoding" in response.headers else total
        if promised is not None and arrived != promised:
            raise AnswerError(f"a picture ended after {arrived} of {promised} bytes", reason="truncated")
        if total == 0:
            raise ItemError("Immich sent no bytes for this picture", reason="empty")
        staged = await asyncio.to_thread(draft.finish, blocks)
    finally:
        if staged is None:
            draft.discard()
    return staged


def _promised_bytes(response: httpx.Response) -> int | None:
    text = response.headers.get("content-length", "")
    return int(text) if text.isdecimal() else None


def _too_large(size_bytes: int, max_bytes: int) -> ItemError:
    return ItemError(
        f"the picture has {size_bytes} bytes or more, above the limit of {max_bytes} (FACESETS_MAX_FILE_BYTES)",
        reason="too_large",
    )


def _check_first_bytes(block: bytes, asset: Asset) -> None:
    """Reject a body that begins like JSON or HTML, whatever its content type."""
    error: FacesetsError | None = None
    if block[:64].lstrip().startswith((b"{", b"[{")):
        if asset.is_offline or asset.is_external:
            error = ItemError("the file behind this picture is missing on the server", reason="offline")
        else:
            error = ItemError("Immich sent a message instead of the picture", reason="not_a_picture")
    elif looks_like_html(block):
        error = ItemError("a web page came instead of the picture", reason="not_a_picture")
    if error is not None:
        raise error
