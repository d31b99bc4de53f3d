"""Pictures and people that are away for a while: nothing that is known about them is lost, and no number changes."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from journey import Journey
from sync_result import Row, SyncResult, read

from service.demo.immich import FakeAsset
from service.store.runs import Census, census

CHILD = range(16, 21)
"""The pictures of a person without a name; their owner is Ben."""


def numbers(found: SyncResult) -> dict[Row, Any]:
    """The identity number of every face."""
    return {place: row[0] for place, row in found.faces.items()}


def facesets(found: SyncResult) -> dict[str, str]:
    """The digests of the pictures and bundles of the face sets, by path."""
    return {name: body for name, body in found.files.items() if name.endswith((".png", ".fsz"))}


def unavailable(journey: Journey) -> dict[str, int]:
    """The number of pictures of each source that are shown as they last were."""
    found: Census = read(journey.data, census)
    return {source.name: source.unavailable for source in found.sources}


def take_offline(journey: Journey, assets: Sequence[FakeAsset]) -> None:
    for asset in assets:
        asset.is_offline = True
        journey.immich.touch(asset)


def put_back(journey: Journey, assets: Sequence[FakeAsset]) -> None:
    for asset in assets:
        asset.is_offline = asset.is_trashed = False
        asset.visibility = "timeline"
        journey.immich.touch(asset)


def make_external(journey: Journey) -> list[FakeAsset]:
    """The child's pictures become those of an external library, whose checksums say nothing about the bytes."""
    assets = [journey.placed.assets[number] for number in CHILD]
    for number, asset in enumerate(assets):
        asset.library_id, asset.checksum = "7d1f0e56-4b0e-4f6c-8f2b-0f4b0a1d9b11", f"bm90IHRoZSBjaGVja3N1bSE{number}="
    return assets


@pytest.mark.slow
async def test_an_offline_library_keeps_its_faces_its_numbers_and_its_face_sets(journey: Journey) -> None:
    assets = make_external(journey)
    before = await journey.finish()
    take_offline(journey, assets)
    away = await journey.finish("--full")
    assert unavailable(journey) == {"anna": 0, "ben": 5}
    assert away.loose_ends() == []
    assert numbers(away) == numbers(before)
    assert facesets(away) == facesets(before)
    put_back(journey, assets)
    back = await journey.finish("--full")
    assert unavailable(journey) == {"anna": 0, "ben": 0}
    assert numbers(back) == numbers(before)
    assert facesets(back) == facesets(before)


@pytest.mark.slow
async def test_a_changed_picture_that_cannot_be_fetched_keeps_its_old_faces(journey: Journey) -> None:
    assets = make_external(journey)
    before = await journey.finish()
    for asset in assets:
        asset.data = b"not a picture"
        journey.immich.touch(asset)
    failed = await journey.finish("--full")
    assert numbers(failed) == numbers(before)
    assert facesets(failed) == facesets(before)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["deleted", "trashed", "locked"])
async def test_a_person_whose_pictures_were_gone_returns_under_the_old_number(journey: Journey, how: str) -> None:
    assets = [journey.placed.assets[number] for number in CHILD]
    before = await journey.finish()
    for asset in assets:
        match how:
            case "trashed":
                journey.immich.trash_asset(asset)
            case "locked":
                asset.visibility = "locked"
                journey.immich.touch(asset)
            case _:
                journey.immich.delete_asset(asset)
    gone = await journey.finish("--full")
    assert len(gone.faces) == len(before.faces) - len(assets)
    if how == "deleted":
        for asset in assets:
            journey.immich.add_asset(asset)
    put_back(journey, assets)
    back = await journey.finish("--full")
    assert back.loose_ends() == []
    assert numbers(back) == numbers(before)
    assert facesets(back) == facesets(before)


@pytest.mark.slow
async def test_a_person_whose_pictures_are_archived_keeps_name_and_birth_date(journey: Journey) -> None:
    mira = next(person for person in journey.immich.library.people.values() if person.name == "Mira")
    mira.birth_date = "1993-05-05"
    before = await journey.finish()
    for asset in journey.immich.library.assets.values():
        if any(face.person_id == mira.person_id for face in asset.faces):
            asset.visibility = "archive"
            journey.immich.touch(asset)
    after = await journey.finish("--full")
    assert after.people == before.people
    assert numbers(after) == numbers(before)


async def test_the_faces_of_a_merged_person_are_read_again_at_once(journey: Journey) -> None:
    before = await journey.finish()
    people = journey.immich.library.people
    mira, theo = (
        next(one for one in people.values() if (one.owner, one.name) == ("ben", name)) for name in ("Mira B.", "Theo")
    )
    del people["ben", theo.person_id]
    for asset in journey.immich.library.assets.values():
        for face in asset.faces:
            if face.person_id == theo.person_id:
                face.person_id = mira.person_id
    after = await journey.finish()
    assert {row[1] for row in before.people} - {row[1] for row in after.people} == {theo.person_id}
    assert theo.person_id in {row[3] for row in before.hints}
    assert theo.person_id not in {row[3] for row in after.hints}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
async def test_no_sequence_of_absences_and_returns_changes_a_number(journey: Journey, seed: int) -> None:
    chance = random.Random(seed)
    everything = list(journey.immich.library.assets.values())
    before = numbers(await journey.finish())
    for _ in range(3):
        some = chance.sample(everything, chance.randint(1, len(everything)))
        for asset in some:
            match chance.choice(["offline", "trash", "lock", "archive"]):
                case "offline":
                    take_offline(journey, [asset])
                case "trash":
                    journey.immich.trash_asset(asset)
                case "lock":
                    asset.visibility = "locked"
                    journey.immich.touch(asset)
                case _:
                    asset.visibility = "archive"
                    journey.immich.touch(asset)
        away = numbers(await journey.finish("--full"))
        assert away.items() <= before.items()
        put_back(journey, chance.sample(some, chance.randint(0, len(some))))
        assert numbers(await journey.finish("--full")).items() <= before.items()
    put_back(journey, everything)
    assert numbers(await journey.finish("--full")) == before
