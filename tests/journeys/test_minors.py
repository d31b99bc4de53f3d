"""No crop of a minor is in a bundle for face swapping, whatever users and servers do in whatever order."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fork_server import ANOTHER_MODEL, PUBLISHED_MODEL, ForkServer
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from journey import announced_embedder
from minors_scene import ADDED, BORN, CHILD, MOTHER, SWAPPING, UPLOADED, Family, Photo, draw_photos

from service.demo.immich import FakeImmich
from service.sync.outcome import Outcome

pytestmark = [pytest.mark.kill, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def photos() -> tuple[Photo, ...]:
    return draw_photos()


@pytest.fixture(scope="module")
def embedders(forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two embedders of two spaces, of a recogniser whose vectors every profile accepts."""
    folder = tmp_path_factory.mktemp("embedders")
    one, first = announced_embedder(forks, folder / "first.json", settings={PUBLISHED_MODEL: "w600k_r50"})
    settings = {PUBLISHED_MODEL: "w600k_r50", ANOTHER_MODEL: "drawn-2"}
    two, second = announced_embedder(forks, folder / "second.json", settings=settings)
    yield first, second
    one.close()
    two.close()


def archive(family: Family) -> None:
    for asset in family.childs:
        asset.visibility = "archive" if asset.visibility == "timeline" else "timeline"
        family.changed(asset)


def give(family: Family, person_id: str | None, *, only: int | None = None) -> None:
    for asset in family.childs[:only]:
        asset.faces[0].person_id = person_id


def merge(family: Family) -> None:
    """Immich's people of the child become the mother; the child's id is gone."""
    family.immich.library.people.pop(("anna", family.person(CHILD)), None)
    give(family, family.person(MOTHER))


def merge_into_nameless(family: Family) -> None:
    other = family.immich.add_person(owner="anna", name="")
    family.immich.library.people.pop(("anna", family.person(CHILD)), None)
    give(family, other.person_id)


def delete_person(family: Family) -> None:
    family.immich.library.people.pop(("anna", family.person(CHILD)), None)
    give(family, None)


def change_person(family: Family, **fields: object) -> None:
    person = family.immich.library.people.get(("anna", family.person(CHILD)))
    for name, value in fields.items():
        if person is not None:
            setattr(person, name, value)


def hide(family: Family) -> None:
    change_person(family, is_hidden=True)


def unname(family: Family) -> None:
    change_person(family, name="")


def rename(family: Family) -> None:
    change_person(family, name="Mia B.")


def drop_birth_date(family: Family) -> None:
    change_person(family, birth_date=None)


def reassign_some(family: Family) -> None:
    give(family, family.person(MOTHER), only=3)


def unassign_some(family: Family) -> None:
    give(family, None, only=3)


def date_by_upload(family: Family) -> None:
    """As scans without a date of their own."""
    for asset in family.childs:
        asset.taken_at = asset.modified_at = UPLOADED
        family.changed(asset)


def date_in_future(family: Family) -> None:
    for asset in family.childs:
        asset.taken_at, asset.modified_at = ADDED.replace(year=2050), None
        family.changed(asset)


def date_before_birth(family: Family) -> None:
    for asset in family.childs:
        asset.taken_at, asset.modified_at = ADDED.replace(year=1999), None
        family.changed(asset)


def go_offline(family: Family) -> None:
    for asset in family.childs:
        asset.is_offline = not asset.is_offline
        family.changed(asset)


def trash(family: Family) -> None:
    for asset in family.childs[:4]:
        asset.is_trashed = not asset.is_trashed
        family.changed(asset)


def trash_annas(family: Family) -> None:
    for asset in family.childs:
        asset.is_trashed = True
        family.changed(asset)


def swap_keys(family: Family) -> None:
    family.is_swapped = not family.is_swapped


def change_model(family: Family) -> None:
    family.embedder = 1 - family.embedder


def lose_embedder(family: Family) -> None:
    family.is_without_embedder = not family.is_without_embedder


def reverse_sources(family: Family) -> None:
    family.is_reversed = not family.is_reversed


def upload_another(family: Family) -> None:
    """A further picture of the child, in which Immich knows nobody, dated by its upload."""
    number = 6 + family.late
    if number < 8 and number not in family.assets:
        family.late += 1
        family.add(number, is_known=False, taken_at=UPLOADED, modified_at=UPLOADED)


def upload_a_copy(family: Family) -> None:
    """Ben has a picture of Anna's child too, byte by byte, and knows nobody in it."""
    if 100 not in family.assets:
        first = family.assets[0]
        copy = family.immich.add_asset(
            data=first.data,
            file_name="copy.jpg",
            owner="ben",
            width=first.width,
            height=first.height,
            taken_at=UPLOADED,
            modified_at=UPLOADED,
            created_at=ADDED,
        )
        family.immich.add_face(copy, box=first.faces[0].box, image_width=480, image_height=360)


