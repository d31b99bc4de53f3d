"""The dates inside picture files, and what each is worth."""

import io
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from immich_facesets.dates import DateKind
from service.sources.folder.picture_dates import stated_dates
from service.sources.folder.picture_facts import Reading, read

TODAY = date(2026, 5, 1)
ORIGINAL, DIGITISED, CHANGED = 0x9003, 0x9004, 0x0132
XMP = (
    '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    ' xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
    ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"{attributes}>{elements}</rdf:Description></rdf:RDF>'
    '</x:xmpmeta><?xpacket end="w"?>'
)


def exif(tags: dict[int, str]) -> bytes:
    """EXIF with these dates, each in the directory where it belongs."""
    found = Image.Exif()
    for tag, text in tags.items():
        (found if tag == CHANGED else found.get_ifd(0x8769))[tag] = text
    return found.tobytes()


def xmp(attributes: str = "", elements: str = "") -> bytes:
    return XMP.format(attributes=attributes, elements=elements).encode()


def iptc(day: bytes) -> bytes:
    """A JPEG segment as Photoshop writes it: one resource of IPTC with the date alone."""
    data = b"\x1c\x02\x37\x00\x08" + day
    block = b"Photoshop 3.0\x008BIM\x04\x04\x00\x00" + len(data).to_bytes(4, "big") + data + b"\0"
    return b"\xff\xed" + (len(block) + 2).to_bytes(2, "big") + block


def jpeg(folder: Path, *, tags: dict[int, str] | None = None, packet: bytes = b"", day: bytes = b"") -> Reading:
    stream = io.BytesIO()
    more = {name: value for name, value in (("exif", exif(tags or {}) if tags else b""), ("xmp", packet)) if value}
    Image.new("RGB", (32, 32), "teal").save(stream, "JPEG", **more)
    whole = stream.getvalue()
    path = folder / "a.jpg"
    path.write_bytes(whole[:2] + (iptc(day) if day else b"") + whole[2:])
    return read(path, max_bytes=1 << 20, today=TODAY)


def told(reading: Reading) -> tuple[str, str]:
    return reading.local_date, reading.date_kind.value


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({ORIGINAL: "1995:07:12 10:00:00", DIGITISED: "2026:01:01 10:00:00"}, ("1995-07-12", "camera")),
        ({ORIGINAL: "1995:00:12 10:00:00", DIGITISED: "1995:07:13 10:00:00"}, ("1995-07-13", "metadata")),
        ({ORIGINAL: "0000:00:00 00:00:00", DIGITISED: "1995:07:13 10:00:00"}, ("1995-07-13", "metadata")),
        ({ORIGINAL: "1995:07:12"}, ("1995-07-12", "metadata")),
        ({ORIGINAL: "1995:07:12 25:00:00"}, ("1995-07-12", "metadata")),
        ({DIGITISED: "2026:01:01 10:00:00"}, ("2026-01-01", "file")),
        ({CHANGED: "2026:01:01 10:00:00"}, ("2026-01-01", "file")),
        ({ORIGINAL: "1995:00:12 10:00:00", CHANGED: "2026:01:01 10:00:00"}, ("2026-01-01", "file")),
        ({ORIGINAL: "2050:01:01 10:00:00"}, ("2050-01-01", "impossible")),
        ({ORIGINAL: "2050:01:01 10:00:00", CHANGED: "2026:01:01 10:00:00"}, ("2026-01-01", "file")),
        ({ORIGINAL: "1601:01:01 00:00:00"}, ("1601-01-01", "impossible")),
        ({ORIGINAL: "    :  :     :  :  "}, ("", "file")),
    ],
)
def test_one_bad_field_of_exif_never_keeps_the_next_from_counting(
    tmp_path: Path, tags: dict[int, str], expected: tuple[str, str]
) -> None:
    assert told(jpeg(tmp_path, tags=tags)) == expected


@pytest.mark.parametrize(
    ("attributes", "elements", "expected"),
    [
        (' photoshop:DateCreated="1995-07-12"', "", ("1995-07-12", "metadata")),
        (' photoshop:DateCreated="1995-07-12T10:00:00+02:00"', "", ("1995-07-12", "metadata")),
        ("", "<exif:DateTimeOriginal>1995-07-12T10:00</exif:DateTimeOriginal>", ("1995-07-12", "metadata")),
        (' photoshop:DateCreated="1995-13"', "<xmp:CreateDate>2026-01-01</xmp:CreateDate>", ("2026-01-01", "file")),
        (' xmp:ModifyDate="2026-01-01T10:00:00Z"', "", ("2026-01-01", "file")),
        (' photoshop:DateCreated="1995"', "", ("", "file")),
    ],
)
def test_the_dates_of_xmp_count_by_what_they_say(
    tmp_path: Path, attributes: str, elements: str, expected: tuple[str, str]
) -> None:
    assert told(jpeg(tmp_path, packet=xmp(attributes, elements))) == expected


def test_a_date_of_iptc_counts_and_one_of_month_00_does_not(tmp_path: Path) -> None:
    assert told(jpeg(tmp_path, day=b"19950712")) == ("1995-07-12", "metadata")
    assert told(jpeg(tmp_path, day=b"19950000")) == ("", "file")
    scanned = {DIGITISED: "2026:01:01 10:00:00"}
    assert told(jpeg(tmp_path, tags=scanned, day=b"19950712")) == ("1995-07-12", "metadata"), "not when it was scanned"


def test_the_date_of_the_camera_is_worth_more_than_any_other(tmp_path: Path) -> None:
    one = jpeg(tmp_path, tags={ORIGINAL: "1996:01:01 10:00:00"}, packet=xmp(' photoshop:DateCreated="1995-07-12"'))
    assert told(one) == ("1996-01-01", "camera")
    assert one.taken_at == datetime(1996, 1, 1, 10, tzinfo=UTC)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's remarks, which a source does not pass on
def test_damaged_xmp_and_a_damaged_first_block_leave_the_rest_as_it_is(tmp_path: Path) -> None:
    directory = ImageFileDirectory_v2()
    directory[ORIGINAL] = "1995:07:12 10:00:00"
    block = io.BytesIO()
    block.write(b"II*\0\x08\0\0\0")
    directory.save(block)
    broken = b"Exif\0\0II*\0\xff\xff\xff\x7f" + b"<rdf:RDF <broken></rdf:RDF>"
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8" + broken + b"Exif\0\0" + block.getvalue())
    assert told(read(path, max_bytes=1 << 20, today=TODAY)) == ("1995-07-12", "camera")


def test_a_document_type_in_xmp_is_not_read() -> None:
    bomb = b'<rdf:RDF xmlns:rdf="r"><!DOCTYPE a [<!ENTITY b "1995-07-12">]></rdf:RDF>'
    assert list(stated_dates(None, [bomb])) == []


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(
    st.binary(max_size=300), st.sampled_from([b"<rdf:RDF>", b"Exif\0\0II*\0", b"\x1c\x02\x37\x00\x08", b"CMT2MM\0*"])
)
def test_no_bytes_at_all_are_more_than_undated(block: bytes, marker: bytes) -> None:
    for stated in stated_dates(None, [marker + block + b"</rdf:RDF>", block]):
        assert stated.kind in DateKind
