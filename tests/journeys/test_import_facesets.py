"""Import of face sets of another tool or another installation: numbers, names and members are kept."""

import json
import os
import shutil
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fork_server import KILLED, ForkedProcess, ForkServer
from journey import ended
from small_library import ENVIRONMENT, SmallLibrary
from sqlalchemy import Connection, select
from sync_result import read

from service.store.identities import labels
from service.store.tables import faces, memberships

pytestmark = pytest.mark.timeout(300)

LIFE, OTHERS = slice(0, 6), slice(11, 21)
"""The person with eras is added with the second sync, so that its number differs from that of a fresh start."""


@dataclass(frozen=True)
class Home:
    """A service of its own over a folder of pictures."""

    forks: ForkServer
    environ: Mapping[str, str]
    data: Path

    async def run(self, *arguments: str, code: int = 0, die_at: tuple[Any, ...] = ()) -> ForkedProcess:
        environ = {**self.environ, "FACESETS_DATA_DIR": str(self.data)}
        service = self.forks.start("service", *arguments, environ=environ, die_at=die_at)
        assert await ended(service) == code, (service.stdout + service.stderr)[-3000:]
        return service

    def members(self) -> dict[tuple[str, int, int], int]:
        """The identity of every face that has one, by content and the left upper corner of its box."""

        def ask(tx: Connection) -> dict[tuple[str, int, int], int]:
            rows = tx.execute(
                select(faces.c.sha256, faces.c.x1, faces.c.y1, memberships.c.identity).join(
                    memberships, memberships.c.face_id == faces.c.face_id
                )
            )
            return {(row.sha256, round(row.x1), round(row.y1)): row.identity for row in rows}

        found: dict[tuple[str, int, int], int] = read(self.data, ask)
        return found

    def labels(self) -> dict[int, str]:
        found: dict[int, str] = read(self.data, labels)
        return found

    def label(self, number: int, name: str) -> None:
        with sqlite3.connect(self.data / "facesets.db") as database:
            database.execute("UPDATE identities SET label = ? WHERE number = ?", (name, number))
        database.close()

    def dump(self) -> list[str]:
        """The whole content of the database."""
        database = sqlite3.connect(self.data / "facesets.db")
        try:
            return list(database.iterdump())
        finally:
            database.close()


@pytest.fixture
def environ(embedder_url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FACESETS_", "IMMICH_"))}
    profiles = {"FACESETS_EXPORT_PROFILES": "fsz,npz", "FACESETS_MIN_FACES": "3"}
    return {**kept, **ENVIRONMENT, **profiles, "FACESETS_EMBEDDER_URLS": embedder_url}


@pytest.mark.slow
async def test_an_import_keeps_numbers_names_and_members(
    forks: ForkServer, drawn: SmallLibrary, environ: dict[str, str], tmp_path: Path
) -> None:
    root, old = tmp_path / "album" / "Summer", Home(forks, environ, tmp_path / "old")
    root.mkdir(parents=True)
    await old.run("sources", "add-folder", str(root.parent), "--name", "album")
    for file in drawn.files[OTHERS]:
        shutil.copy(file, root)
    await old.run("sync")
    first, *_, last = sorted(set(old.members().values()))
    old.label(first, "Mira Unsayable")
    old.label(last, "Theo")
    for file in drawn.files[LIFE]:
        shutil.copy(file, root)
    await old.run("sync")
    before = old.members()
    numbers = sorted(set(before.values()))
    exports = shutil.copytree(old.data / "exports", tmp_path / "earlier")
    cache = exports / "_profiles" / "npz" / "album" / "cache.npz"
    arguments = ("import-facesets", str(exports), "--cache", str(cache))

    moved = str(shutil.move(root.parent, tmp_path / "pictures"))
    new = Home(forks, environ, tmp_path / "new")
    await new.run(*arguments, "--dry-run")
    assert not new.data.exists()
    await new.run("sources", "add-folder", moved, "--name", "photos")
    database = (new.data / "facesets.db").read_bytes()
    plan = json.loads((await new.run(*arguments, "--dry-run", "--json")).stdout)
    assert ([one["identity"] for one in plan["sets"]], plan["written"]) == (numbers, False)
    (damaged := tmp_path / "damaged.npz").write_bytes(cache.read_bytes()[:-200])
    refused = await new.run("import-facesets", str(exports), "--cache", str(damaged), code=3)
    assert "damaged.npz" in refused.stderr
    assert (new.data / "facesets.db").read_bytes() == database
    empty = new.dump()
    await new.run(*arguments, code=KILLED, die_at=("record_import", "during", 1))
    assert new.dump() == empty
    await new.run(*arguments)
    imported = new.dump()
    assert imported != empty
    assert "Nothing changes" in (await new.run(*arguments)).stdout
    assert new.dump() == imported

    await new.run("sync")
    assert new.members() == before
    assert new.labels() == {first: "Mira Unsayable", last: "Theo"}
    again = json.loads((await new.run(*arguments, "--json")).stdout)
    assert (again["written"], {one["fate"] for one in again["sets"]}) == (False, {"known"})
    await old.run(*arguments)
    assert old.members() == before, "an import of our own export matches its identities"


@pytest.mark.slow
async def test_another_tools_sets_join_people_who_are_here_already_only_when_asked_to(
    forks: ForkServer, drawn: SmallLibrary, environ: dict[str, str], tmp_path: Path
) -> None:
    root, home = tmp_path / "album" / "Summer", Home(forks, environ, tmp_path / "data")
    root.mkdir(parents=True)
    for file in drawn.files[LIFE]:
        shutil.copy(file, root)
    await home.run("sources", "add-folder", str(root.parent), "--name", "album")
    await home.run("sync")
    before = home.members()
    number = before[next(key for key in before if key[0] == drawn.digests[0])]
    paths = [f"C:\\Pictures\\Summer\\{file.name}" for file in drawn.files[:6]]
    boxes = [[each.x1, each.y1, each.x2, each.y2] for each, *_ in drawn.boxes[:6]]
    earlier = tmp_path / "earlier" / "faceset_007"
    era = tmp_path / "earlier" / "_thin" / "faceset_007_era_2011"
    entries = [{"file": f"{place}.png", "source": path} for place, path in enumerate(paths)]
    for folder, manifest in (
        (earlier, {"faces": entries}),
        (era, {"faces": entries[:4], "era": {"from": 2010, "to": 2013}}),
    ):
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (earlier / "Grandmother.txt").write_text("a marker", encoding="utf-8")
    cache = tmp_path / "cache.npz"
    np.savez(cache, embeddings=np.eye(6, 512, dtype=np.float32), paths=np.array(paths), bboxes=np.array(boxes))
    arguments = ("import-facesets", str(earlier.parent), "--cache", str(cache))

    stored = home.dump()
    refused = await home.run(*arguments, code=3)
    assert f"most of its faces are identity {number} here already" in refused.stderr
    assert home.dump() == stored
    told = await home.run(*arguments, "--renumber")
    assert "is here already" in told.stdout
    await home.run("sync")
    assert home.members() == before
    assert home.labels() == {number: "Grandmother"}
    exported = home.data / "exports" / "_thin" / f"faceset_{number:03d}_era_2011" / "manifest.json"
    manifest = json.loads(exported.read_text(encoding="utf-8"))
    assert (manifest["label"], manifest["era"]) == ("Grandmother", {"from": 2010, "to": 2013})
