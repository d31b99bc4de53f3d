"""
The dates that a picture file carries in EXIF, XMP and IPTC, each with its worth.

The fields correspond as the Metadata Working Group has them. When a picture was taken: EXIF DateTimeOriginal, XMP
photoshop:DateCreated, IPTC DateCreated. When it was digitised: EXIF DateTimeDigitized, XMP xmp:CreateDate. When it was
changed: EXIF DateTime, XMP xmp:ModifyDate. Only the first tell when the picture was taken: a scan was digitised later.
A camera writes the two first EXIF fields together, so that the second stands in for an unreadable first.

Every field is read alone: a damaged or invalid one is left out, and the others count.
"""

import io
import re
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import BinaryIO, Final
from xml.etree import ElementTree as ET

from PIL import Image

from immich_facesets.dates import DateKind, StatedDate

_EXIF_IFD: Final = 0x8769
_ORIGINAL, _DIGITISED, _CHANGED = 0x9003, 0x9004, 0x0132
_OFFSETS: Final = {_ORIGINAL: 0x9011, _DIGITISED: 0x9012, _CHANGED: 0x9010}
_TIFF: Final = (b"II*\0", b"MM\0*")
_BLOCK: Final = re.compile(rb"(?:Exif\0\0(?:\0\0)?|eXIf|EXIF....|CMT2)((?:II\*\0|MM\0\*))", re.DOTALL)
"""The EXIF markers of JPEG, HEIF, AVIF, JPEG XL (``Exif``), PNG (``eXIf``), WebP (``EXIF``) and CR3 (``CMT2``)."""
_MOST_BLOCKS: Final = 8
_PACKET: Final = re.compile(rb"<(?:\w+:)?RDF\b.*?</(?:\w+:)?RDF\s*>", re.DOTALL)
_IPTC_DATE: Final = re.compile(rb"\x1c\x02\x37\x00\x08(\d{4})(\d\d)(\d\d)")
"""IPTC's data set 2:55, DateCreated: marker, length 8, CCYYMMDD."""

_DATE: Final = re.compile(r"(\d{4})[:/.-](\d\d)[:/.-](\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?")
_OFFSET: Final = re.compile(r"([+-])(\d\d):(\d\d)|Z")

_EXIF_NS, _XMP_NS = "http://ns.adobe.com/exif/1.0/", "http://ns.adobe.com/xap/1.0/"
_XMP_FIELDS: Final = (
    (f"{{{_EXIF_NS}}}DateTimeOriginal", DateKind.METADATA),
    ("{http://ns.adobe.com/photoshop/1.0/}DateCreated", DateKind.METADATA),
    (f"{{{_EXIF_NS}}}DateTimeDigitized", DateKind.FILE),
    (f"{{{_XMP_NS}}}CreateDate", DateKind.FILE),
    (f"{{{_XMP_NS}}}ModifyDate", DateKind.FILE),
)
_NAMESPACES: Final = (
    b' xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
    b' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
    b' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
)
_DAMAGED = (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, AttributeError, struct.error)


def stated_dates(whole: Image.Exif | None, parts: Sequence[bytes]) -> Iterator[StatedDate]:
    """
    Yield the dates of a file, of equal worth the most reliable first.

    ``whole``: the directory of a file that is one itself (TIFF). ``parts``: the parts of the file to search.
    """
    for exif in [whole] if whole is not None else _exif_blocks(parts):
        yield from _exif_dates(exif)
    for packet in _found(_PACKET, parts):
        yield from _xmp_dates(packet[0])
    for found in _found(_IPTC_DATE, parts):
        stated = _moment(b"-".join(found.groups()).decode())
        if stated is not None:
            yield StatedDate(stated[0], DateKind.METADATA)


def is_directory(head: bytes) -> bool:
    """Return whether a file with this beginning is a TIFF directory itself."""
    return head.startswith(_TIFF)


def directory_in(file: BinaryIO) -> Image.Exif | None:
    """Return the directory of a TIFF file; None where it is damaged."""
    exif = Image.Exif()
    try:
        file.seek(0)
        exif.load_from_fp(file)
    except _DAMAGED:
        return None
    return exif


