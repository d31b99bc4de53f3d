"""The folder source: listing, changed files and errors."""

import asyncio
import contextlib
import ctypes
import hashlib
import io
import os
import shutil
import struct
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from embedder.images.decoder import FORMATS
from immich_facesets.assets import Asset
from immich_facesets.dates import DateKind
from immich_facesets.errors import ItemError
from immich_facesets.picture_formats import DECODED, begins_a_picture, picture_type
from service.progress import RemoteState
from service.sources import SourceAwayError
from service.sources.folder import FolderSource, Mode
from service.sources.folder.path_names import shown, system_name
from service.sources.folder.picture_facts import read
from service.sources.folder.reach import Reach
from service.sources.folder.walk import Skipped, Unreadable, walk

TAKEN = "2019:07:14 23:30:05"
TODAY = date(2026, 5, 1)


@dataclass
class Remembered:
    """The stamps of listed files, as a store would keep them."""

    known: dict[str, str] = field(default_factory=dict)

    async def stamps(self, asset_ids: Sequence[str]) -> Mapping[str, str]:
        return {asset_id: self.known[asset_id] for asset_id in asset_ids if asset_id in self.known}

    async def has_any(self) -> bool:
        return bool(self.known)


@dataclass
class Listed:
    """A whole listing."""

    assets: dict[str, Asset] = field(default_factory=dict)
    unchanged: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)


@dataclass
class Album:
    """A folder, its source, and the stored state."""

    root: Path
    memory: Remembered = field(default_factory=Remembered)
    mode: Mode = "mixed"
    closed: tuple[Path, ...] = ()
    follow_links: bool = False
    told: list[RemoteState] = field(default_factory=list)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    @property
    def source(self) -> FolderSource:
        return FolderSource(
            "album",
            self.root,
            self.mode,
            self.memory,
            max_file_bytes=1 << 20,
            closed=self.closed,
            follow_links=self.follow_links,
            on_change=self.told.append,
            sleep=self.sleep,
        )

    def put(self, name: str, body: bytes | None = None) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode(errors="surrogateescape") if body is None else body)
        return path

    async def listed(self) -> Listed:
        """List everything, and store the state."""
        found = Listed()
        async for page in self.source.listing():
            for asset in page.assets:
                assert asset.asset_id not in found.assets, "each once"
                found.assets[asset.asset_id] = asset
            found.unchanged |= set(page.unchanged)
            found.failed |= {item: error.reason for item, error in page.failed}
            for reason, count in page.skipped.items():
                found.skipped[reason] = found.skipped.get(reason, 0) + count
        self.memory.known = {
            **{asset_id: self.memory.known[asset_id] for asset_id in found.unchanged},
            **{asset_id: asset.stamp or "" for asset_id, asset in found.assets.items()},
        }
        return found


@pytest.fixture
def album(tmp_path: Path) -> Album:
    root = tmp_path / "album"
    root.mkdir()
    return Album(root)


def exif(*, taken: str = TAKEN, offset: str = "", tag: int = 0x9003) -> Image.Exif:
    found = Image.Exif()
    found[0x010F] = "Camera"
    found.get_ifd(0x8769)[tag] = taken
    if offset:
        found.get_ifd(0x8769)[0x9011] = offset
    return found


def picture(kind: str = "JPEG", data: Image.Exif | None = None) -> bytes:
    stream = io.BytesIO()
    more = {} if data is None else {"exif": data.tobytes()}
    Image.new("RGB", (64, 64), "teal").save(stream, kind, **more)
    return stream.getvalue()


# what is a picture


def test_the_decoder_reads_what_folders_are_searched_for() -> None:
    assert set(FORMATS) == set(DECODED)
    assert picture_type("IMG_1.HEIC") == "image/heif"
    assert picture_type("a.b.JPeG") == "image/jpeg"
    assert picture_type("a.CR3") == "image/x-raw"
    assert [picture_type(name) for name in ("clip.mov", "jpg", ".jpg", "notes.txt", "")] == [None] * 5


