"""Kills at any step of an export write: readers find the old or the new files, and the next start cleans up."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from export_child import DIED, NAME, files, manifest

from service.files.directory_swap import PREFIX
from service.files.export_tree import ExportTree

pytestmark = pytest.mark.kill
ROOT = Path(__file__).resolve().parents[4]
MOST_STEPS = 20


class Children:
    """Starts a process for each write."""

    def __init__(self, server: "subprocess.Popen[str]") -> None:
        assert server.stdin is not None
        assert server.stdout is not None
        self._ask, self._answers = server.stdin, server.stdout

    def died(self, root: Path, action: str, way: str, step: int) -> bool:
        """Run one write that is killed at ``step``; return False when it ended before."""
        self._ask.write(json.dumps([str(root), action, way, step]) + "\n")
        self._ask.flush()
        code = int(self._answers.readline())
        assert code in {0, DIED}
        return code == DIED


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support")))
    with subprocess.Popen(
        [sys.executable, str(ROOT / "tests/support/export_child.py")],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        yield Children(server)


def seen(root: Path) -> str | None:
    """Return the version that a reader finds, None for no face set; fail on a mix or a part."""
    folder = root / NAME
    if not folder.exists():
        return None
    version = "new" if (folder / "manifest.json").read_bytes() == manifest("new") else "old"
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    body = version.encode()
    pictures = {f"faces/{number}.png": body for number in range(3)}
    digests = "".join(f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name in pictures).encode()
    rest = {"all.fsz": body * 3, "manifest.json": manifest(version), "SHA256SUMS": digests}
    assert found == {**pictures, **rest}
    return version


def leftovers(root: Path) -> list[str]:
    return [path.name for path in root.rglob("*") if path.name.startswith(PREFIX)]


def recovered(root: Path) -> str | None:
    tree = ExportTree(root)
    tree.recover()
    assert leftovers(root) == []
    version = seen(root)
    assert list(tree.on_disk()) == ([NAME] if version else [])
    assert "" not in tree.on_disk().values()
    tree.write_directory(NAME, files("old"))  # the next write succeeds
    assert (seen(root), leftovers(root)) == ("old", [])
    return version


@pytest.mark.parametrize(("way", "between"), [("swap", {"old", "new"}), ("moves", {"old", "new", None})])
def test_a_rewrite_killed_at_any_step_shows_the_old_or_the_new(
    children: Children, tmp_path: Path, way: str, between: set[str | None]
) -> None:
    ExportTree(tmp_path).write_directory(NAME, files("old"))
    views, outcomes = set(), []
    for step in range(MOST_STEPS):
        if not children.died(tmp_path, "write", way, step):
            break
        views.add(seen(tmp_path))
        outcomes.append(recovered(tmp_path))
    assert views == between
    assert len(outcomes) >= 10
    switch = outcomes.index("new")  # the old one up to one step, the new one from there on, always one of both
    assert set(outcomes[:switch]) == {"old"}
    assert set(outcomes[switch:]) == {"new"}
    assert seen(tmp_path) == "new"


def test_a_first_write_killed_at_any_step_shows_nothing_or_all(children: Children, tmp_path: Path) -> None:
    views = []
    for step in range(MOST_STEPS):
        root = tmp_path / str(step)
        root.mkdir()
        if not children.died(root, "write", "swap", step):
            break
        views.append(seen(root))
        recovered(root)
    assert len(views) >= 10
    assert set(views) == {None, "new"}


def test_a_removal_killed_at_any_step_is_not_undone(children: Children, tmp_path: Path) -> None:
    for step in range(MOST_STEPS):
        ExportTree(tmp_path).write_directory(NAME, files("old"))
        if not children.died(tmp_path, "remove", "swap", step):
            break
        assert seen(tmp_path) is None
        assert recovered(tmp_path) is None
    assert step >= 3


def test_a_manifest_killed_at_any_step_is_the_old_or_the_new(children: Children, tmp_path: Path) -> None:
    path, old = tmp_path / "manifest.json", b'{"schema": 1, "facesets": []}'
    views = set()
    for step in range(MOST_STEPS):
        ExportTree(tmp_path).write_file("manifest.json", old)
        if not children.died(tmp_path, "file", "swap", step):
            break
        views.add(path.read_bytes())
        ExportTree(tmp_path).recover()
        assert leftovers(tmp_path) == []
    assert views == {old, b'{"schema": 1, "facesets": ["new"]}'}
