"""Faces are found by the places that decisions recorded, also where their pictures were not read yet."""

from browsed_library import SPACE, BrowsedLibrary, fill
from counted_statements import counted_statements
from sqlalchemy import Connection, select

from immich_facesets.faces import Box
from immich_facesets.moderation.decisions import FaceRef
from service.store.database import Store
from service.store.decisions import Finder
from service.store.tables import faces

LIBRARY = BrowsedLibrary(sizes=(12, 9, 5), strangers=8)


def places(tx: Connection) -> dict[FaceRef, int]:
    return {FaceRef(row.sha256, Box(row.x1, row.y1, row.x2, row.y2)): row.face_id for row in tx.execute(select(faces))}


def moved(ref: FaceRef, by: float) -> FaceRef:
    box = ref.box
    return FaceRef(ref.sha256, Box(box.x1 + by, box.y1, box.x2 + by, box.y2))


def test_known_places_lead_where_those_that_are_read_lead(store: Store) -> None:
    fill(store, LIBRARY)

    def compare(tx: Connection) -> None:
        everybody = places(tx)
        whole = Finder(tx, SPACE, {ref.sha256 for ref in everybody})
        known = Finder(tx, SPACE, ())
        known.know({ref: face for place, (ref, face) in enumerate(everybody.items()) if place % 2})
        pictures = {ref.sha256 for place, ref in enumerate(everybody) if place % 2}
        for ref, face in everybody.items():
            assert whole(ref) == face
            for other in (moved(ref, by) for by in (0, 30, 500)):
                assert known(other) == (whole(other) if ref.sha256 in pictures else None)

    store.read_now(compare)


def test_nothing_is_read_for_faces_at_their_known_places(store: Store) -> None:
    fill(store, LIBRARY)

    def sent(by: float) -> int:
        def look(tx: Connection) -> int:
            everybody = places(tx)
            find = Finder(tx, SPACE, ())
            find.know(everybody)
            with counted_statements(store) as statements:
                for ref in everybody:
                    find(moved(ref, by))
            return len(statements)

        return store.read_now(look)

    assert [sent(0), sent(30)] == [0, 1]