def _found(pattern: re.Pattern[bytes], parts: Sequence[bytes]) -> Iterator[re.Match[bytes]]:
    for part in parts:
        yield from islice(pattern.finditer(part), _MOST_BLOCKS)


def _exif_blocks(parts: Sequence[bytes]) -> Iterator[Image.Exif]:
    for part in parts:
        for found in islice(_BLOCK.finditer(part), _MOST_BLOCKS):
            exif = Image.Exif()
            try:
                exif.load_from_fp(io.BytesIO(part[found.start(1) :]))
            except _DAMAGED:
                continue
            yield exif


def _exif_dates(exif: Image.Exif) -> Iterator[StatedDate]:
    original, digitised, changed = (_exif_field(exif, tag) for tag in (_ORIGINAL, _DIGITISED, _CHANGED))
    taken = _moment(*original)
    if taken is not None:
        yield StatedDate(taken[0], DateKind.CAMERA if taken[1] else DateKind.METADATA)
    second = _moment(*digitised)
    if second is not None:
        stands_in = taken is None and original[0].strip("\0 ") != ""
        yield StatedDate(second[0], DateKind.METADATA if stands_in else DateKind.FILE)
    last = _moment(*changed)
    if last is not None:
        yield StatedDate(last[0], DateKind.FILE)


def _exif_field(exif: Image.Exif, tag: int) -> tuple[str, str]:
    """Return a date of EXIF and its offset from UTC as text, empty where there is none."""
    return _exif_text(exif, tag), _exif_text(exif, _OFFSETS[tag])


def _exif_text(exif: Image.Exif, tag: int) -> str:
    """Return the text of a tag in either directory: Canon's raw files have those of the second in the first."""
    for second in (True, False):
        try:
            value = (exif.get_ifd(_EXIF_IFD) if second else exif).get(tag)
        except _DAMAGED:
            continue
        if value is not None:
            return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return ""


def _xmp_dates(packet: bytes) -> Iterator[StatedDate]:
    """Yield the dates of an XMP packet; each field is an attribute or an element."""
    if b"<!" in packet.replace(b"<!--", b""):
        return  # a document type: no XMP has one, and entities in it may grow without bound
    tree = _parsed(packet)
    if tree is None:
        tree = _parsed(_with_usual_prefixes(packet))
    if tree is None:
        return
    for name, kind in _XMP_FIELDS:
        texts = [one.get(name) or (one.text if one.tag == name else None) for one in tree.iter()]
        for text in filter(None, texts):
            stated = _moment(text.strip())
            if stated is not None:
                yield StatedDate(stated[0], kind)


def _parsed(packet: bytes) -> ET.Element | None:
    try:
        return ET.fromstring(packet)  # noqa: S314 without a document type there are no entities
    except ET.ParseError:
        return None


def _with_usual_prefixes(packet: bytes) -> bytes:
    """Return the packet with the usual prefixes declared, where that was done outside of it."""
    start, _, rest = packet.partition(b"RDF")
    return start + b"RDF" + _NAMESPACES + rest


def _moment(text: str, offset: str = "") -> tuple[datetime, bool] | None:
    """
    Return a date and time, and whether the time was there; None for no valid date, such as one of month 00.

    An invalid time leaves the date valid. Without a zone it is in UTC, an arbitrary default.
    """
    found = _DATE.match(text.strip("\0 "))
    if found is None:
        return None
    year, month, day, *time = found.groups()
    zone = _zone(offset or text[found.end() :])
    try:
        date = datetime(int(year), int(month), int(day), tzinfo=zone)
    except ValueError:
        return None
    try:
        return date.replace(hour=int(time[0]), minute=int(time[1]), second=int(time[2] or 0)), True
    except (ValueError, TypeError):
        return date, False


def _zone(text: str) -> timezone:
    found = _OFFSET.search(text)
    if found is None or found[1] is None:
        return UTC
    sign = -1 if found[1] == "-" else 1
    try:
        return timezone(sign * timedelta(hours=int(found[2]), minutes=int(found[3])))
    except ValueError:
        return UTC
