"""Faces for evaluation, as read from every database."""

from builders import NOON, asset, content, face_answer, one_identity, plans
from sqlalchemy import Connection, update

from immich_facesets.assets import Asset
from immich_facesets.faces import Box
from service.store import assets, contents, face_tables, identities, sources
from service.store.database import Store
from service.store.faces import read_library
from service.store.tables import memberships


def remember(store: Store, *items: Asset) -> None:
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    store.write_now(assets.remember_page, plans(*items), run_id=1)


def test_a_library_is_read_with_every_face_and_every_name_of_its_picture(store: Store) -> None:
    twin = asset("a2", checksum=asset("a1").checksum, source="anna", path="/other/copy.jpg")
    remember(store, asset("a1"), twin, asset("a3"), asset("a4"))
    small = face_answer(2, box=Box(600, 0, 640, 40), crop=False)
    store.write_now(contents.record_content, content(asset("a1"), face_answer(1), small), NOON)
    store.write_now(assets.mark_gone, "anna", "a4")
    one, two = store.read_now(face_tables.face_table, "space-1", 512).face_ids.tolist()
    store.write_now(identities.apply_grouping, one_identity(one), NOON)

    def trust(tx: Connection) -> None:
        tx.execute(update(memberships).values(confidence=0.97))

    store.write_now(trust)
    found = store.read_now(read_library, "space-1")
    assert found.table.vectors.shape == (2, 512)
    assert found.table.face_ids.tolist() == [face.face_id for face in found.faces] == [one, two]
    assert [face.box for face in found.faces] == [Box(100, 100, 300, 300), Box(600, 0, 640, 40)]
    assert [face.crop is None for face in found.faces] == [False, True]
    assert (found.identities, found.confidences) == ({one: 1}, {one: 0.97})
    known = {picture.asset_id: picture for picture in found.pictures}
    assert known["a1"].sha256 == known["a2"].sha256 == found.faces[0].sha256
    assert (known["a2"].path, known["a2"].file_name) == ("/other/copy.jpg", "a2.jpg")
    assert known["a3"].sha256 is None, "it was not fetched yet"
    assert "a4" not in known, "it is gone"


def test_a_space_without_faces_is_read_as_an_empty_library(store: Store) -> None:
    remember(store, asset("a1"))
    found = store.read_now(read_library, "space-1")
    assert (len(found.table), found.faces, found.identities) == (0, (), {})
    assert [picture.asset_id for picture in found.pictures] == ["a1"]
