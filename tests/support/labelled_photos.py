"""The labelled photos of the test data as a face table, with the names of the people."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mixtures import table_of, unit
from numpy.typing import NDArray

from immich_facesets.faces import Box
from immich_facesets.grouping.face_table import FaceTable


@dataclass(frozen=True)
class LabelledPhotos:
    """
    ``table``: every face the reference finds; ``names``: of each, None where it has no label; ``is_single``: (n,).
    """

    table: FaceTable
    names: list[str | None]
    is_single: NDArray[np.bool_]


def labelled_photos(data: Path) -> LabelledPhotos:
    """Faces, vectors and labels as the reference implementation and the makers of the set give them."""
    found = np.load(data / "reference_bench_s.npz")
    paths, boxes = found["path"], found["bbox"]
    with (data / "labels.csv").open(newline="") as rows:
        single = {row["file"]: row["identity"] for row in csv.DictReader(rows) if row["kind"] == "single"}
    groups = json.loads((data / "groups.json").read_text())
    names: list[str | None] = [None] * len(paths)
    is_single = np.zeros(len(paths), dtype=np.bool_)
    # A single portrait is of its largest and most central face; only LFW's, of 250 x 250 pixels, show others beside.
    offset = np.stack([boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]]) / 2 - 125
    sides = np.stack([boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]])
    prominence = sides.prod(axis=0) - 2 * (offset**2).sum(axis=0)
    for path in np.unique(paths).tolist():
        here = np.flatnonzero(paths == path)
        if path in single:
            main = int(here[prominence[here].argmax()])
            names[main], is_single[main] = single[path], True
        marked = groups.get(path, {})
        for box, name in zip(marked.get("boxes") or (), marked.get("identities") or (), strict=False):
            overlap, row = max((Box(*boxes[row].tolist()).iou(Box(*box)), int(row)) for row in here)
            if overlap > 0.3:
                names[row] = name
    table = table_of(
        unit(found["embedding"]),
        pictures=np.unique(paths, return_inverse=True)[1].astype(np.int64),
        face_short=sides.min(axis=0).astype(np.float32),
        det_score=found["det_score"],
    )
    return LabelledPhotos(table, names, is_single)
