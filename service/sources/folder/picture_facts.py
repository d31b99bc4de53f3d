"""The facts of a picture file that need no decoding: its hash, and when it was taken."""

import hashlib
import os
import stat
import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO, Final

from immich_facesets.dates import DateKind, StatedDate, best_date
from immich_facesets.errors import ItemError
from immich_facesets.picture_formats import begins_a_picture
from service.sources.folder.picture_dates import directory_in, is_directory, stated_dates
from service.sources.folder.walk import stamp_of, unreadable
from service.sources.partial_files import BLOCK_BYTES, PartialFile

_TAIL_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """
    A file that was read whole. ``local_date`` is ISO, or empty.

    ``taken_at`` is None where the file carries no possible date.
    """

    sha1: str
    stamp: str
    changed_at: datetime
    taken_at: datetime | None
    local_date: str
    date_kind: DateKind


def silence_pillow() -> None:
    """Suppress Pillow's warnings on odd metadata: a library causes thousands, and none needs action."""
    warnings.filterwarnings("ignore", module="PIL")


def read(path: Path, *, max_bytes: int, today: date) -> Reading:
    """
    Hash a file and find its date; one after ``today`` is impossible. Blocking.

    Raises ``ItemError``: denied, unreadable, not_found, empty, too_large, or changing while it is read.
    """
    try:
        with open(path, "rb", opener=_opener) as file:
            before = _opened(file, max_bytes)
            digest = hashlib.sha1(usedforsecurity=False)
            head = tail = block = b""
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
                head = head or block
                tail = (tail + block)[-_TAIL_BYTES:]
            _check_unchanged(before, os.fstat(file.fileno()))
            taken = _taken(file, head, tail, today)
    except OSError as error:
        raise unreadable(error) from error
    return _reading(digest.hexdigest(), before, taken)


def copy(path: Path, draft: PartialFile, *, sha1: str | None, max_bytes: int) -> tuple[bytes, ...]:
    """
    Copy a picture into a partial file, except its last block, which is returned. Blocking.

    Errors as in ``read``, and not_a_picture by the first bytes.
    """
    try:
        with open(path, "rb", opener=_opener) as file:
            before = _opened(file, max_bytes)
            digest = hashlib.sha1(usedforsecurity=False)
            last, is_picture = b"", False
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
                if last:
                    draft.absorb([last])
                else:
                    is_picture = begins_a_picture(block)
                last = block
            _check_unchanged(before, os.fstat(file.fileno()))
    except OSError as error:
        raise unreadable(error) from error
    if sha1 is not None and digest.hexdigest() != sha1:
        raise _changing()
    if not is_picture:
        raise ItemError("its first bytes are not those of a picture format that is read", reason="not_a_picture")
    return (last,)


def moment(seconds: float) -> datetime:
    """Return a file's time as an aware datetime; an invalid time becomes 1970."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _opener(path: str, flags: int) -> int:
    """Open without waiting: since the listing, a pipe that nobody writes may have taken the place of a picture."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _opened(file: BinaryIO, max_bytes: int) -> os.stat_result:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise ItemError("it is no ordinary file", reason="unreadable")
    if status.st_size == 0:
        raise ItemError("the file is empty", reason="empty")
    if status.st_size > max_bytes:
        raise ItemError(
            f"the picture has {status.st_size} bytes, above the limit of {max_bytes} (FACESETS_MAX_FILE_BYTES)",
            reason="too_large",
        )
    return status


def _check_unchanged(before: os.stat_result, after: os.stat_result) -> None:
    if stamp_of(before) != stamp_of(after):
        raise _changing()


def _changing() -> ItemError:
    return ItemError("the file is being changed: a later sync reads it", reason="changing")


def _reading(sha1: str, status: os.stat_result, taken: StatedDate | None) -> Reading:
    stamp, changed_at = stamp_of(status), moment(status.st_mtime)
    if taken is None:
        return Reading(sha1, stamp, changed_at, None, "", DateKind.FILE)
    instant = None if taken.kind is DateKind.IMPOSSIBLE else taken.moment.astimezone(UTC)
    return Reading(sha1, stamp, changed_at, instant, taken.moment.date().isoformat(), taken.kind)


def _taken(file: BinaryIO, head: bytes, tail: bytes, today: date) -> StatedDate | None:
    """Return the date of the file that is worth most; a picture with damaged metadata is still included."""
    whole = directory_in(file) if is_directory(head) else None
    parts = (head,) if head.endswith(tail) else (head, tail)
    return best_date(stated_dates(whole, parts), today)
