"""The rest of an erasure: crops and exports go, and what is in the way leaves it open."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from builders import NOON
from moderated_library import Moderated
from sqlalchemy import select

from immich_facesets.exports.manifests import json_bytes
from immich_facesets.moderation.requests import ForgetPerson
from service.files.export_tree import ExportTree
from service.files.picture_turns import PictureTurns
from service.files.references import ReferenceFolder
from service.moderation.erasures import Erasing
from service.store import erasures, exports, named_values
from service.store.database import Store
from service.store.ledger import ERASED
from service.store.tables import export_ledger

PROFILE = "_profiles/kohya"


@dataclass
class Exported:
    """A library whose identities 1 and 2 were exported, the second with a file of somebody else; 2 was forgotten since."""

    library: Moderated
    root: Path
    crops: Path
    tree: ExportTree

    @property
    def references(self) -> ReferenceFolder:
        return ReferenceFolder(self.crops.with_name("references"))

    def erasing(self, *, has_tree: bool = True) -> Erasing:
        return Erasing(self.library.store, self.tree if has_tree else None, self.crops, self.references, lambda: NOON)

    def directories(self) -> set[str]:
        return {directory for directory, _ in self.tree.manifests()}

    def left(self) -> bool:
        return bool(self.library.store.read_now(erasures.open_erasures).decisions)

    def write(self, name: str, identity: int | None, *faces: tuple[str, list[float]], is_recorded: bool = True) -> None:
        entries = [{"file": None, "sha256": sha256, "box": box} for sha256, box in faces]
        manifest = {"schema": 1, "name": name.rpartition("/")[2], "faces": entries, "bundles": {}}
        manifest |= {} if identity is None else {"identity": identity}
        self.tree.write_directory(name, [("picture.txt", b"ours"), ("manifest.json", json_bytes(manifest))])
        if is_recorded:
            entry = {"identity": identity, "faces": 1}
            self.library.store.write_now(
                exports.record_export, name, digest="d", entry=entry, identity=identity, made_by="sync", now=NOON
            )


@pytest.fixture
def exported(store: Store, tmp_path: Path) -> Exported:
    library, root, crops = Moderated(store), tmp_path / "exports", tmp_path / "crops"
    root.mkdir()
    for person in (1, 2):
        library.add(person, count=5)
    library.group()
    her = library.number("p5") or 0
    one = Exported(library, root, crops, ExportTree(root))
    for number in (5, 6):
        path = crops / f"{number + 1:064x}"[:2]
        path.mkdir(parents=True, exist_ok=True)
        for suffix in ("jpg", "draft"):
            (path / f"{number + 1:064x}.{'c' * 64}.{suffix}").write_bytes(b"a crop")
    (crops / "00" / f"{1:064x}.{'c' * 64}.jpg").write_bytes(b"a crop of another person")
    one.write("faceset_001", 1 if her == 2 else 2)
    one.write("faceset_002", her)
    (root / "faceset_002" / "their.npz").write_bytes(b"a cache of another program")
    (root / "_kept" / "faceset_002").mkdir(parents=True)
    (root / "_kept" / "faceset_002" / "caption.txt").write_bytes(b"a caption")
    one.write(f"{PROFILE}/everybody", None)
    one.write(f"{PROFILE}/faceset_002", her, is_recorded=False)  # killed before its row
    one.write(f"{PROFILE}/faceset_001", 1, (f"{6:064x}", [100, 100, 300, 300]))  # a face of the person as a candidate
    entries = [{"name": f"faceset_{n:03d}", "identity": n, "label": f"name {n}"} for n in (1, 2)]
    for name in ("manifest.json", "users/anna/manifest.json"):
        one.tree.write_file(name, json_bytes({"schema": 1, "facesets": entries}))
    library.decide(ForgetPerson(identity=her, confirm=her))
    assert her == 2
    return one


async def test_her_directories_go_with_all_that_is_in_them_and_others_come_back_later(exported: Exported) -> None:
    assert await exported.erasing().finish("sync") == ""
    assert exported.directories() == {"faceset_001"}
    assert not (exported.root / "_kept" / "faceset_002").exists()
    for name in ("manifest.json", "users/anna/manifest.json"):
        body = exported.tree.read_file(name) or b""
        assert b"name 1" in body
        assert b"name 2" not in body
    assert [path.read_bytes() for path in exported.crops.glob("*/*")] == [b"a crop of another person"]
    assert not exported.left()
    exported.write(f"{PROFILE}/everybody", None)
    assert await exported.erasing().finish("sync") == ""
    assert f"{PROFILE}/everybody" in exported.directories(), "it was written without her, and stays"


async def test_the_crops_of_a_picture_that_a_sync_reads_stay_until_the_next_one(exported: Exported) -> None:
    turns = PictureTurns()
    erasing = Erasing(exported.library.store, exported.tree, exported.crops, exported.references, lambda: NOON, turns)
    async with turns.of(f"{6:064x}"):
        assert "a sync reads 1 of the pictures now" in await erasing.finish("sync")
        assert [path.name[:64] for path in sorted(exported.crops.glob("*/*.jpg"))] == [f"{1:064x}", f"{6:064x}"]
        assert exported.left()
    assert await erasing.finish("sync") == ""
    assert [path.name[:64] for path in exported.crops.glob("*/*")] == [f"{1:064x}"]


def test_one_manifest_is_in_memory_at_a_time(exported: Exported) -> None:
    manifests = exported.tree.manifests()
    directory, _ = next(manifests)
    for other in exported.directories() - {directory}:
        exported.tree.remove_directory(other)
    assert list(manifests) == [], "the others are read when they are asked for"


async def test_what_was_kept_of_directories_that_she_had_before_goes_too(exported: Exported) -> None:
    store = exported.library.store
    number = exported.library.number("p0") or 0
    exported.write("ada_q", number)
    (exported.root / "ada_q" / "note.txt").write_bytes(b"a note of a user")
    exported.tree.remove_directory("ada_q")
    kept = exported.root / "_kept" / "ada_q"
    assert [path.name for path in kept.iterdir()] == ["note.txt"]
    store.write_now(exports.record_removal, "ada_q", made_by="sync", now=NOON)
    exported.library.decide(ForgetPerson(identity=number, confirm=number))
    assert await exported.erasing().finish("sync") == ""
    assert not kept.exists()
    assert store.read_now(named_values.read_directories_to_erase) == []


async def test_no_later_row_of_the_ledger_has_her_number_or_her_directory(exported: Exported) -> None:
    store = exported.library.store
    store.write_now(exports.record_removal, "faceset_002", made_by="sync", now=NOON)
    exported.write("faceset_002", 2)
    rows = store.read_now(lambda tx: list(tx.execute(select(export_ledger.c.directory, export_ledger.c.identity))))
    assert {row.directory for row in rows if row.identity is None} == {ERASED, f"{PROFILE}/everybody"}
    assert all(row.identity != 2 and row.directory != "faceset_002" for row in rows)


async def test_what_is_in_the_way_leaves_it_open_and_is_told(exported: Exported) -> None:
    assert "export folder could not be opened" in await exported.erasing(has_tree=False).finish("sync")
    assert exported.left()
    assert [path.read_bytes() for path in exported.crops.glob("*/*")] == [b"a crop of another person"]
    (exported.root / "faceset_002" / "manifest.json").write_bytes(b"{}")
    assert "was not written by this program" in await exported.erasing().finish("sync")
    assert exported.left()
    (exported.root / "faceset_002").rename(exported.root / "mine")
    assert await exported.erasing().finish("sync") == ""
    assert not exported.left()
