"""Clusterings of rows, kept while one plan is made: faces that are released are clustered again unchanged."""

from collections import OrderedDict

from immich_facesets.clustering.blocked_products import Vectors
from immich_facesets.clustering.linkage import average_linkage, split_by
from immich_facesets.grouping.face_table import Rows

_KEPT = 8


class Clusterings:
    """The latest clusterings of rows of ``vectors``, (n, d)."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors
        self._found: OrderedDict[tuple[float, bytes], list[Rows]] = OrderedDict()

    def of(self, rows: Rows, cut: float) -> list[Rows]:
        """Return the clusters of ``rows`` by average linkage, cut at a distance."""
        key = (cut, rows.tobytes())
        if key not in self._found:
            self._found[key] = [rows[part] for part in split_by(average_linkage(self._vectors[rows], cut))]
        self._found.move_to_end(key)
        while len(self._found) > _KEPT:
            self._found.popitem(last=False)
        return self._found[key]
