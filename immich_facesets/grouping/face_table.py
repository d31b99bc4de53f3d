"""The table of all faces of one space, and the people whom sources name in it."""

from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from immich_facesets.assets import PersonKey
from immich_facesets.clustering.linkage import content_order
from immich_facesets.faces import Gate

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class FaceTable:
    """
    All faces of one space, as columns of equal length n, each face once, in any order.

    ``vectors``: (n, d), unit length. ``pictures``: arbitrary codes, equal for equal content. ``taken``: days since 1970
    (UTC). ``yaw``: degrees. ``quality``: in [0, 1], from a model of face quality. These three are NaN where unknown.
    ``light``: in [0, 1] (`Measures.light`).
    """

    face_ids: NDArray[np.int64]
    vectors: NDArray[np.float32] = field(repr=False)
    pictures: NDArray[np.int64]
    face_short: NDArray[np.float32]
    blur: NDArray[np.float32]
    det_score: NDArray[np.float32]
    light: NDArray[np.float32]
    taken: NDArray[np.float64]
    yaw: NDArray[np.float32]
    quality: NDArray[np.float32]

    def __post_init__(self) -> None:
        columns = tuple(getattr(self, field.name) for field in fields(self))
        if any(len(column) != len(self.face_ids) for column in columns):
            raise ValueError("the columns of a face table must be of equal length")

    def __len__(self) -> int:
        return len(self.face_ids)

    @property
    def picture_count(self) -> int:
        """Return how many different pictures have a face."""
        return len(np.unique(self.pictures))

    def admitted(self, gate: Gate) -> NDArray[np.bool_]:
        """Return which faces pass the gate, (n,)."""
        is_large = self.face_short >= np.float32(gate.face_short)
        is_sharp = self.blur >= np.float32(gate.blur)
        is_lit = self.light >= np.float32(gate.light)
        return is_large & is_sharp & is_lit & (self.det_score >= np.float32(gate.det_score))

    def is_among(self, face_ids: Collection[int]) -> NDArray[np.bool_]:
        """Return which faces have one of ``face_ids``, (n,)."""
        return np.isin(self.face_ids, np.fromiter(face_ids, dtype=np.int64, count=len(face_ids)))

    def in_order_of_content(self) -> Self:
        """
        Return the same faces in an order that does not depend on face ids.

        Only faces that are equal in every column keep their order. Results computed from rows in this order are bit for
        bit the same, whatever ids the store assigned.
        """
        if len(self) == 0:
            return self
        quality = np.column_stack(
            [self.face_short, self.blur, self.det_score, self.light, self.taken, self.yaw, self.quality]
        )
        order = content_order(np.hstack([self.vectors, quality]).astype(np.float32, copy=False))
        return self.rows(order)

    def rows(self, rows: Rows) -> Self:
        """Return a table of the given rows, in the given order."""
        return type(self)(
            **{field.name: np.ascontiguousarray(getattr(self, field.name)[rows]) for field in fields(self)}
        )


@dataclass(frozen=True, slots=True)
class Assertion:
    """
    A person named by a source, and the faces that the source assigns to this person.

    ``born``: the birthday in days since 1970, where the source knows it. ``given``: those of the faces that the owner
    moved to the person by hand. ``taken``: faces that the owner moved away from the person, or deleted there.
    """

    source: str
    person_id: str
    label: str = field(repr=False)
    face_ids: tuple[int, ...]
    born: float | None = None
    given: tuple[int, ...] = ()
    taken: tuple[int, ...] = ()

    @property
    def person(self) -> PersonKey:
        return (self.source, self.person_id)
