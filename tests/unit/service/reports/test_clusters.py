"""``clusters``: the raw clusters, written as folders for browsing."""

import json
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import people, table_of
from references import average_linkage_of_scikit_learn
from service_process import tree
from synced_library import SyncedLibrary

from service.reports.clusters import cluster_faces

pytestmark = pytest.mark.timeout(600)


def manifest(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def links(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path.readlink() for path in folder.rglob("*") if path.is_symlink()}


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.slow
async def test_clusters_are_shown_largest_first_with_the_files_that_we_hold(
    synced_library: SyncedLibrary, tmp_path: Path
) -> None:
    view = tmp_path / "view"
    before = tree(synced_library.data) | tree(synced_library.album)
    await synced_library.run("clusters", "--to", view)
    told = manifest(view)
    names = [cluster["name"] for cluster in told["clusters"]]
    count = len(names) - 2
    assert names == [f"person_{number:03d}" for number in range(1, count + 1)] + ["_singletons", "_noface"]
    sizes = [cluster["faces"] for cluster in told["clusters"][:-2]]
    assert sizes == sorted(sizes, reverse=True)
    assert min(sizes) >= 2
    people = Counter(one["identity"] for one in told["clusters"][0]["seen"])
    assert people.most_common(1)[0][1] >= sizes[0] - 1
    shown = {one["file"] for cluster in told["clusters"] for one in cluster["seen"]} - {None}
    assert links(view).keys() == shown
    targets = set(links(view).values())
    assert all(target.is_file() for target in targets)
    assert {target.parent for target in targets if target.is_relative_to(synced_library.album)} >= {
        synced_library.album
    }
    assert any(target.is_relative_to(synced_library.data / "crops") for target in targets)
    faceless = {name.rpartition("_")[2] for name in links(view) if name.startswith("_noface/")}
    assert faceless == {"meadow.jpg", "darker.jpg", "other.jpg"}
    assert stat.S_IMODE(view.stat().st_mode) == 0o700
    assert {
        name: body
        for name, body in (tree(synced_library.data) | tree(synced_library.album)).items()
        if "db" not in name
    } == {name: body for name, body in before.items() if "db" not in name}


async def test_a_view_is_replaced_whole_and_a_foreign_folder_never(
    synced_library: SyncedLibrary, tmp_path: Path
) -> None:
    view = tmp_path / "view"
    await synced_library.run("clusters", "--to", view, "--copies", "--cut", "0.01")
    alone = manifest(view)
    assert not links(view)
    assert alone["how"] == "copies"
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in (view, *view.rglob("*"))}
    assert modes == {(True, 0o700), (False, 0o600)}
    await synced_library.run("clusters", "--to", view)
    assert manifest(view)["cut"] != 0.01
    assert len(manifest(view)["clusters"][-2]["seen"]) < len(alone["clusters"][-2]["seen"])
    assert names_in(tmp_path) == ["view"]
    before = tree(view)
    (view / "notes.txt").write_text("mine")
    assert "notes.txt" in (await synced_library.run("clusters", "--to", view, code=3)).stderr
    (view / "notes.txt").unlink()
    assert tree(view) == before
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "a.jpg").write_bytes(b"mine")
    await synced_library.run("clusters", "--to", foreign, code=3)
    await synced_library.run("clusters", "--to", foreign / "a.jpg", code=3)
    assert list(tree(foreign)) == ["a.jpg"]


@pytest.mark.parametrize("place", ["album/view", "data/view", "data/exports/view", "."])
async def test_a_view_never_lies_where_pictures_are_looked_for(synced_library: SyncedLibrary, place: str) -> None:
    root = synced_library.album.parent
    assert (
        "a source or a folder of this program"
        in (await synced_library.run("clusters", "--to", root / place, code=3)).stderr
    )
    assert not (root / place / "manifest.json").exists()


async def test_links_and_copies_exclude_each_other(synced_library: SyncedLibrary, tmp_path: Path) -> None:
    await synced_library.run("clusters", "--to", tmp_path / "view", "--links", "--copies", code=3)
    assert not (tmp_path / "view").exists()


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 6), min_size=1, max_size=6), st.sampled_from([0.3, 0.55, 0.9]))
def test_clusters_are_those_of_average_linkage_whatever_the_order(seed: int, sizes: list[int], cut: float) -> None:
    rng = np.random.default_rng(seed)
    vectors, _ = people(rng, sizes, 0.9)
    found = cluster_faces(table_of(vectors), cut)
    if len(vectors) > 1:
        labels = average_linkage_of_scikit_learn(vectors, cut)
        expected = {frozenset((np.flatnonzero(labels == label) + 1).tolist()) for label in set(labels)}
        assert {frozenset(face for face, _ in cluster) for cluster in found} == expected
    assert [len(cluster) for cluster in found] == sorted(map(len, found), reverse=True)
    assert all(gaps == sorted(gaps) for gaps in ([gap for _, gap in cluster] for cluster in found))
    order = rng.permutation(len(vectors))
    again = cluster_faces(table_of(vectors[order], face_ids=order + 1), cut)
    assert [{face for face, _ in cluster} for cluster in again] == [{face for face, _ in cluster} for cluster in found]
