"""Changes in Immich between syncs: deleted pictures, restored pictures, new names."""

import json
from pathlib import Path
from typing import Any

import pytest
from journey import Journey
from small_library import Placed
from sync_result import Row, SyncResult

LIFE, NEIGHBOURS, CHILD = 0, 12, 17
"""The first picture of the person with eras, one of the friend and the neighbour, the first of the child."""


def identities_on(found: SyncResult, placed: Placed, number: int) -> set[Any]:
    """The identities of the faces on one picture of the library; empty for an unknown picture."""
    sha256 = placed.library.digests[number]
    return {row[0] for place, row in found.faces.items() if place[0] == sha256}


def shown(data: Path) -> set[tuple[str, str]]:
    """Every (user, asset id) that any manifest in the export folder names."""
    found: set[tuple[str, str]] = set()
    for path in (data / "exports").rglob("manifest.json"):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        for face in manifest.get("faces", ()):
            found |= {(asset["user"], asset["asset_id"]) for asset in face["assets"]}
        for faceset in manifest.get("facesets", ()):
            found |= {(manifest["user"], asset["asset_id"]) for asset in faceset.get("assets", ())}
    return found


def labels(data: Path) -> dict[str, str | None]:
    """The name of each face set in the top manifest."""
    top = json.loads((data / "exports" / "manifest.json").read_text(encoding="utf-8"))
    return {entry["name"]: entry["label"] for entry in top["facesets"]}


def numbers(found: SyncResult) -> dict[Row, Any]:
    """The identity number of every face."""
    return {place: row[0] for place, row in found.faces.items()}


async def test_a_deleted_or_trashed_picture_leaves_identities_and_exports_and_a_restored_one_returns(
    journey: Journey,
) -> None:
    placed = journey.placed
    before = await journey.finish()
    deleted, trashed = placed.assets[LIFE], placed.assets[NEIGHBOURS + 1]
    assert identities_on(before, placed, LIFE) == {1}
    assert len(identities_on(before, placed, NEIGHBOURS + 1)) == 2
    assert {("anna", deleted.asset_id), ("anna", trashed.asset_id)} <= shown(journey.data)

    journey.immich.delete_asset(deleted)
    journey.immich.trash_asset(trashed)
    gone = await journey.finish("--full")
    assert gone.loose_ends() == []
    assert identities_on(gone, placed, LIFE) == set()
    assert identities_on(gone, placed, NEIGHBOURS + 1) == set()
    assert {("anna", deleted.asset_id), ("anna", trashed.asset_id)}.isdisjoint(shown(journey.data))
    assert numbers(gone).items() <= numbers(before).items()  # all other faces keep their identity

    trashed.is_trashed = False
    journey.immich.touch(trashed)
    back = await journey.finish("--full")
    assert back.loose_ends() == []
    assert identities_on(back, placed, NEIGHBOURS + 1) == identities_on(before, placed, NEIGHBOURS + 1)
    assert ("anna", trashed.asset_id) in shown(journey.data)
    assert numbers(back).items() <= numbers(before).items()


@pytest.mark.slow
async def test_a_copy_in_another_library_keeps_its_faces_when_one_of_the_two_is_deleted(journey: Journey) -> None:
    placed = journey.placed
    before = await journey.finish()
    journey.immich.delete_asset(placed.assets[1])
    after = await journey.finish("--full")
    assert identities_on(after, placed, 1) == identities_on(before, placed, 1) == {1}
    assert ("ben", placed.copies[0].asset_id) in shown(journey.data)
    assert ("anna", placed.assets[1].asset_id) not in shown(journey.data)


@pytest.mark.slow
async def test_a_person_without_remaining_pictures_has_no_faceset_and_its_number_is_not_used_again(
    journey: Journey,
) -> None:
    placed = journey.placed
    before = await journey.finish()
    (child,) = identities_on(before, placed, CHILD)
    assert f"faceset_{child:03d}" in before.exports
    for number in range(CHILD - 1, CHILD + 4):
        journey.immich.delete_asset(placed.assets[number])
    after = await journey.finish("--full")
    assert after.loose_ends() == []
    assert f"faceset_{child:03d}" not in after.exports
    assert child in {number for number, *_ in after.identities}
    assert {row[0] for row in after.faces.values()} <= {row[0] for row in before.faces.values()} - {child}


@pytest.mark.slow
async def test_the_name_in_immich_is_the_label_and_a_new_name_changes_no_number(journey: Journey) -> None:
    before = await journey.finish()
    assert labels(journey.data)["faceset_001"] == "Mira"
    theo = next(number for _, _, name, number in before.people if name == "Theo")
    assert labels(journey.data)[f"faceset_{theo:03d}"] == "Theo"
    pictures = {name: body for name, body in before.files.items() if name.endswith((".png", ".fsz"))}

    for person in journey.immich.library.people.values():
        if person.name == "Theo":
            person.name = "Theodor"
    after = await journey.finish()
    assert labels(journey.data)[f"faceset_{theo:03d}"] == "Theodor"
    assert labels(journey.data)["faceset_001"] == "Mira"
    assert numbers(after) == numbers(before)
    assert {name: body for name, body in after.files.items() if name.endswith((".png", ".fsz"))} == pictures
    assert len(journey.fetched()) == len(set(journey.fetched()))
