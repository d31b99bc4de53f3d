"""The sizes of what is stored, and how long they are shown."""

from pathlib import Path

from service.reports.library.storage import KEPT_SECONDS, StorageReads
from service.settings import Settings
from service.store.database import Store


def write(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)


async def test_each_part_has_its_size_and_nothing_counts_twice(store: Store, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write(data / "crops/ab/one.jpg", 100)
    write(data / "staging/two", 20)
    write(data / "exports/faceset_001/0001.png", 3000)
    write(data / "token", 44)
    write(data / "facesets.db-wal", 5000)
    answer = await StorageReads(store, Settings(data_dir=data, export_dir=data / "exports")).answer()
    parts = {one.part: (one.files, one.bytes) for one in answer.parts}
    assert parts.pop("database")[1] > 10_000
    assert parts == {
        "crops": (1, 100),
        "staging": (1, 20),
        "previews": (0, 0),
        "references": (0, 0),
        "facesets": (1, 3000),
        "other": (1, 44),
    }
    assert answer.data_free_bytes is not None
    assert answer.measured_at is not None


async def test_sizes_are_measured_again_only_after_some_minutes(store: Store, tmp_path: Path) -> None:
    now = 1000.0
    reads = StorageReads(store, Settings(data_dir=tmp_path, export_dir=tmp_path / "missing"), uptime=lambda: now)
    first = await reads.answer()
    assert first.export_free_bytes is None
    write(tmp_path / "crops/one.jpg", 100)
    assert await reads.answer() is first
    now += KEPT_SECONDS + 1
    again = await reads.answer()
    assert next(one.bytes for one in again.parts if one.part == "crops") == 100


async def test_a_slow_disk_keeps_nobody_waiting_and_is_measured_once(store: Store, tmp_path: Path) -> None:
    reads = StorageReads(store, Settings(data_dir=tmp_path, export_dir=tmp_path), patience=0.0)
    first = await reads.answer()
    measuring = reads._measuring
    assert measuring is not None
    assert (first.measured_at, first.parts) == (None, ())
    assert await reads.answer() == first
    assert reads._measuring is measuring
    measured = await measuring
    assert await reads.answer() is measured
