"""Whole pictures for exports: every face box, the stored form of each file, and no excluded person."""

from dataclasses import replace

from builders import NOON, RECIPE, asset, content, face_answer, one_identity, plans
from sqlalchemy import Connection, update

from immich_facesets.assets import Rendition
from immich_facesets.faces import Box
from service.store import assets, contents, identities, placed_pictures, sources
from service.store.database import Store
from service.store.tables import identities as identity_rows

SIDEWAYS = asset("a1")
EDITED = asset("a2", rendition=Rendition.EDITED, is_edited=True)
OLD = asset("a3")
WAITING = asset("a4")


def fill(store: Store) -> None:
    """A rotated picture with two faces, its edited form, an old one without faces, and one not yet done."""
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    store.write_now(assets.remember_page, plans(SIDEWAYS, EDITED, OLD, WAITING), run_id=1)
    two = (face_answer(1), face_answer(2, box=Box(500, 500, 700, 700)))
    for found in (
        replace(content(SIDEWAYS, *two), orientation=6),
        replace(content(EDITED, face_answer(3)), orientation=1),
        content(OLD),
    ):
        store.write_now(contents.record_content, found, NOON)
    store.write_now(identities.apply_grouping, one_identity(1), NOON)


def test_how_a_file_is_stored_is_known_only_of_the_very_file_that_was_looked_at(store: Store) -> None:
    fill(store)
    found = {place.asset_id: place for place in store.read_now(placed_pictures.placed_pictures, RECIPE.space)}
    assert {asset_id: place.orientation for asset_id, place in found.items()} == {"a1": 6, "a2": None, "a3": None}
    assert {asset_id: place.has_faces for asset_id, place in found.items()} == {"a1": True, "a2": True, "a3": False}
    assert found["a1"].path == SIDEWAYS.path
    store.write_now(assets.mark_gone, "anna", "a1")
    assert {place.asset_id for place in store.read_now(placed_pictures.placed_pictures, RECIPE.space)} == {"a2", "a3"}


def test_an_excluded_person_is_not_among_the_unassigned_faces(store: Store) -> None:
    fill(store)
    seen = store.read_now(placed_pictures.exportable_faces, RECIPE.space)
    assert [(face.face_id, identity) for face, identity in seen] == [(1, 1), (2, 0), (3, 0)]

    def never(tx: Connection) -> None:
        tx.execute(update(identity_rows).values(never_export=True))

    store.write_now(never)
    assert [face.face_id for face, _ in store.read_now(placed_pictures.exportable_faces, RECIPE.space)] == [2, 3]