async def test_everything_below_the_root_is_listed_once_and_the_rest_is_counted(album: Album) -> None:
    for name in ("b.jpg", "a/deep/er/c.heic", "a/RAW.NEF", "z.psd"):
        album.put(name)
    for name in ("a/clip.MP4", "a/notes.txt", ".hidden.jpg", "@eaDir/thumb.jpg", ".trash/d.jpg", "._b.jpg"):
        album.put(name)
    found = await album.listed()
    assert sorted(found.assets) == ["a/RAW.NEF", "a/deep/er/c.heic", "b.jpg", "z.psd"]
    assert found.skipped == {"video": 1, "no_picture": 1, "hidden": 4}
    one = found.assets["b.jpg"]
    assert (one.path, one.file_name, one.mime_type) == ("b.jpg", "b.jpg", "image/jpeg")
    assert one.checksum == hashlib.sha1(b"b.jpg", usedforsecurity=False).hexdigest(), (
        "the date that Immich reads from these bytes"
    )
    assert one.fingerprint == f"original:{one.checksum}"


async def test_our_own_folders_below_the_root_are_never_listed(album: Album) -> None:
    album.put("a.jpg")
    album.put("exports/faceset_001/faces/0001.png")
    album.closed = (album.root / "exports", album.root / "not there")
    assert list((await album.listed()).assets) == ["a.jpg"]


# what is read again


async def test_only_what_changed_is_read_again(album: Album) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        album.put(name)
    first = await album.listed()
    assert len(first.assets) == 4
    status = (album.root / "a.jpg").stat()
    album.put("a.jpg", b"A.JPG")  # of the same size
    os.utime(album.root / "a.jpg", ns=(status.st_atime_ns, status.st_mtime_ns))  # and of the same date
    (album.root / "b.jpg").rename(album.root / "e.jpg")
    again = await album.listed()
    assert sorted(again.assets) == ["a.jpg", "e.jpg"]
    assert again.unchanged == {"c.jpg", "d.jpg"}
    assert again.assets["a.jpg"].checksum == hashlib.sha1(b"A.JPG", usedforsecurity=False).hexdigest()
    assert again.assets["e.jpg"].fingerprint == first.assets["b.jpg"].fingerprint
    third = await album.listed()
    assert (third.assets, len(third.unchanged)) == ({}, 4)


async def test_ids_do_not_depend_on_where_the_root_is(album: Album, tmp_path: Path) -> None:
    album.put("x/a.jpg")
    first = await album.listed()
    album.root = album.root.rename(tmp_path / "moved")
    again = await album.listed()
    assert again.unchanged == set(first.assets) == {"x/a.jpg"}


async def test_many_files_are_listed_in_small_pages(album: Album) -> None:
    for number in range(2500):
        (album.root / f"{number}.jpg").write_bytes(b"%d" % number)
    sizes = [len(page.assets) + len(page.unchanged) async for page in album.source.listing()]
    assert sum(sizes) == 2500
    assert max(sizes) <= 1000


# dates


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_the_date_is_that_of_the_camera_in_every_format(tmp_path: Path, kind: str) -> None:
    if kind == "HEIF":
        pillow_heif.register_heif_opener()
    path = tmp_path / "a"
    path.write_bytes(picture(kind, exif(offset="+02:00")))
    found = read(path, max_bytes=1 << 20, today=TODAY)
    assert found.taken_at == datetime(2019, 7, 14, 21, 30, 5, tzinfo=UTC)
    assert found.local_date == "2019-07-14"
    assert found.date_kind is DateKind.CAMERA


def test_the_date_of_canons_newest_raw_files_is_found(tmp_path: Path) -> None:
    directory = ImageFileDirectory_v2()
    directory[0x9003] = TAKEN
    block = io.BytesIO()
    block.write(b"II*\0\x08\0\0\0")
    directory.save(block)
    path = tmp_path / "a.cr3"
    path.write_bytes(b"\0\0\0\x18ftypcrx " + bytes(40) + struct.pack(">I", 99) + b"CMT2" + block.getvalue() + bytes(99))
    assert read(path, max_bytes=1 << 20, today=TODAY).local_date == "2019-07-14"


