"""
One folder tree as a source of pictures.

An asset's id is its path below the root, so it does not change when the root moves. A listing reads only files whose
size or times differ from the last reading. Its SHA-1 equals Immich's checksum, so the same bytes are one content in
any source, and a moved or renamed file is recognised.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol

from immich_facesets.assets import Asset, FaceHint, Person, Rendition
from immich_facesets.dates import DateKind
from immich_facesets.errors import ItemError
from immich_facesets.picture_formats import holds_motion, picture_type
from service.progress import RemoteState
from service.sources import MOTION_PART, Page, SourceAwayError, SourceFacts, Staged
from service.sources.folder.path_names import shown, system_name
from service.sources.folder.picture_facts import Reading, copy, moment, read, silence_pillow
from service.sources.folder.reach import OUTSIDE, Reach
from service.sources.folder.walk import Found, FoundFile, Skipped, Unreadable, is_hidden, stamp_of, unreadable, walk
from service.sources.partial_files import PartialFile

Mode = Literal["mixed", "trusted"]
"""``trusted``: each folder directly below the root is one person, and its name is the person's name."""

_LISTED_AT_ONCE = 1000
_READ_AT_ONCE = 32
_PAUSE_SECONDS = 60.0
_LONGEST_PERSON = 200
_NOBODY = "_"
"""The name prefix of folders that are not a person: leftover pictures, or pictures for review."""


