"""People with what of them is in the export folder, or why nothing is."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from browsed_library import BrowsedLibrary, fill
from counted_statements import counted_statements
from sqlalchemy import delete

from immich_facesets.imports.manifests import MANIFEST
from service.files.export_tree import ExportTree
from service.progress import ProgressBoard
from service.reports.library import library_reads
from service.settings import Settings
from service.store import exports
from service.store.database import Store
from service.store.tables import crops
from service.web.library.facesets import ExportedQuery, LeftOutQuery
from service.web.library.identities import FacesQuery
from service.web.library.reads import LibraryReads

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
FINDING = {"code": "few_faces", "message": "1 of 20", "value": 1, "threshold": 20}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "exports").mkdir()
    return Settings(data_dir=tmp_path, export_dir=tmp_path / "exports")


@pytest.fixture
def library(store: Store, settings: Settings) -> LibraryReads:
    fill(store, BrowsedLibrary(sizes=(9, 8, 7, 6, 5)))
    return library_reads(store, settings, ProgressBoard())


def write(
    store: Store,
    settings: Settings,
    directory: str,
    identity: int | None,
    profile: str | None = None,
    left_out: Sequence[dict[str, str | None]] = (),
) -> None:
    name = directory.rpartition("/")[2]
    manifest = {"schema": 1, "name": name, "faces": [], "bundles": {"all": f"{name}_all.fsz"}, "notes": {}}
    report = {"findings": [FINDING], "shown": {}, "events": {}, "known": 3, "left_out": {"too_small": 2}}
    report |= {"left_out_faces": left_out}
    files = {
        f"{name}_all.fsz": b"bundle",
        "contact_sheet.jpg": b"picture",
        "preflight.json": json.dumps(report).encode(),
        MANIFEST: json.dumps(manifest).encode(),
    }
    ExportTree(settings.export_dir).write_directory(directory, files.items())
    entry = {"identity": identity, "faces": 1} | ({} if profile is None else {"profile": profile})
    store.write_now(exports.record_export, directory, digest="d", entry=entry, identity=identity, made_by="x", now=NOW)


async def test_each_person_has_its_face_sets_first_with_what_they_lack(
    store: Store, settings: Settings, library: LibraryReads
) -> None:
    write(store, settings, "faceset_002_era_2011", 2)
    write(store, settings, "faceset_002", 2)
    write(store, settings, "_profiles/kohya/faceset_002", 2, "kohya")
    write(store, settings, "_profiles/xmp/anna", None, "xmp")
    found = await library.exported(ExportedQuery(exported=True))
    (person,) = found.people
    assert (person.identity.number, person.why_not_exported, found.total) == (2, "", 1)
    assert [one.faceset.directory for one in person.facesets] == [
        "faceset_002",
        "faceset_002_era_2011",
        "_profiles/kohya/faceset_002",
    ]
    first = person.facesets[0]
    assert [one.name for one in first.downloads] == ["faceset_002_all.fsz"]
    assert first.contact_sheet == "/api/facesets/faceset_002/files/contact_sheet.jpg"
    assert first.preflight is not None
    assert [finding.message for finding in first.preflight.findings] == ["1 of 20"]
    assert first.is_whole
    assert first.bytes > len(b"bundlepicture")
    assert found.directories == {"fsz": 2, "kohya": 1, "xmp": 1}
    assert [one.directory for one in found.of_everybody] == ["_profiles/xmp/anna"]
    assert await library.facesets_of(2) == person.facesets
    assert await library.facesets_of(1) == ()


async def test_a_profile_shows_its_directories_alone(store: Store, settings: Settings, library: LibraryReads) -> None:
    write(store, settings, "faceset_001", 1)
    write(store, settings, "faceset_002", 2)
    write(store, settings, "_profiles/kohya/faceset_002", 2, "kohya")
    write(store, settings, "_profiles/xmp/anna", None, "xmp")
    found = await library.exported(ExportedQuery(profile="kohya"))
    assert [[one.faceset.directory for one in person.facesets] for person in found.people] == [
        ["_profiles/kohya/faceset_002"]
    ]
    assert found.of_everybody == ()


async def test_who_has_no_face_set_has_a_reason(store: Store, settings: Settings, library: LibraryReads) -> None:
    everybody = await library.exported(ExportedQuery(exported=False))
    assert {one.why_not_exported for one in everybody.people} == {"nothing_exported_yet", "never_export"}
    write(store, settings, "faceset_001", 1)
    members = (await library.faces(3, FacesQuery(limit=200))).faces
    store.write_now(lambda tx: tx.execute(delete(crops).where(crops.c.face_id.in_([one.id for one in members]))))
    found = await library.exported(ExportedQuery(exported=False, sort="number"))
    assert {one.identity.number: one.why_not_exported for one in found.people} == {
        2: "never_export",
        3: "no_face_large_enough",
        4: "not_yet",
        5: "not_yet",
    }
    assert all(one.facesets == () for one in found.people)


async def test_faces_that_are_left_out_are_found_by_picture_and_crop(
    store: Store, settings: Settings, library: LibraryReads
) -> None:
    members = (await library.faces(1, FacesQuery(limit=200))).faces
    listed = [
        {
            "reason": "too_small" if face.crop is None else "near_duplicate",
            "sha256": face.picture.sha256,
            "crop_sha256": None if face.crop is None else face.crop.crop.rsplit(".", 2)[1],
        }
        for face in members
    ]
    other = (await library.faces(2, FacesQuery(limit=1))).faces[0]
    stranger: dict[str, str | None] = {"reason": "outlier", "sha256": other.picture.sha256, "crop_sha256": "0" * 64}
    write(store, settings, "faceset_001", 1, left_out=[*listed, stranger])
    seen: dict[int, str] = {}
    cursor = ""
    while True:
        page = await library.left_out("faceset_001", LeftOutQuery(limit=4, cursor=cursor))
        assert page is not None
        assert page.total == len(members) + 1
        seen |= {one.face.id: one.reason for one in page.faces}
        if page.next is None:
            break
        cursor = page.next
    assert seen == {face.id: "too_small" if face.crop is None else "near_duplicate" for face in members}
    small = await library.left_out("faceset_001", LeftOutQuery(reason="too_small"))
    assert small is not None
    assert {one.face.id for one in small.faces} == {face.id for face in members if face.crop is None}
    write(store, settings, "_profiles/xmp/anna", None, "xmp")
    for nothing in ("faceset_009", "_profiles/xmp/anna"):
        assert await library.left_out(nothing, LeftOutQuery()) is None


async def test_people_come_page_by_page_in_the_same_number_of_statements(
    store: Store, settings: Settings, library: LibraryReads
) -> None:
    for number in range(1, 6):
        write(store, settings, f"faceset_{number:03d}", number)
    seen, cursor, costs = [], "", []
    while True:
        with counted_statements(store) as counted:
            page = await library.exported(ExportedQuery(exported=True, limit=2, cursor=cursor))
        costs.append(len(counted))
        seen += [one.identity.number for one in page.people]
        if page.next is None:
            break
        cursor = page.next
    assert seen == [1, 2, 3, 4, 5]
    with counted_statements(store) as counted:
        assert len((await library.exported(ExportedQuery(exported=True))).people) == 5
    assert len(counted) <= max(costs)
