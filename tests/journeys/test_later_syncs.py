"""Several syncs with new pictures: numbers, names, directories and members of identities stay the same."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fork_server import ForkServer
from journey import ended
from small_library import ENVIRONMENT, SmallLibrary
from sqlalchemy import Connection, select
from sync_result import read

from service.store.identities import labels
from service.store.tables import faces, identities, memberships

NAMED = "Kim"
FIRST = (0, 1, 2, 6, 7, 8, 11, 12, 13)
LATER = ((3, 9, 14, 19, 23), (4, 5, 10, 15, 20, 21, 22, 24))
"""The new shots of each sync; those of the named person go to a folder of that name."""
OF_NAMED = (16, 17, 18, 19, 20)


@dataclass(frozen=True)
class Seen:
    """The visible state after a sync: numbers with their origin, names, identities of faces, and exported files."""

    numbers: Mapping[int, str]
    names: Mapping[int, str]
    owners: Mapping[Any, int]
    directories: frozenset[str]
    exported: Mapping[Any, str]


def look(data: Path) -> Seen:
    def ask(tx: Connection) -> tuple[dict[int, str], dict[int, str], dict[Any, int]]:
        rows = tx.execute(
            select(faces.c.sha256, faces.c.x1, faces.c.y1, memberships.c.identity).join(
                memberships, memberships.c.face_id == faces.c.face_id
            )
        )
        owners = {(row.sha256, row.x1, row.y1): row.identity for row in rows}
        numbers = {row.number: row.origin for row in tx.execute(select(identities))}
        return numbers, labels(tx), owners

    numbers, names, owners = read(data, ask)
    exported = {}
    folders = [path.parent for path in (data / "exports").glob("faceset_*/manifest.json")]
    for folder in folders:
        for face in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["faces"]:
            exported[face["sha256"], tuple(face["box"])] = folder.name
    return Seen(numbers, names, owners, frozenset(folder.name for folder in folders), exported)


def bring(root: Path, drawn: SmallLibrary, shots: Sequence[int]) -> None:
    for number in shots:
        folder = root / "sorted" / NAMED if number in OF_NAMED else root / "mixed"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(drawn.files[number], folder)


@pytest.mark.slow
async def test_whatever_later_syncs_bring_numbers_names_and_face_sets_stay(
    forks: ForkServer, drawn: SmallLibrary, embedder_url: str, tmp_path: Path
) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("FACESETS_", "IMMICH_"))}
    environ |= {**ENVIRONMENT, "FACESETS_EMBEDDER_URLS": embedder_url, "FACESETS_MIN_FACES": "3"}
    environ["FACESETS_DATA_DIR"] = str(tmp_path / "data")

    async def run(*arguments: str) -> None:
        service = forks.start("service", *arguments, environ=environ)
        assert await ended(service) == 0, service.stderr[-3000:]

    bring(tmp_path, drawn, (*FIRST, 16, 17, 18))
    await run("sources", "add-folder", str(tmp_path / "mixed"), "--name", "mixed")
    await run("sources", "add-folder", str(tmp_path / "sorted"), "--name", "sorted", "--trusted-by-subfolder")
    await run("sync")
    before = first = look(tmp_path / "data")
    assert NAMED in before.names.values()
    assert len(before.numbers) >= 4
    for shots in LATER:
        bring(tmp_path, drawn, shots)
        await run("sync")
        after = look(tmp_path / "data")
        assert before.numbers.items() <= after.numbers.items()
        assert before.names.items() <= after.names.items()
        assert before.owners.items() <= after.owners.items()
        assert before.directories <= after.directories
        assert len(after.owners) > len(before.owners)
        stayed = before.exported.keys() & after.exported.keys()
        assert {face: after.exported[face] for face in stayed} == {face: before.exported[face] for face in stayed}
        assert {
            face for face in before.exported if after.owners[owner_key(after, face)] != number_in(before, face)
        } == set()
        before = after
    assert len(before.owners) > len(first.owners) + 5


def owner_key(seen: Seen, face: Any) -> Any:
    """The key in ``owners`` of an exported face, whose box is rounded."""
    sha256, box = face
    (key,) = [
        key for key in seen.owners if key[0] == sha256 and abs(key[1] - box[0]) < 0.01 and abs(key[2] - box[1]) < 0.01
    ]
    return key


def number_in(seen: Seen, face: Any) -> int:
    """The number in the name of the face set that a face is in."""
    return int(seen.exported[face].split("_")[1])
