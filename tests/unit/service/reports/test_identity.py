"""``identity``: origin and assignment of an identity's faces, on the command line and beside the face set."""

import json
from collections import Counter
from typing import Any

import pytest
from synced_library import SyncedLibrary

from immich_facesets.faces import Box
from service.reports.identity import provenance_of
from service.store.folders import StoredSource
from service.store.members import MemberRow

pytestmark = pytest.mark.timeout(600)


def member(face_id: int, how: str, *sources: str, sha256: str = "") -> MemberRow:
    places = tuple((source, f"id-{face_id}", f"{face_id}.jpg") for source in sources)
    return MemberRow(face_id, sha256 or f"{face_id:064}", Box(0, 0, 1, 1), 0.9, 100.0, 0.1, how, 0.9, places)


def test_a_face_counts_in_every_source_that_has_its_picture() -> None:
    sources = {
        "anna": StoredSource("anna", "immich", None, None),
        "old": StoredSource("old", "folder", "/x", "trusted"),
    }
    rows = [
        member(1, "asserted", "anna"),
        member(2, "asserted", "anna", "old"),
        member(3, "matched", "anna", "anna", sha256=f"{2:064}"),
        member(4, "decided"),
    ]
    anna, old = provenance_of(rows, sources)
    assert (anna.source, anna.kind, anna.faces, anna.pictures) == ("anna", "immich", 3, 2)
    assert anna.how == {"asserted": 2, "matched": 1}
    assert (old.mode, old.faces, old.how) == ("trusted", 1, {"asserted": 1})


async def shown(synced_library: SyncedLibrary, label: str) -> Any:
    rows = await synced_library.told("identities", "list")
    (number,) = [row["number"] for row in rows if row["label"] == label]
    return await synced_library.told("identities", "show", number)


async def test_sources_are_told_with_counts_beside_the_faces_and_in_the_manifest(synced_library: SyncedLibrary) -> None:
    told = await shown(synced_library, "Mira")
    by_source = {one["source"]: one for one in told["provenance"]}
    assert by_source.keys() == {"album", "anna", "ben"}
    assert {by_source[name]["kind"] for name in ("anna", "ben")} == {"immich"}
    assert (by_source["album"]["kind"], by_source["album"]["mode"]) == ("folder", "mixed")
    for name, one in by_source.items():
        ways = Counter(face["how"] for face in told["faces"] if name in {place[0] for place in face["places"]})
        assert one["how"] == dict(ways)
        assert one["faces"] == ways.total()
    printed = (await synced_library.run("identities", "show", told["number"])).stdout
    assert f"From anna: {by_source['anna']['faces']} faces" in printed

    folder = synced_library.data / "exports" / f"faceset_{told['number']:03d}"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert [one["user"] for one in manifest["provenance"]] == ["album", "anna", "ben"]
    for one in manifest["provenance"]:
        faces = [face for face in manifest["faces"] if one["user"] in {place["user"] for place in face["assets"]}]
        assert one["how"] == dict(Counter(face["how"] for face in faces))
    marker = (folder / "Mira.txt").read_text(encoding="utf-8")
    assert "Faces from album: " in marker