@pytest.mark.parametrize("taken", ["", "0000:00:00 00:00:00", "nonsense", "2019:13:45 00:00:00"])
async def test_without_a_date_of_its_own_a_picture_has_that_of_its_file_and_says_so(album: Album, taken: str) -> None:
    path = album.put("a.jpg", picture("JPEG", exif(taken=taken) if taken else None))
    os.utime(path, (1e9, 1e9))
    one = (await album.listed()).assets["a.jpg"]
    assert one.taken_at == datetime.fromtimestamp(1e9, UTC)
    assert one.local_date == "", "a file time is not the date of the picture"
    assert one.date_kind is DateKind.FILE


@pytest.mark.filterwarnings("ignore::UserWarning")  # warnings of Pillow, which a source does not pass on
@given(st.binary(max_size=200))
def test_damaged_metadata_is_no_reason_to_leave_a_picture_out(block: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\xff\xd8\xff\xe1Exif\0\0II*\0" + block)
        file.flush()
        assert read(Path(file.name), max_bytes=1 << 20, today=TODAY).sha1


# names


@given(st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name and b"/" not in name))
def test_any_name_becomes_text_and_comes_back(name: bytes) -> None:
    if sys.platform == "win32":
        return
    text = shown(os.fsdecode(name))
    assert os.fsencode(system_name(text)) == name
    text.encode()  # can be stored
    assert text.isprintable() or all(ord(letter) >= 0x80 or letter.isprintable() for letter in text)


async def test_names_that_are_no_text_are_listed_found_and_fetched(album: Album, tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9 \\x41\n.jpg")
    album.put(odd, b"BM odd")
    ((asset_id, one),) = (await album.listed()).assets.items()
    assert asset_id == "caf\\xe9 \\x5cx41\\x0a.jpg"
    assert await album.source.find(asset_id) is not None
    staged = await album.source.fetch(one, tmp_path / "staging")
    assert staged.path.read_bytes() == b"BM odd"


# links


async def test_loops_end_and_linked_folders_are_listed_once(album: Album, tmp_path: Path) -> None:
    album.follow_links = True
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "o.jpg").write_bytes(b"o")
    (outside / "back").symlink_to(album.root)
    album.put("inside/a.jpg")
    (album.root / "0 first").symlink_to(album.root / "inside")
    (album.root / "inside" / "up").symlink_to(album.root)
    (album.root / "out").symlink_to(outside)
    (album.root / "out again").symlink_to(outside)
    (album.root / "self").symlink_to(album.root / "self")
    (album.root / "alias.jpg").symlink_to(album.root / "inside" / "a.jpg")
    (album.root / "broken.jpg").symlink_to(album.root / "nowhere")
    found = await album.listed()
    assert sorted(found.assets) == ["alias.jpg", "inside/a.jpg", "out/o.jpg"]
    assert found.assets["alias.jpg"].fingerprint == found.assets["inside/a.jpg"].fingerprint
    assert found.skipped["seen_folder"] == 4
    assert found.skipped["broken_link"] == 1


async def test_links_out_of_the_folder_are_named_with_what_to_do_and_not_followed(album: Album, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "o.jpg").write_bytes(picture())
    (album.root / "folder").symlink_to(outside)
    (album.root / "file.jpg").symlink_to(outside / "o.jpg")
    album.put("deep/inside.jpg")
    (album.root / "deep" / "alias.jpg").symlink_to("inside.jpg")
    failed = {item: error async for page in album.source.listing() for item, error in page.failed}
    assert {item: error.reason for item, error in failed.items()} == dict.fromkeys(
        ["folder", "file.jpg"], "link_outside"
    )
    assert all("--follow-links" in str(error) for error in failed.values())
    assert sorted((await album.listed()).assets) == ["deep/alias.jpg", "deep/inside.jpg"]
    album.follow_links = True
    assert sorted((await album.listed()).assets) == ["file.jpg", "folder/o.jpg"]


