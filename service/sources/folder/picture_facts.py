"""The facts of a picture file that need no decoding: its hash, and when it was taken."""

import hashlib
import io
import os
import re
import stat
import struct
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import BinaryIO, Final

from PIL import Image

from immich_facesets.errors import ItemError
from service.sources.folder.walk import stamp_of, unreadable
from service.sources.partial_files import BLOCK_BYTES, PartialFile

_EXIF_IFD: Final = 0x8769
_ORIGINAL, _ORIGINAL_OFFSET = 0x9003, 0x9011
_DIGITISED, _DIGITISED_OFFSET = 0x9004, 0x9012
_TIFF: Final = (b"II*\0", b"MM\0*")
_BLOCK: Final = re.compile(rb"(?:Exif\0\0(?:\0\0)?|eXIf|EXIF....|CMT2)((?:II\*\0|MM\0\*))", re.DOTALL)
"""The EXIF markers of JPEG, HEIF, AVIF, JPEG XL (``Exif``), PNG (``eXIf``), WebP (``EXIF``) and CR3 (``CMT2``)."""
_TAIL_BYTES: Final = 256 * 1024
_DATE: Final = re.compile(r"(\d{4})[:/-](\d\d)[:/-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET: Final = re.compile(r"([+-])(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class Reading:
    """A file that was read whole. ``taken_at`` is None if it has no capture time; ``local_date`` is ISO."""

    sha1: str
    stamp: str
    changed_at: datetime
    taken_at: datetime | None
    local_date: str


def silence_pillow() -> None:
    """Suppress Pillow's warnings on odd metadata: a library causes thousands, and none needs action."""
    warnings.filterwarnings("ignore", module="PIL")


def read(path: Path, *, max_bytes: int) -> Reading:
    """
    Hash a file and find its capture time. Blocking.

    Raises ``ItemError``: denied, unreadable, not_found, empty, too_large, or changing while it is read.
    """
    try:
        with path.open("rb") as file:
            before = _opened(file, max_bytes)
            digest = hashlib.sha1(usedforsecurity=False)
            head = tail = block = b""
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
                head = head or block
                tail = (tail + block)[-_TAIL_BYTES:]
            _check_unchanged(before, os.fstat(file.fileno()))
            taken_at, local_date = _taken(file, head, tail)
    except OSError as error:
        raise unreadable(error) from error
    return Reading(digest.hexdigest(), stamp_of(before), moment(before.st_mtime), taken_at, local_date)


def copy(path: Path, draft: PartialFile, *, sha1: str | None, max_bytes: int) -> tuple[bytes, ...]:
    """Copy a file into a partial file, except its last block, which is returned. Blocking; errors as in ``read``."""
    try:
        with path.open("rb") as file:
            before = _opened(file, max_bytes)
            digest = hashlib.sha1(usedforsecurity=False)
            last = b""
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
                if last:
                    draft.absorb([last])
                last = block
            _check_unchanged(before, os.fstat(file.fileno()))
    except OSError as error:
        raise unreadable(error) from error
    if sha1 is not None and digest.hexdigest() != sha1:
        raise _changing()
    return (last,)


def moment(seconds: float) -> datetime:
    """Return a file's time as an aware datetime; an invalid time becomes 1970."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


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
    return ItemError("the file is changing: it is read again when it rests", reason="changing")


def _taken(file: BinaryIO, head: bytes, tail: bytes) -> tuple[datetime | None, str]:
    """Return when the picture was taken, and the local date there; (None, "") if EXIF has no time."""
    try:
        return _date(_exif(file, head, tail))
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, AttributeError, struct.error):
        return None, ""  # a picture with damaged metadata is still included


def _exif(file: BinaryIO, head: bytes, tail: bytes) -> Image.Exif:
    exif = Image.Exif()
    if head.startswith(_TIFF):
        file.seek(0)
        exif.load_from_fp(file)
        return exif
    for part in (head, tail):
        if found := _BLOCK.search(part):
            exif.load_from_fp(io.BytesIO(part[found.start(1) :]))
            return exif
    return exif


def _date(exif: Image.Exif) -> tuple[datetime | None, str]:
    details = {**exif, **exif.get_ifd(_EXIF_IFD)}
    for date_tag, offset_tag in ((_ORIGINAL, _ORIGINAL_OFFSET), (_DIGITISED, _DIGITISED_OFFSET)):
        found = _DATE.match(str(details.get(date_tag, "")))
        if found is None or int(found[1]) < 1800:
            continue
        local = datetime(*(int(part) for part in found.groups()), tzinfo=_zone(details.get(offset_tag)))  # type: ignore[arg-type, misc]  # six numbers
        return local.astimezone(UTC), local.date().isoformat()
    return None, ""


def _zone(offset: object) -> timezone:
    """Return the zone in EXIF; UTC, an arbitrary default, if it has none."""
    found = _OFFSET.match(str(offset or ""))
    if found is None:
        return UTC
    sign = -1 if found[1] == "-" else 1
    return timezone(sign * timedelta(hours=int(found[2]), minutes=int(found[3])))
