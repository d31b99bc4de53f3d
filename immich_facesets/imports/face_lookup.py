"""Find the faces that were sorted with another tool among our own."""

from collections.abc import Iterable, Mapping, Sequence

from immich_facesets.faces import SAME_FACE_IOU, Box
from immich_facesets.imports.sorted_faces import SortedFace

_LEAST_SHARED = 2
"""
The least number of path parts that must agree from the end when no more do: a folder and a file name. Libraries may be
moved.
"""


class Resolver:
    """
    Lookup of our faces by content, path and box.

    ``boxes``: our faces (id, box) of each content; ``places``: (path, content) of every picture of ours. A content hash
    is enough to identify a picture; paths count only without one.
    """

    def __init__(self, boxes: Mapping[str, Sequence[tuple[int, Box]]], places: Iterable[tuple[str, str]]) -> None:
        self._boxes = boxes
        self._exact: dict[str, set[str]] = {}
        self._ends: dict[tuple[str, ...], list[tuple[tuple[str, ...], str]]] = {}
        for path, sha256 in places:
            parts = _parts(path)
            self._exact.setdefault("/".join(parts), set()).add(sha256)
            if len(parts) >= _LEAST_SHARED:
                self._ends.setdefault(parts[:_LEAST_SHARED], []).append((parts, sha256))

    def content_of(self, face: SortedFace) -> str | None:
        """Return the SHA-256 of the face's picture; None where no picture of ours, or more than one, matches."""
        if face.sha256 is not None:
            return face.sha256
        found = {sha256 for place in face.places for sha256 in self._contents_at(place)}
        return found.pop() if len(found) == 1 else None

    def face_of(self, face: SortedFace) -> int | None:
        """Return our face at the location of this one; without a box the only face of its picture."""
        ours = self._boxes.get(self.content_of(face) or "", ())
        if face.box is None:
            return ours[0][0] if len(ours) == 1 else None
        overlap, number = max(((face.box.iou(box), -number) for number, box in ours), default=(0.0, 0))
        return -number if overlap >= SAME_FACE_IOU else None

    def _contents_at(self, place: str) -> set[str]:
        """Return the contents at this path, or otherwise those with the longest common path ending."""
        parts = _parts(place)
        if (exact := self._exact.get("/".join(parts))) is not None:
            return exact
        ends = [(_shared(parts, ours), sha256) for ours, sha256 in self._ends.get(parts[:_LEAST_SHARED], ())]
        longest = max((shared for shared, _ in ends), default=0)
        return {sha256 for shared, sha256 in ends if shared == longest}


def _parts(path: str) -> tuple[str, ...]:
    """Return the names in a path, the last first, for slashes and backslashes."""
    return tuple(part for part in reversed(path.replace("\\", "/").split("/")) if part not in {"", "."})


def _shared(one: Sequence[str], two: Sequence[str]) -> int:
    """Return how many names agree from the end of both paths."""
    count = 0
    for left, right in zip(one, two, strict=False):
        if left != right:
            break
        count += 1
    return count