def share_all(family: Family) -> None:
    family.share_all()


def let_ben_take_some(family: Family) -> None:
    if not family.is_forgotten:
        family.let_ben_take_some()


def remove_anna(family: Family) -> None:
    family.remove_anna()


CHANGES: tuple[Callable[[Family], None], ...] = (
    archive,
    merge,
    merge_into_nameless,
    delete_person,
    hide,
    unname,
    rename,
    drop_birth_date,
    reassign_some,
    unassign_some,
    date_by_upload,
    date_in_future,
    date_before_birth,
    go_offline,
    trash,
    trash_annas,
    swap_keys,
    change_model,
    lose_embedder,
    reverse_sources,
    upload_another,
    upload_a_copy,
    share_all,
    let_ben_take_some,
    remove_anna,
)

Change = Callable[[Family], None]
Beginning = dict[str, str | bool | None]
History = list[tuple[list[Change], str]]
"""The changes before each sync, and the kind of the sync."""

BEGINNINGS: st.SearchStrategy[Beginning] = st.sampled_from(
    [
        {},
        {"name": ""},
        {"is_hidden": True},
        {"birth_date": None},  # it comes with the second sync
    ]
)
HISTORIES = st.lists(
    st.tuples(st.lists(st.sampled_from(CHANGES), min_size=1, max_size=3), st.sampled_from(["full", "incremental"])),
    min_size=1,
    max_size=5,
)


async def live(family: Family, beginning: Beginning, history: History) -> None:
    """Sync after each step, and look into every bundle."""
    minors = {photo.sha256 for photo in family.photos if photo.is_of_minor}
    grown = {photo.sha256 for photo in family.photos} - minors
    family.fill(**beginning)
    assert await family.sync() is Outcome.DONE
    if "birth_date" in beginning:
        assert family.bundled() & minors, "nothing is known yet"
        change_person(family, birth_date=BORN)
        family.is_without_embedder = True
        assert await family.sync("incremental") is Outcome.OUTAGE
        assert not family.bundled() & minors, "withdrawn before anything is published again"
        family.is_without_embedder = False
        assert await family.sync("incremental") is Outcome.DONE
    assert family.bundled() & grown, "the grown people are free"
    assert family.forms() == {"data": SWAPPING, "copy": SWAPPING}, "and every form for swapping is looked into"
    assert not family.bundled() & minors
    done = []
    for changes, kind in history:
        for change in changes:
            change(family)
        done.append([change.__name__ for change in changes])
        await family.sync(kind)
        assert not family.bundled() & minors, f"after {done}"


def run(photos: tuple[Photo, ...], embedders: tuple[str, str], beginning: Beginning, history: History) -> None:
    async def lived() -> None:
        async with FakeImmich("3.1.0") as immich:
            with tempfile.TemporaryDirectory() as folder:
                await live(Family(immich, photos, Path(folder), embedders), beginning, history)

    asyncio.run(lived())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("beginning", "change"),
    [
        ({}, merge),
        ({"name": ""}, archive),
        pytest.param({"birth_date": None}, date_by_upload, marks=pytest.mark.slow),
    ],
    ids=["named, then merged", "nameless, then archived", "born later, then undated"],
)
def test_one_change_puts_no_minor_into_a_bundle(
    photos: tuple[Photo, ...], embedders: tuple[str, str], beginning: Beginning, change: Change
) -> None:
    run(photos, embedders, beginning, [([change], "full"), ([upload_another], "incremental")])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("beginning", "others", "loss"),
    [
        ({}, share_all, remove_anna),
        ({"name": ""}, share_all, remove_anna),
        ({}, let_ben_take_some, remove_anna),
        ({"name": ""}, let_ben_take_some, remove_anna),
        ({"name": ""}, let_ben_take_some, trash_annas),
    ],
)
def test_pictures_of_the_child_stay_out_of_bundles_when_the_sources_that_know_the_child_are_gone(
    photos: tuple[Photo, ...], embedders: tuple[str, str], beginning: Beginning, others: Change, loss: Change
) -> None:
    run(photos, embedders, beginning, [([others], "full"), ([loss], "full"), ([archive], "full")])


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of the photos, where a history fails
@settings(max_examples=60, phases=[Phase.reuse, Phase.generate])  # a history is short; to shrink it takes minutes
@given(beginning=BEGINNINGS, history=HISTORIES)
def test_no_history_puts_a_minor_into_a_bundle(
    photos: tuple[Photo, ...], embedders: tuple[str, str], beginning: Beginning, history: History
) -> None:
    run(photos, embedders, beginning, history)
