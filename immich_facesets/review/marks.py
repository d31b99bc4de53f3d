"""Marks of faces and their dates: sums of them tell sets of faces apart."""

import numpy as np
from numpy.typing import NDArray

from immich_facesets.grouping.face_table import FaceTable, Rows

ODD = np.uint64(0x9E3779B97F4A7C15)


def marks_of(table: FaceTable) -> NDArray[np.uint64]:
    """Return a number for each face and its date, (n,)."""
    with np.errstate(over="ignore"):
        mixed = table.face_ids.astype(np.uint64) * ODD
        mixed ^= table.taken.astype(np.float64).view(np.uint64) + (mixed >> np.uint64(29))
        return (mixed ^ (mixed >> np.uint64(32))) * ODD


def sum_of_marks(marks: NDArray[np.uint64], rows: Rows) -> int:
    """Return one number that identifies a set of faces, below 2**63, which a database can store."""
    return int(marks[rows].sum(dtype=np.uint64)) % 2**63