@pytest.mark.timeout(20)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names on Windows")
async def test_a_pipe_that_takes_the_place_of_a_picture_keeps_nobody_waiting(album: Album, tmp_path: Path) -> None:
    path = album.put("a.jpg")
    (one,) = (await album.listed()).assets.values()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ItemError, match="no ordinary file"):
        await album.source.fetch(one, tmp_path / "staging")
    with pytest.raises(ItemError, match="no ordinary file"):
        read(path, max_bytes=1 << 20, today=TODAY)


async def test_pictures_behind_links_are_kept_and_not_fetched_once_links_are_not_followed(
    album: Album, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "o.jpg").write_bytes(picture())
    (album.root / "folder").symlink_to(outside)
    album.follow_links = True
    one = (await album.listed()).assets["folder/o.jpg"]
    album.follow_links = False
    assert (await album.listed()).failed == {"folder": "link_outside"}, "known pictures, but none is listed"
    album.memory.known = {one.asset_id: one.stamp or ""}
    with pytest.raises(ItemError, match="--follow-links"):  # not None, which says that it is gone
        await album.source.find(one.asset_id)
    with pytest.raises(ItemError, match="--follow-links"):
        await album.source.fetch(one, tmp_path / "staging")
    (outside / "o.jpg").unlink()
    assert await album.source.find(one.asset_id) is None


async def test_a_picture_replaced_by_a_link_after_the_listing_is_not_fetched(album: Album, tmp_path: Path) -> None:
    body = picture()
    path = album.put("a.jpg", body)
    one = (await album.listed()).assets["a.jpg"]
    (tmp_path / "secret").write_bytes(body)
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(ItemError) as error:
        await album.source.fetch(one, tmp_path / "staging")
    assert error.value.reason == "link_outside"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="these folders are Linux's own")
@pytest.mark.timeout(20)
async def test_the_kernels_folders_are_never_entered(album: Album) -> None:
    album.put("a.jpg")
    for name, target in {"p": "/proc", "s": "/sys/kernel", "d": "/dev", "m.jpg": "/proc/self/environ"}.items():
        (album.root / name).symlink_to(target)
    (album.root / "z.jpg").symlink_to("/dev/zero")
    album.follow_links = True
    found = await album.listed()
    assert sorted(found.assets) == ["a.jpg"]
    assert found.failed == dict.fromkeys(["p", "s", "d", "m.jpg"], "link_outside")
    assert found.skipped == {"broken_link": 1}


async def test_videos_and_moving_parts_are_counted_and_left_alone(album: Album) -> None:
    for name in ("a/IMG_1.HEIC", "a/IMG_1.MOV", "a/img_2.jpg", "a/IMG_2.mp4", "IMG_1.mov", "clip.mp4"):
        album.put(name)
    for name in ("PXL_2024.MP.jpg", "MVIMG_2019.jpg", "amp.jpg"):
        album.put(name)
    for _ in range(2):  # unchanged pictures are counted as well
        assert (await album.listed()).skipped == {"motion": 4, "video": 2}


@pytest.mark.skipif(not os.path.ismount("/proc"), reason="there is no /proc")
def test_the_kernels_folders_are_left_out_of_a_root_that_has_them() -> None:
    found = walk(Path("/proc/self"))
    assert list(found) == [Skipped("system_folder")]
    reach = Reach(Path("/"), follow_links=True)
    reach.check("/etc/hostname")
    with pytest.raises(ItemError, match="the system itself"):
        reach.check("/proc/self/environ")


