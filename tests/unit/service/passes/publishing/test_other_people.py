"""The export folder as an export of some people reads it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from immich_facesets.errors import SetupError
from immich_facesets.exports.artifacts import ExportArtifact
from immich_facesets.exports.frigate import FRIGATE
from immich_facesets.exports.visomaster import VISOMASTER
from immich_facesets.facesets.faceset import digest
from service.files.export_tree import ExportTree
from service.passes.publishing.other_people import OtherPeople, everybody_with

HOME = VISOMASTER.folder


def entry(identity: int, whole: str | None = "all.fsz") -> dict[str, Any]:
    name = f"faceset_{identity:03d}"
    return {"identity": identity, "name": name, "directory": name, "bundles": {"all": whole}}


def expected(*entries: dict[str, Any], off: tuple[int, ...] = ()) -> list[str]:
    """The directories of others, while everybody up to 5 has one on the disk and person 1 is exported alone."""
    owners = {f"{HOME}/faceset_{number:03d}": number for number in range(1, 6)}
    others = OtherPeople(frozenset({1}), owners, entries)
    return others.expected_in(VISOMASTER, {}, dict.fromkeys(off, (VISOMASTER.name,)))


def test_the_file_of_everybody_is_made_of_the_listed_face_sets_of_others_alone() -> None:
    every = [entry(number) for number in (1, 2, 4)]
    assert expected(*every) == [f"{HOME}/faceset_002", f"{HOME}/faceset_004"], "3 and 5 may be barred from export"
    assert expected(*every, off=(2,)) == [f"{HOME}/faceset_004"], "what is left of a profile that is off"
    assert expected(entry(2, whole=None)) == [], "no face of it may be used for swapping"


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [("Zoë", True), ("zoë", True), ("Zoe\N{COMBINING DIAERESIS}", True), ("Zoe", False), ("Max", False)],
)
def test_a_name_is_taken_in_each_spelling_that_may_be_the_same_directory(name: str, is_taken: bool) -> None:
    owners = {f"{FRIGATE.folder}/Zoë": 2, f"{FRIGATE.folder}/Max": 1, "other/Zoe": 2}
    others = OtherPeople(frozenset({1}), owners, ())
    assert (
        others.is_taken(ExportArtifact(f"{FRIGATE.folder}/{name}", FRIGATE, 1, b"", {}, lambda: iter(()))) is is_taken
    )


@pytest.mark.parametrize("changed", ["manifest.json", "Anna.json"])
def test_the_file_of_everybody_takes_no_directory_that_is_not_as_it_was_written(tmp_path: Path, changed: str) -> None:
    place, note = f"{HOME}/faceset_002", b'[{"name": "Anna"}]'
    notes = {"Anna.json": hashlib.sha256(note).hexdigest()}
    whole = {"schema": 1, "faceset": "faceset_002", "identity": 2, "era": None, "notes": notes, "faces": []}
    body, folder = json.dumps(whole).encode(), tmp_path / place
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes(body)
    (folder / "Anna.json").write_bytes(note)
    digests = {place: digest(body)}
    found = everybody_with(ExportTree(tmp_path), digests, VISOMASTER, (), "s")
    assert found is not None
    assert json.loads(found.manifest)["facesets"] == ["faceset_002"]
    (folder / changed).write_bytes(b'{"schema": 1, "faces": []}')
    with pytest.raises(SetupError, match="were changed"):
        everybody_with(ExportTree(tmp_path), digests, VISOMASTER, (), "s")
