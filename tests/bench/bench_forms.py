"""
Cost of several forms of the same face sets: encoded once and linked, against each picture encoded for each directory.

    PYTHONPATH=.:tests:tests/support python tests/bench/bench_forms.py [face sets, 6] [faces of each, 60]

Both sides write the same directories into folders of their own, in turns: the face sets, and four forms of each with
all faces. The way before has one core and no shelf that directories share; for its bytes a second bundle is added where
both bundles are one now. Bytes are those of the disk, so that a file with several names counts once.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.bench_export import Export, face_sets, kept_crops
from faceset_builders import RULES

from immich_facesets.exports.artifacts import ExportArtifact, form_of_faceset
from immich_facesets.exports.profile import FacesetProfile
from immich_facesets.exports.requests import read_export_requests
from immich_facesets.facesets.faceset import Faceset
from service.files.export_tree import ExportTree
from service.files.picture_shelf import PictureShelf

FORMS = "facefusion:0,kohya:0,imagefolder,plain"


def directories(export: Export, faceset: Faceset) -> list[ExportArtifact]:
    """The face set itself and its forms."""
    found = [export.artifact(faceset)]
    for request in read_export_requests(FORMS):
        assert isinstance(request.profile, FacesetProfile)
        made = form_of_faceset(
            request.profile,
            faceset,
            count=request.faces,
            pixels=request.pixels,
            space="space",
            rules=RULES,
            draw=export.drawing.picture,
            title="Anna",
        )
        assert made is not None
        found.append(made)
    return found


def seconds(tree: ExportTree, artifacts: list[ExportArtifact], shelf: Callable[[], PictureShelf]) -> float:
    """The time of writing the directories, each with the shelf that the function returns."""
    begin = time.perf_counter()
    for artifact in artifacts:
        tree.write_directory(artifact.path, artifact.files(), shelf())
    return time.perf_counter() - begin


def on_disk(root: Path) -> int:
    """The bytes of all files, those with several names once."""
    files = {(status.st_dev, status.st_ino): status.st_size for path in root.rglob("*") if (status := path.stat())}
    return sum(files.values())


def second_bundles(root: Path) -> int:
    """The bytes of the small bundles that are not written any more, as the whole one holds the same."""
    whole = [path for path in root.glob("faceset_*/*_all.fsz") if not list(path.parent.glob("*_top*.fsz"))]
    return sum(path.stat().st_size for path in whole)


def main(count: int = 6, faces: int = 60) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        export = Export(root, kept_crops(root / "data" / "crops", faces + faces // 5))
        old_root = root / "before"
        old_root.mkdir()
        old, new = ExportTree(old_root), export.tree
        shelf = new.shelf()
        seconds(old, directories(export, face_sets(1, faces)[0]), lambda: PictureShelf(may_link=False, cores=1))
        ours, theirs = [], []
        for faceset in face_sets(count, faces):
            made = directories(export, faceset)
            theirs.append(seconds(old, made, lambda: PictureShelf(may_link=False, cores=1)))
            ours.append(seconds(new, made, lambda: shelf))
        bytes_before = on_disk(old_root) + second_bundles(old_root)
        bytes_now = on_disk(root / "exports")
    times = statistics.median(their / our for our, their in zip(ours, theirs, strict=True))
    print(f"{count} face sets of {faces} faces, and {FORMS} of each")
    print(f"  before: {statistics.median(theirs):.1f} s each, {bytes_before / 2**20:.0f} MiB in all")
    print(f"  now:    {statistics.median(ours):.1f} s each, {bytes_now / 2**20:.0f} MiB in all")
    print(
        f"  {times:.1f} times as fast, {bytes_before / bytes_now:.1f} times smaller; {shelf.encoded} pictures encoded"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
