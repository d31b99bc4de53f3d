"""The export folder: complete face sets, foreign files untouched, and clear error messages."""

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from export_child import NAME, files, manifest
from faceset_builders import RULES, faceset

from immich_facesets.errors import SetupError
from immich_facesets.exports.fsz import faceset_files
from immich_facesets.exports.manifests import faceset_manifest, user_manifest
from immich_facesets.exports.profile import Content
from immich_facesets.facesets.faceset import Faceset, digest, plan_publish
from service.files.directory_swap import PREFIX
from service.files.export_tree import ExportTree

ROOT = Path(__file__).resolve().parents[4]
OWN_MOUNTS = ("unshare", "--user", "--mount", "--map-root-user")
OURS = b'{"schema": 1, "facesets": []}'


@pytest.fixture
def tree(tmp_path: Path) -> ExportTree:
    return ExportTree(tmp_path)


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def publish(tree: ExportTree, *facesets: Faceset) -> tuple[int, int, int]:
    """Plan against the disk and carry the plan out; return how many were written, kept and removed."""
    manifests = {each.directory: (each, faceset_manifest(each, space="s", rules=RULES)) for each in facesets}
    plan = plan_publish([(name, digest(body)) for name, (_, body) in manifests.items()], tree.on_disk())
    for name in plan.remove:
        tree.remove_directory(name)
    for name in plan.write:
        built, body = manifests[name]
        tree.write_directory(name, faceset_files(built, manifest=body, top=30, picture=lambda _: b"png"))
    return len(plan.write), len(plan.keep), len(plan.remove)


