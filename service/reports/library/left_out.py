"""Faces that are left out of a face set, read from the report that is written beside it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from immich_facesets.exports.fsz import PREFLIGHT
from service.files.export_reading import path_of_ours
from service.reports.library.shown import shown_face
from service.store.browsing.exported import members_in_pictures, one_directory
from service.store.browsing.identity_faces import browsed_faces
from service.store.database import Store
from service.web.cursors import decode_cursor, encode_cursor
from service.web.library.facesets import LeftOutAnswer, LeftOutFace, LeftOutQuery


class _Omitted(msgspec.Struct, frozen=True):
    """A face of the report: its picture, and its crop, None without one."""

    reason: str
    sha256: str
    crop_sha256: str | None = None


class _Report(msgspec.Struct, frozen=True):
    left_out_faces: tuple[_Omitted, ...] = ()


class LeftOut:
    """The answers about faces that are left out; ``base``: the base path of addresses."""

    def __init__(self, store: Store, root: Path, base: str) -> None:
        self._store = store
        self._root = root
        self._base = base

    async def page(self, directory: str, query: LeftOutQuery) -> LeftOutAnswer | None:
        """Return a page of the faces; None for a directory without a report, or of nobody."""
        row = await self._store.read(one_directory, directory)
        number = None if row is None else row.entry.get("identity")
        report = None if number is None else await asyncio.to_thread(self._report, directory)
        if number is None or report is None:
            return None
        order = f"left out {query.reason}"
        after = decode_cursor(query.cursor, order)
        first = 0 if after is None else after[1]
        omitted = [one for one in report.left_out_faces if query.reason in {"", one.reason}]
        page = omitted[first : first + query.limit]
        end = first + len(page)
        return LeftOutAnswer(
            faces=await self._faces(number, page),
            total=len(omitted),
            next=encode_cursor(order, (0.0, end) if end < len(omitted) else None),
        )

    async def _faces(self, number: int, page: Sequence[_Omitted]) -> tuple[LeftOutFace, ...]:
        members = await self._store.read(members_in_pictures, number, [one.sha256 for one in page])
        chosen = {
            face_id: one.reason
            for one in page
            for face_id, crop in members.get(one.sha256, ())
            if crop == (one.crop_sha256 or "")
        }
        rows = await self._store.read(browsed_faces, list(chosen))
        return tuple(
            LeftOutFace(reason=reason, face=shown_face(rows[face_id], self._base))
            for face_id, reason in chosen.items()
            if face_id in rows
        )

    def _report(self, directory: str) -> _Report | None:
        path = path_of_ours(self._root, directory, PREFLIGHT)
        try:
            return None if path is None else msgspec.json.decode(path.read_bytes(), type=_Report)
        except (OSError, msgspec.DecodeError):  # replaced meanwhile, or written by another version
            return None