@pytest.mark.parametrize("mode", ["mixed", "trusted"])
async def test_a_link_to_itself_is_a_problem_of_its_own(album: Album, mode: Mode) -> None:
    album.mode = mode
    album.put("Mira/a.jpg")
    for name in ("a.jpg", "self"):
        (album.root / name).symlink_to(name)
    (album.root / "one").symlink_to("other")
    (album.root / "other").symlink_to("one")
    await album.source.open()
    assert [person.name for person in await album.source.people()] == (["Mira"] if mode == "trusted" else [])
    found = await album.listed()
    assert list(found.assets) == ["Mira/a.jpg"]
    assert set(found.failed.values()) <= {"unreadable"}
    assert "a.jpg" in found.failed
    with pytest.raises(ItemError):
        await album.source.find("a.jpg")


# first bytes


async def test_what_is_no_picture_by_its_first_bytes_is_not_fetched(album: Album, tmp_path: Path) -> None:
    for name, body in {
        "shadow.jpg": b"root:!:20000:0:99999:7:::\n", "key.png": b"-----BEGIN OPENSSH PRIVATE KEY-----\n",
        "page.jpg": b"<html>", "data.heic": b"SQLite format 3\0", "zeros.tif": bytes(99),
    }.items():  # fmt: skip
        album.put(name, body)
    found = await album.listed()
    assert len(found.assets) == 5
    for one in found.assets.values():
        with pytest.raises(ItemError) as error:
            await album.source.fetch(one, tmp_path / "staging")
        assert error.value.reason == "not_a_picture"
    assert not any((tmp_path / "staging").glob("*"))


@given(st.sampled_from(sorted(DECODED)), st.binary(max_size=16), st.integers(0, 4))
def test_whatever_a_decoder_may_open_begins_a_picture(kind: str, rest: bytes, cut: int) -> None:
    starts = {
        "JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n", "WEBP": b"RIFF\0\0\0\0WEBP", "GIF": b"GIF89a", "BMP": b"BM",
        "TIFF": b"II*\0", "PSD": b"8BPS", "PPM": b"P5 ", "JPEG2000": b"\xff\x4f\xff\x51", "JXL": b"\xff\x0a",
        "HEIF": b"\0\0\0\x18ftypheic", "AVIF": b"\0\0\0\x18ftypavif",
    }  # fmt: skip
    whole = starts[kind]
    head = (whole[: max(len(whole) - cut, 0)] + rest)[:16].ljust(16, b"\0")
    pillow_heif.register_heif_opener()
    Image.init()
    opens = Image.OPEN[kind][1]
    if opens is not None and opens(head) is True:
        assert begins_a_picture(head)


