"""Faces that their owner moved from one person of a source to another, or deleted, by two readings of one picture."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from immich_facesets.assets import FaceHint
from immich_facesets.faces import SAME_FACE_IOU, Box


@dataclass(frozen=True, slots=True)
class Move:
    """
    One face that is no longer of the person ``taken_from``.

    ``given_to``: the person it has now; None where the face is deleted. ``box``: its place before, in shares of the
    upright picture's width and height.
    """

    box: Box
    taken_from: str
    given_to: str | None


def moves(before: Sequence[FaceHint], after: Sequence[FaceHint]) -> list[Move]:
    """
    Return what the owner changed between two readings of all faces of a picture.

    A face without a person now is no move: a new detection loses the person, and finds it again later. Faces that vanish
    together are none either: an owner deletes them one by one, and a new detection may miss several.
    """
    found, deleted = [], []
    by_id = {hint.face_id: hint for hint in after}
    for hint in before:
        box = relative_box(hint)
        if hint.person_id is None or box is None:
            continue
        now = by_id.get(hint.face_id) or _at(box, after)
        if now is None:
            deleted.append(Move(box, hint.person_id, None))
        elif now.person_id not in (None, hint.person_id):
            found.append(Move(box, hint.person_id, now.person_id))
    return found + (deleted if len(deleted) == 1 else [])


def is_returned(move: Move, after: Iterable[FaceHint]) -> bool:
    """Return whether the face is of the earlier person again."""
    return _at(move.box, [hint for hint in after if hint.person_id == move.taken_from]) is not None


def relative_box(hint: FaceHint) -> Box | None:
    """Return the box in shares of the picture's width and height; None where its size is unknown."""
    if hint.image_width <= 0 or hint.image_height <= 0:
        return None
    return hint.box.scaled(1 / hint.image_width, 1 / hint.image_height)


def _at(box: Box, hints: Iterable[FaceHint]) -> FaceHint | None:
    """Return the hint with the best overlap of ``box``, if it is the same face."""
    best, overlap = None, SAME_FACE_IOU
    for hint in hints:
        other = relative_box(hint)
        if other is not None and box.iou(other) >= overlap:
            best, overlap = hint, box.iou(other)
    return best
