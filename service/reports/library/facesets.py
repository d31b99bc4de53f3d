"""Questions about the export folder: its directories, their files, and the ledger."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from immich_facesets.exports.contact_sheet import SHEET
from immich_facesets.exports.fsz import FSZ, PREFLIGHT
from service.files.draft_files import parts_of
from service.files.export_reading import files_of_ours, path_of_ours, zip_stream
from service.files.ownership import digest_at
from service.reports.library.shown import slice_of
from service.store.browsing.exported import ExportedDirectory, directory_page, ledger_page, one_directory
from service.store.database import Store
from service.web.cursors import decode_cursor, encode_cursor
from service.web.library import facesets as shown
from service.web.library.addresses import faceset_address, file_address

_DOWNLOADS = (".fsz", ".npz", ".safetensors")
"""The endings of files that hold a whole face set."""


class FacesetReads:
    """The answers about the export folder ``root``; ``base``: the base path of addresses."""

    def __init__(self, store: Store, root: Path, base: str) -> None:
        self._store = store
        self._root = root
        self._base = base

    async def page(self, query: shown.FacesetsQuery) -> shown.FacesetsAnswer:
        after = decode_cursor(query.cursor, "facesets", str)
        rows = await self._store.read(
            directory_page, after="" if after is None else str(after[0]), limit=query.limit, identity=query.identity
        )
        page = rows[: query.limit]
        last = (page[-1].directory, 0) if len(rows) > query.limit else None
        facesets = tuple(shown_faceset(row, self._base) for row in page)
        return shown.FacesetsAnswer(facesets=facesets, next=encode_cursor("facesets", last))

    async def one(self, directory: str) -> shown.FacesetAnswer | None:
        row = await self._store.read(one_directory, directory)
        return None if row is None else await asyncio.to_thread(self._described, row)

    async def file(self, directory: str, name: str) -> Path | None:
        """Return the path of a file of ours, None for any other."""
        if await self._store.read(one_directory, directory) is None:
            return None
        return await asyncio.to_thread(path_of_ours, self._root, directory, name)

    async def archive(self, directory: str) -> Iterator[bytes] | None:
        """Return the parts of a zip archive, each of which blocks; None where there is nothing to pack."""
        if await self._store.read(one_directory, directory) is None:
            return None
        if not await asyncio.to_thread(files_of_ours, self._root, directory):
            return None
        return zip_stream(self._root, directory)

    async def ledger(self, query: shown.LedgerQuery) -> shown.LedgerAnswer:
        page = await self._store.read(ledger_page, slice_of(query, "ledger"), identity=query.identity)
        return shown.LedgerAnswer(
            exports=msgspec.convert(page.items, tuple[shown.LedgerEntry, ...], from_attributes=True),
            next=encode_cursor("ledger", page.last),
        )

    def summary(self, row: ExportedDirectory) -> shown.FacesetSummary:
        """Return a directory at a glance. Blocks."""
        sizes = files_of_ours(self._root, row.directory)
        artifacts = self._artifacts(row.directory, sizes)
        return shown.FacesetSummary(
            faceset=shown_faceset(row, self._base),
            is_whole=self._is_whole(row.directory, sizes),
            bytes=sum(sizes.values()),
            downloads=tuple(one for one in artifacts if one.name.endswith(_DOWNLOADS)),
            contact_sheet=file_address(self._base, row.directory, SHEET) if SHEET in sizes else None,
            preflight=self._preflight(row.directory) if PREFLIGHT in sizes else None,
        )

    def _described(self, row: ExportedDirectory) -> shown.FacesetAnswer:
        sizes = files_of_ours(self._root, row.directory)
        return shown.FacesetAnswer(
            faceset=shown_faceset(row, self._base),
            is_whole=self._is_whole(row.directory, sizes),
            artifacts=self._artifacts(row.directory, sizes),
            preflight=self._preflight(row.directory) if PREFLIGHT in sizes else None,
        )

    def _artifacts(self, directory: str, sizes: Mapping[str, int]) -> tuple[shown.Artifact, ...]:
        return tuple(
            shown.Artifact(name=name, bytes=size, address=file_address(self._base, directory, name))
            for name, size in sizes.items()
        )

    def _is_whole(self, directory: str, sizes: Mapping[str, int]) -> bool:
        return bool(sizes) and bool(digest_at(self._root.joinpath(*parts_of(directory))))

    def _preflight(self, directory: str) -> shown.Preflight | None:
        path = path_of_ours(self._root, directory, PREFLIGHT)
        try:
            return None if path is None else msgspec.json.decode(path.read_bytes(), type=shown.Preflight)
        except (OSError, msgspec.DecodeError):  # replaced meanwhile, or written by another version
            return None


def shown_faceset(row: ExportedDirectory, base: str) -> shown.Faceset:
    """Return a directory as the API shows it."""
    entry: dict[str, Any] = row.entry
    address, era = faceset_address(base, row.directory), entry.get("era")
    return shown.Faceset(
        directory=row.directory,
        profile=entry.get("profile", FSZ.name),
        identity=entry.get("identity"),
        label=entry.get("label"),
        era=None if era is None else msgspec.convert(era, shown.Years),
        faces=entry.get("faces", 0),
        written_at=row.written_at,
        address=address,
        zip=f"{address}/zip",
    )