def test_a_faceset_is_written_kept_rewritten_and_removed_as_the_plan_says(tree: ExportTree, tmp_path: Path) -> None:
    assert publish(tree, faceset(3), faceset(2, identity=2)) == (2, 0, 0)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert publish(tree, faceset(3), faceset(2, identity=2)) == (0, 2, 0)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert publish(tree, faceset(4)) == (1, 0, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["faceset_001"]
    assert len(list((tmp_path / "faceset_001" / "faces").iterdir())) == 4


def test_a_faceset_that_lost_a_file_is_written_again(tree: ExportTree, tmp_path: Path) -> None:
    for lost in ("faces/0002.png", "faceset_001_all.fsz", "manifest.json"):
        publish(tree, faceset(3))
        if lost == "manifest.json":
            continue
        (tmp_path / "faceset_001" / lost).unlink()
        assert publish(tree, faceset(3)) == (1, 0, 0)
        assert (tmp_path / "faceset_001" / lost).exists()


def test_a_copy_somebody_made_of_a_faceset_is_left_alone(tree: ExportTree, tmp_path: Path) -> None:
    publish(tree, faceset(1))
    (tmp_path / "faceset_001").rename(tmp_path / "my favourites")
    publish(tree)
    assert (tmp_path / "my favourites" / "manifest.json").exists()


def test_a_thin_folder_that_became_empty_goes_too(tree: ExportTree, tmp_path: Path) -> None:
    tree.write_directory(NAME, files("old"))
    assert tree.remove_directory(NAME) is True
    assert tree.remove_directory(NAME) is False
    assert list(tmp_path.iterdir()) == []


def test_a_users_manifest_is_untouched_when_equal_and_goes_with_the_user(tree: ExportTree, tmp_path: Path) -> None:
    path, body = tmp_path / "users/anna/manifest.json", user_manifest("anna", [faceset(1)])
    assert tree.write_file("users/anna/manifest.json", body) is True
    os.utime(path, ns=(1, 1))
    assert tree.write_file("users/anna/manifest.json", body) is False
    assert path.stat().st_mtime_ns == 1
    assert tree.read_file("users/anna/manifest.json") == body
    assert tree.write_file("users/anna/manifest.json", OURS) is True
    assert tree.remove_directory("users/anna") is True
    assert tree.read_file("users/anna/manifest.json") is None


def test_a_manifest_of_ours_is_removed_and_no_other_file(tree: ExportTree, tmp_path: Path) -> None:
    assert tree.remove_file("identities.json") is False
    tree.write_file("identities.json", b'{"schema": 1, "identities": []}')
    assert tree.remove_file("identities.json") is True
    assert not (tmp_path / "identities.json").exists()
    (tmp_path / "identities.json").write_bytes(b'{"identities": ["of another program"]}')
    assert tree.remove_file("identities.json") is False
    assert (tmp_path / "identities.json").exists()


def test_who_reads_a_manifest_while_it_is_rewritten_reads_the_old_one_to_the_end(
    tree: ExportTree, tmp_path: Path
) -> None:
    tree.write_file("manifest.json", OURS)
    with (tmp_path / "manifest.json").open("rb") as reader:
        tree.write_file("manifest.json", OURS + b"\n" * 99)
        assert reader.read() == OURS


def test_when_making_the_files_fails_the_old_faceset_stays(tree: ExportTree, tmp_path: Path) -> None:
    def failing() -> Iterator[tuple[str, Content]]:
        yield "faces/0.png", b"new"
        raise RuntimeError("no more crops")

    tree.write_directory(NAME, files("old"))
    before = everything(tmp_path)
    with pytest.raises(RuntimeError, match="no more crops"):
        tree.write_directory(NAME, failing())
    assert everything(tmp_path) == before
    assert not list(tmp_path.rglob(f"{PREFIX}*"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_disk_that_gives_up_halfway_is_the_owners_business_and_costs_nothing(tmp_path: Path, number: int) -> None:
    ExportTree(tmp_path).write_directory(NAME, files("old"))
    before = everything(tmp_path)

    def full(_one: Path, _other: Path) -> bool:
        raise OSError(number, os.strerror(number))

    with pytest.raises(SetupError, match="cannot write to"):
        ExportTree(tmp_path, swap=full).write_directory(NAME, files("new"))
    assert everything(tmp_path) == before


def test_a_second_rename_that_fails_leaves_the_faceset_in_place(tmp_path: Path) -> None:
    ExportTree(tmp_path).write_directory(NAME, files("old"))

    def stop(step: str) -> None:
        if step == "moved away":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ExportTree(tmp_path, step=stop, swap=lambda _one, _other: False).write_directory(NAME, files("new"))
    assert (tmp_path / NAME / "manifest.json").read_bytes() == manifest("new")
    assert not list(tmp_path.rglob(f"{PREFIX}*"))


def test_a_reader_never_finds_half_a_faceset_while_it_is_rewritten(tree: ExportTree, tmp_path: Path) -> None:
    tree.write_directory(NAME, files("old"))
    done, mixed, looks = threading.Event(), list[set[bytes]](), 0

    def read() -> None:
        nonlocal looks
        while not done.is_set():
            folder = os.open(tmp_path / NAME, os.O_RDONLY)
            try:
                bodies = {_read_at(folder, f"faces/{number}.png") for number in range(3)}
                looks += 1
            except FileNotFoundError:  # the reader has the old one open, which is deleted by now
                continue
            finally:
                os.close(folder)
            if len(bodies) != 1:
                mixed.append(bodies)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for turn in range(40):
            tree.write_directory(NAME, files("new" if turn % 2 else "old"))
    finally:
        done.set()
        reader.join()
    assert mixed == []
    assert looks > 0


def _read_at(folder: int, name: str) -> bytes:
    descriptor = os.open(name, os.O_RDONLY, dir_fd=folder)
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("action", ["write", "remove"])
@pytest.mark.parametrize("inside", ["holiday.jpg", "manifest.json"])
def test_a_folder_that_is_not_ours_is_refused_and_keeps_every_file(tmp_path: Path, action: str, inside: str) -> None:
    foreign = tmp_path / "faceset_001"
    foreign.mkdir()
    (foreign / inside).write_bytes(b'{"name": "faceset_001", "version": 3}')
    tree = ExportTree(tmp_path)
    acts: dict[str, Callable[[], object]] = {
        "write": lambda: tree.write_directory("faceset_001", [("manifest.json", OURS)]),
        "remove": lambda: tree.remove_directory("faceset_001"),
    }
    with pytest.raises(SetupError, match="not written by this program"):
        acts[action]()
    assert list(everything(tmp_path)) == [f"faceset_001/{inside}"]
    assert tree.on_disk() == {}


def test_a_foreign_manifest_is_not_overwritten(tree: ExportTree, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(b'{"short_name": "a web app"}')
    with pytest.raises(SetupError, match="not written by this program"):
        tree.write_file("manifest.json", OURS)
    assert (tmp_path / "manifest.json").read_bytes() == b'{"short_name": "a web app"}'


def test_an_empty_folder_in_the_way_is_no_error(tree: ExportTree, tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir(parents=True)
    tree.write_directory(NAME, files("new"))
    assert (tmp_path / NAME / "manifest.json").exists()


@pytest.mark.parametrize("way", ["_thin", NAME])
def test_a_link_in_the_export_folder_is_never_followed(tmp_path: Path, way: str) -> None:
    outside, root = tmp_path / "outside", tmp_path / "export"
    ExportTree(_made(outside)).write_directory(NAME, files("old"))
    before = everything(outside)
    link = _made(root) / way
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside / way)
    tree = ExportTree(root)
    tree.recover()
    for act in (lambda: tree.write_directory(NAME, files("new")), lambda: tree.remove_directory(NAME)):
        with pytest.raises(SetupError, match="is a link"):
            act()
    assert everything(outside) == before
    assert tree.on_disk() == {}


def test_links_inside_a_faceset_are_removed_and_not_what_they_point_to(tree: ExportTree, tmp_path: Path) -> None:
    tree.write_directory(NAME, files("old"))
    photos = _made(tmp_path / "photos")
    (photos / "1.jpg").write_bytes(b"photo")
    (tmp_path / NAME / "photos").symlink_to(photos)
    tree.write_directory(NAME, files("new"))
    tree.remove_directory(NAME)
    assert everything(tmp_path) == {"photos/1.jpg": b"photo"}


def test_a_partial_file_that_is_a_link_is_cleaned_up_without_following_it(tree: ExportTree, tmp_path: Path) -> None:
    photos = _made(tmp_path / "photos")
    (photos / "1.jpg").write_bytes(b"photo")
    (tmp_path / f"{PREFIX}draft-faceset_001").symlink_to(photos)
    tree.recover()
    assert everything(tmp_path) == {"photos/1.jpg": b"photo"}
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_the_export_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(_made(tmp_path / "disk"))
    tree = ExportTree(tmp_path / "link")
    tree.check()
    tree.write_directory(NAME, files("new"))
    assert (tmp_path / "disk" / NAME / "manifest.json").exists()


@pytest.mark.parametrize(
    "name", ["", "/etc", "..", "a/../../b", "a//b", "./a", "a\\b", "a\0b", "faceset_001/", f"{PREFIX}draft-x"]
)
def test_a_name_that_leads_outside_is_refused(tree: ExportTree, tmp_path: Path, name: str) -> None:
    for act in (
        lambda: tree.write_directory(name, []),
        lambda: tree.remove_directory(name),
        lambda: tree.write_file(name, OURS),
        lambda: tree.write_directory("faceset_001", [(name, b"")]),
    ):
        with pytest.raises(ValueError, match="stays inside"):
            act()
    assert everything(tmp_path) == {}


def test_a_file_in_the_place_of_a_folder_is_said_so(tree: ExportTree, tmp_path: Path) -> None:
    (tmp_path / "_thin").write_bytes(b"text")
    with pytest.raises(SetupError, match="is no folder"):
        tree.write_directory(NAME, files("new"))
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(SetupError, match="is no file"):
        tree.write_file("manifest.json", OURS)


def test_recovery_leaves_what_others_put_there(tree: ExportTree, tmp_path: Path) -> None:
    tree.write_directory(NAME, files("old"))
    (_made(tmp_path / "holidays") / ".draft-notes").write_bytes(b"mine")
    before = everything(tmp_path)
    tree.recover()
    assert everything(tmp_path) == before


def test_a_missing_export_folder_is_said_so_and_not_made_up(tmp_path: Path) -> None:
    tree = ExportTree(tmp_path / "gone")
    for act in (tree.check, lambda: tree.write_directory(NAME, files("new")), lambda: tree.write_file("m", OURS)):
        with pytest.raises(SetupError, match="does not exist: create or mount it"):
            act()
    assert tree.on_disk() == {}
    tree.recover()
    (tmp_path / "gone").write_bytes(b"")
    with pytest.raises(SetupError, match="is no folder"):
        tree.check()


def test_a_check_that_passes_leaves_nothing_behind(tree: ExportTree, tmp_path: Path) -> None:
    tree.check()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("mount", "advice"),
    [
        ("-o size=256k", "the disk is full"),
        ("-o size=8m,ro", "mounted read-only"),
        ("-o size=8m,mode=0555", "access is denied"),
    ],
)
def test_a_disk_that_cannot_be_written_says_what_to_do(tmp_path: Path, mount: str, advice: str) -> None:
    """Run on a real file system of its own, in a user namespace."""
    code = (
        "import sys, pathlib\n"
        "from service.files.export_tree import ExportTree\n"
        "from immich_facesets.errors import SetupError\n"
        "try:\n"
        "    ExportTree(pathlib.Path(sys.argv[1])).check()\n"
        "except SetupError as error:\n"
        "    print(error)\n"
    )
    nobody = "setpriv --bounding-set -all --inh-caps -all --securebits +noroot,+noroot_locked"
    child = f'{nobody if "0555" in mount else ""} "$1" -c "$2" "$0"'
    script = f'mount -t tmpfs {mount} tmpfs "$0" && {child}; ls -A "$0"'
    if shutil.which("unshare") is None or subprocess.run([*OWN_MOUNTS, "true"], check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk of their own")
    run = subprocess.run(
        [*OWN_MOUNTS, "sh", "-c", script, str(tmp_path), sys.executable, code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.stderr == ""
    (line,) = run.stdout.splitlines()
    assert advice in line


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_files_that_did_not_change_stay_the_very_files_they_were(tree: ExportTree, tmp_path: Path) -> None:
    """Existing durable files are neither written nor synced again, because a library has many small files."""
    same, other = b"same", [b"old", b"new"]
    seen = []
    for body in other:
        tree.write_directory(NAME, [("a/same.txt", same), ("a/other.txt", body), ("manifest.json", manifest("old"))])
        seen.append([(tmp_path / NAME / "a" / name).stat().st_ino for name in ("same.txt", "other.txt")])
        assert (tmp_path / NAME / "a/other.txt").read_bytes() == body
    assert seen[0][0] == seen[1][0]
    assert seen[0][1] != seen[1][1]


def test_a_file_that_became_a_link_is_written_as_a_file(tree: ExportTree, tmp_path: Path) -> None:
    tree.write_directory(NAME, files("old"))
    outside, path = tmp_path / "outside.png", tmp_path / NAME / "faces/0.png"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)
    tree.write_directory(NAME, files("old"))
    assert path.is_file()
    assert not path.is_symlink()
    assert path.stat().st_nlink == 1


@pytest.mark.parametrize(
    "place", ["_profiles/kohya", "_profiles/imagefolder/train", "_profiles/frigate/clips/faces", "_profiles/xmp"]
)
def test_forms_are_found_recovered_and_removed_with_the_folders_they_were_in(tmp_path: Path, place: str) -> None:
    tree, name = ExportTree(tmp_path), f"{place}/one"
    body = b'{"schema": 1, "name": "one", "faces": [{"file": null}, {"file": "a/1.png"}], "bundles": {}}'
    tree.write_directory(name, [("a/1.png", b"png"), ("manifest.json", body)])
    assert tree.on_disk() == {name: digest(body)}
    assert tree.digest_of(name) == digest(body)
    (tmp_path / place / f"{PREFIX}draft-one").mkdir()
    tree.recover()
    assert not list(tmp_path.rglob(f"{PREFIX}*"))
    (tmp_path / name / "a/1.png").unlink()
    assert tree.on_disk() == {name: ""}
    tree.remove_directory(name)
    assert list(tmp_path.iterdir()) == []


def test_artifacts_behind_a_link_are_foreign(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", _made(tmp_path / "root")
    body = b'{"schema": 1, "name": "one", "faces": [], "bundles": {}}'
    ExportTree(_made(outside)).write_directory("kohya/one", [("manifest.json", body)])
    (outside / "kohya" / f"{PREFIX}draft-one").mkdir()
    (root / "_profiles").symlink_to(outside)
    tree = ExportTree(root)
    tree.recover()
    assert tree.on_disk() == {}
    assert (outside / "kohya" / f"{PREFIX}draft-one").is_dir()
    with pytest.raises(SetupError, match="is a link"):
        tree.write_directory("_profiles/kohya/one", [("manifest.json", body)])