# trouble


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Drop the rights of this thread to those of user nobody, where the tests run as root."""
    if os.getuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.setfsuid(65534)
    try:
        yield
    finally:
        libc.setfsuid(0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the rights of one thread are Linux's own")
def test_what_may_not_be_read_is_told_and_stops_nothing() -> None:
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        folder.chmod(0o755)
        for name in ("closed/a.jpg", "open/b.jpg", "open/c.jpg"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(b"x")
        (folder / "open" / "b.jpg").chmod(0)
        (folder / "closed").chmod(0)
        with as_nobody():
            found = list(walk(folder))
            with pytest.raises(ItemError, match="access is denied") as error:
                read(folder / "open" / "b.jpg", max_bytes=99, today=TODAY)
        assert error.value.reason == "denied"
        (closed,) = (item for item in found if isinstance(item, Unreadable))
        assert (closed.item, closed.error.reason) == ("closed", "denied")
        assert {getattr(item, "asset_id", "") for item in found} >= {"open/b.jpg", "open/c.jpg"}
    finally:
        (folder / "closed").chmod(0o755)
        shutil.rmtree(folder)


async def test_files_that_are_no_use_are_told_with_a_reason(album: Album) -> None:
    album.put("empty.jpg", b"")
    album.put("large.jpg", bytes((1 << 20) + 1))
    album.put("good.jpg")
    long = "/".join(["d" * 200] * 6)
    album.put(f"{long}/a.jpg")
    found = await album.listed()
    assert list(found.assets) == ["good.jpg"]
    assert set(found.failed.values()) == {"empty", "too_large", "path_too_long"}
    assert all(len(item) <= 1000 for item in found.failed)


async def test_a_file_that_changes_while_it_is_read_is_left_for_later(album: Album, tmp_path: Path) -> None:
    path = album.put("a.jpg", bytes(900_000))
    one = (await album.listed()).assets["a.jpg"]
    path.write_bytes(bytes(899_999) + b"x")
    with pytest.raises(ItemError, match="being changed") as error:
        await album.source.fetch(one, tmp_path / "staging")
    assert error.value.reason == "changing"
    assert not any((tmp_path / "staging").glob("*"))


async def test_a_fetched_file_is_a_whole_copy_with_its_hashes(album: Album, tmp_path: Path) -> None:
    body = b"\xff\xd8\xff" + os.urandom((1 << 20) - 3)
    path = album.put("a.jpg", body)
    one = (await album.listed()).assets["a.jpg"]
    staged = await album.source.fetch(one, tmp_path / "staging")
    assert staged.path.read_bytes() == body
    assert (staged.size_bytes, staged.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert staged.sha1 == one.checksum
    assert path.read_bytes() == body


async def test_a_deleted_file_is_gone_and_one_behind_a_missing_root_is_not(album: Album, tmp_path: Path) -> None:
    album.put("x/a.jpg")
    album.put("b.jpg")
    await album.listed()
    assert await album.source.find("b.jpg") is not None
    shutil.rmtree(album.root / "x")
    assert await album.source.find("x/a.jpg") is None
    album.root.rename(tmp_path / "away")
    with pytest.raises(SourceAwayError, match="is it mounted"):
        await album.source.find("b.jpg")
    album.root.mkdir()
    with pytest.raises(SourceAwayError, match="is empty, and was not"):
        await album.source.find("b.jpg")


async def test_a_root_that_is_away_is_told_and_told_again_when_it_is_back(album: Album, tmp_path: Path) -> None:
    album.put("a.jpg")
    await album.listed()
    album.root.rename(tmp_path / "away")
    with pytest.raises(SourceAwayError):
        await album.source.open()
    assert (album.told[-1].name, album.told[-1].circuit) == ("folder album", "open")
    assert "sources add-folder" in album.told[-1].advice
    (tmp_path / "away").rename(album.root)
    facts = await album.source.open()
    assert (facts.kind, facts.knows_faces, facts.lists_changes) == ("folder", False, False)
    assert album.told[-1].circuit == "closed"


async def test_a_root_that_shows_no_picture_any_more_ends_the_listing_and_a_new_one_does_not(album: Album) -> None:
    assert (await album.listed()).assets == {}
    path = album.put("a.jpg")
    await album.listed()
    path.unlink()
    (album.root / "README.txt").touch()
    with pytest.raises(SourceAwayError, match="holds no picture any more"):
        await album.listed()


async def test_a_folder_that_is_away_is_looked_at_every_minute_until_it_is_there(album: Album) -> None:
    pauses: list[float] = []
    album.root.rmdir()

    async def mount_at_the_third(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            album.root.mkdir()

    album.sleep = mount_at_the_third
    async with asyncio.timeout(5):
        await album.source.wait_until_up()
    assert pauses == [60.0] * 3


async def test_an_existing_folder_needs_no_wait(album: Album) -> None:
    async with asyncio.timeout(5):
        await album.source.wait_until_up()


# people


async def test_only_a_trusted_folder_names_people_and_only_by_its_own_folders(album: Album) -> None:
    for name in ("Mira/a.jpg", "Theo/deep/b.jpg", "_left over/c.jpg", ".hidden/d.jpg", "e.jpg"):
        album.put(name)
    assert await album.source.people() == ()
    album.mode = "trusted"
    assert [(person.person_id, person.name) for person in await album.source.people()] == [
        ("Mira", "Mira"),
        ("Theo", "Theo"),
    ]