class Memory(Protocol):
    """Access to the stored state of the folder."""

    async def stamps(self, asset_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the stamps at the last reading of the assets that are known and not gone."""

    async def has_any(self) -> bool:
        """Return whether any picture is known and not gone."""


class FolderSource:
    """A folder's implementation of ``service.sources.Source``; ``closed`` folders below the root are not entered."""

    def __init__(
        self,
        name: str,
        root: Path,
        mode: Mode,
        memory: Memory,
        *,
        max_file_bytes: int = 512 * 2**20,
        closed: Sequence[Path] = (),
        follow_links: bool = False,
        on_change: Callable[[RemoteState], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._name = name
        self._clock = clock
        self.root = root
        self.mode = mode
        self.follow_links = follow_links
        self._memory = memory
        self._max_file_bytes = max_file_bytes
        self._closed = tuple(closed)
        self._on_change = on_change
        self._sleep = sleep
        silence_pillow()

    @property
    def name(self) -> str:
        return self._name

    async def open(self) -> SourceFacts:
        """Check the root; ``SourceAwayError`` if it is missing, or empty although pictures are known."""
        await self._check_there()
        self._report_state("")
        return SourceFacts(
            name=self._name,
            kind="folder",
            version="",
            user_id="",
            hints_inline=True,
            knows_faces=False,
            lists_changes=False,
        )

    async def listing(self, *, updated_after: datetime | None = None) -> AsyncIterator[Page]:
        """Yield every picture once; unchanged ones only as their ids."""
        del updated_after  # a folder has no change log
        found = walk(self.root, closed=self._closed, follow_links=self.follow_links)
        is_empty = True
        while chunk := await asyncio.to_thread(_take, found):
            files = [item for item in chunk if isinstance(item, FoundFile)]
            known = await self._memory.stamps([file.asset_id for file in files])
            same = tuple(file.asset_id for file in files if known.get(file.asset_id) == file.stamp)
            is_empty = is_empty and not files and not any(map(_leads_out, chunk))
            yield Page(
                assets=(),
                skipped=_skipped(chunk),
                unchanged=same,
                failed=await self._excused([(item.item, item.error) for item in chunk if isinstance(item, Unreadable)]),
            )
            changed = [file for file in files if known.get(file.asset_id) != file.stamp]
            for start in range(0, len(changed), _READ_AT_ONCE):
                yield await self._read_all(changed[start : start + _READ_AT_ONCE])
        if is_empty and await self._memory.has_any():
            raise self._away("holds no picture any more")

    async def ids_with_faces(self, *, updated_after: datetime | None = None) -> None:
        del updated_after  # a folder has no face boxes

    async def read_hints(self, asset_id: str) -> tuple[FaceHint, ...]:
        del asset_id
        return ()

    async def find(self, asset_id: str) -> Asset | None:
        """Return the file's state without reading it; None if it is certainly gone, not merely unreachable."""
        try:
            status = await asyncio.to_thread(self._status, asset_id)
        except (FileNotFoundError, NotADirectoryError):
            await self._check_there()
            return None
        except OSError as error:
            raise unreadable(error) from error
        changed_at = moment(status.st_mtime)
        return self._asset(asset_id, Reading("", stamp_of(status), changed_at, None, "", DateKind.FILE))

    async def people(self) -> tuple[Person, ...]:
        """Return the people of a trusted folder: one for each person's folder directly below the root."""
        if self.mode != "trusted":
            return ()
        try:
            names = await asyncio.to_thread(_folders, self.root)
        except OSError as error:
            raise self._away(error.strerror or "cannot be read") from error
        found = (shown(name) for name in names)
        return tuple(Person(name, name, None, is_hidden=False) for name in found if len(name) <= _LONGEST_PERSON)

    async def find_person(self, person_id: str) -> Person | None:
        """Return the person of a folder that is there now."""
        return next((person for person in await self.people() if person.person_id == person_id), None)

    async def fetch(self, asset: Asset, folder: Path) -> Staged:
        """Copy the file with exactly the listed bytes; a file changed since then is left to the next listing."""
        draft = PartialFile(folder)
        staged: Staged | None = None
        try:
            last = await asyncio.to_thread(self._copy, asset, draft)
            staged = await asyncio.to_thread(draft.finish, list(last))
        except ItemError:
            await self._check_there()
            raise
        finally:
            if staged is None:
                draft.discard()
        return staged

    async def wait_until_up(self) -> None:
        """Look every minute until the folder is there."""
        while True:
            try:
                return await self._check_there()
            except SourceAwayError:
                await self._sleep(_PAUSE_SECONDS)

    async def close(self) -> None:
        """Do nothing: there are no connections."""

    def _within_reach(self, name: str) -> Path:
        """Return the path of a file; ``ItemError`` where a link on the way leads out. Blocking."""
        path = self.root / name
        Reach(self.root, follow_links=self.follow_links).check(path)
        return path

    def _status(self, asset_id: str) -> os.stat_result:
        status = (self.root / system_name(asset_id)).stat()
        self._within_reach(system_name(asset_id))
        return status

    def _copy(self, asset: Asset, draft: PartialFile) -> tuple[bytes, ...]:
        path = self._within_reach(system_name(asset.asset_id))
        return copy(path, draft, sha1=asset.checksum, max_bytes=self._max_file_bytes)

    async def _read_all(self, files: Sequence[FoundFile]) -> Page:
        results = await asyncio.gather(*(asyncio.to_thread(self._try, file) for file in files))
        assets = tuple(result for result in results if isinstance(result, Asset))
        failed = [
            (file.asset_id, result)
            for file, result in zip(files, results, strict=True)
            if isinstance(result, ItemError)
        ]
        return Page(assets=assets, skipped={}, failed=await self._excused(failed))

    def _try(self, file: FoundFile) -> Asset | ItemError:
        try:
            path, today = self._within_reach(file.name), self._clock().date()
            return self._asset(file.asset_id, read(path, max_bytes=self._max_file_bytes, today=today))
        except ItemError as error:
            return error

    async def _excused(self, failed: Sequence[tuple[str, ItemError]]) -> tuple[tuple[str, ItemError], ...]:
        """Return the failures without files deleted meanwhile; ``SourceAwayError`` if the whole root is missing."""
        if failed:
            await self._check_there()
        return tuple((item, error) for item, error in failed if error.reason != "not_found")

    def _asset(self, asset_id: str, reading: Reading) -> Asset:
        file_name = asset_id.rpartition("/")[2]
        return Asset(
            source=self._name,
            asset_id=asset_id,
            checksum=reading.sha1 or None,
            path=asset_id,
            file_name=file_name,
            mime_type=picture_type(file_name) or "application/octet-stream",
            taken_at=reading.taken_at or reading.changed_at,
            local_date=reading.local_date,
            date_kind=reading.date_kind,
            created_at=reading.changed_at,
            updated_at=reading.changed_at,
            width=None,
            height=None,
            visibility="timeline",
            is_external=False,
            is_edited=False,
            is_offline=False,
            rendition=Rendition.ORIGINAL,
            stamp=reading.stamp,
        )

    async def _check_there(self) -> None:
        try:
            is_empty = await asyncio.to_thread(_is_empty, self.root)
        except OSError as error:
            raise self._away(error.strerror or "cannot be read") from error
        if is_empty and await self._memory.has_any():
            raise self._away("is empty, and was not")

    def _away(self, why: str) -> SourceAwayError:
        error = SourceAwayError(
            f"the folder of source {self._name!r} cannot be reached ({self.root}: {why[:1].lower()}{why[1:]}): is it "
            "mounted? What is known of it stays as it is; to give it up, run 'immich-facesets sources remove'"
        )
        self._report_state(str(error))
        return error

    def _report_state(self, message: str) -> None:
        if self._on_change is not None:
            advice = f"Mount it at {self.root}, or move the source with 'sources add-folder'." if message else ""
            circuit: Literal["open", "closed"] = "open" if message else "closed"
            self._on_change(RemoteState(name=f"folder {self._name}", circuit=circuit, message=message, advice=advice))


def _skipped(chunk: Sequence[Found]) -> dict[str, int]:
    """Return how many files were skipped, by reason; a picture that holds its moving part counts as one."""
    reasons = Counter(item.reason for item in chunk if isinstance(item, Skipped))
    inside = sum(isinstance(item, FoundFile) and holds_motion(item.name) for item in chunk)
    reasons.update({MOTION_PART: inside} if inside else {})
    return dict(reasons)


def _take(found: Iterator[Found]) -> list[Found]:
    return list(islice(found, _LISTED_AT_ONCE))


def _is_empty(root: Path) -> bool:
    with os.scandir(root) as entries:
        return next(entries, None) is None


def _leads_out(item: Found) -> bool:
    return isinstance(item, Unreadable) and item.error.reason == OUTSIDE


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder; one that cannot be looked at is none, and the listing names it."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _folders(root: Path) -> list[str]:
    with os.scandir(root) as entries:
        names = [entry.name for entry in entries if _is_folder(entry)]
    return sorted(name for name in names if not is_hidden(name) and not name.startswith(_NOBODY))
