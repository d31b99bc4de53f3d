"""Birth dates in grouping: no picture older than the person, in the first sync as in the tenth."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders import INFO, NOON, RECIPE, asset, content, face_answer, hint, plans

from immich_facesets.assets import Person
from immich_facesets.dates import DateKind
from service.passes.context import PassContext
from service.passes.group import Group
from service.progress import ProgressBoard
from service.settings import Settings
from service.store import assets, contents, face_tables, identities, sources
from service.store.database import Store


def add(store: Store, name: str, year: int, kind: DateKind = DateKind.METADATA) -> None:
    """A picture of that year in which Immich gives the one face to person p1."""
    taken = datetime(year, 6, 1, tzinfo=UTC)
    dated = {"taken_at": taken, "local_date": taken.date().isoformat(), "date_kind": kind}
    item = asset(name, checksum=name.rjust(40, "0"), hints=(hint(f"f-{name}", person_id="p1"),), **dated)
    store.write_now(assets.remember_page, plans(item), run_id=1)
    found = content(item, face_answer(1), sha256=name.encode().hex().rjust(64, "0"))
    store.write_now(contents.record_content, found, NOON)


def tell(store: Store, born: str | None) -> None:
    store.write_now(sources.remember_people, "anna", [Person("p1", "Mira", born, is_hidden=False)])


def members(store: Store) -> set[str]:
    """The pictures in which the one identity has a face."""
    table = store.read_now(identities.all_memberships)
    faces = store.read_now(face_tables.face_table, RECIPE.space, 512)
    order = sorted(table)
    assert set(order) <= set(faces.face_ids.tolist())
    return {NAMES[face - 1] for face, number in table.items() if number == 1}


NAMES = ("a", "b", "c", "d", "old", "scan")


@pytest.mark.parametrize("born_at_sync", [1, 2, 3])
async def test_a_picture_older_than_the_person_is_not_hers_whenever_the_birth_date_comes(
    store: Store, tmp_path: Path, born_at_sync: int
) -> None:
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    for name in NAMES[:4]:
        add(store, name, 2020)
    add(store, "old", 1990)
    add(store, "scan", 1990, DateKind.FILE)  # no evidence of when it was taken
    settings = Settings(data_dir=tmp_path, min_faces=3, thresholds="fixed")
    context = PassContext(
        store=store, settings=settings, board=ProgressBoard(), stop=asyncio.Event(), clock=lambda: NOON
    )
    for sync in (1, 2, 3):
        tell(store, "2015-02-03" if sync >= born_at_sync else None)
        await Group(context, INFO, sources=["anna"]).run()
        expected = set(NAMES) - ({"old"} if sync >= born_at_sync else set())
        assert members(store) == expected, f"after sync {sync}"
