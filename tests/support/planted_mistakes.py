"""A grouped library with mistakes planted in it, and the questions that follow."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from mixtures import Library
from numpy.typing import NDArray

from immich_facesets.grouping.plan import FaceTable, GroupingReport, GroupingRules, Known
from immich_facesets.review.finding import find_items
from immich_facesets.review.items import Item
from immich_facesets.review.mixing import Parting, part_identities
from immich_facesets.review.settling import NOTHING_SETTLED, Settled
from immich_facesets.spaces import OperatingPoints

Who = NDArray[np.str_]


@dataclass
class Planted:
    """``who``: the person of each face, by row; ``library``: as grouped, with the planted mistakes; ``first``: the report of that."""

    library: Library
    who: Who
    first: GroupingReport
    moved: set[int] = field(default_factory=set)
    mixed: set[int] = field(default_factory=set)

    @classmethod
    def group(cls, table: FaceTable, who: Who, points: OperatingPoints, min_faces: int) -> "Planted":
        library = Library(table, rules=GroupingRules(min_faces=min_faces), points=points)
        first = library.group().report
        library.fresh = frozenset()  # from now on nothing is placed anew
        return cls(library, who, first)

    @property
    def rows(self) -> dict[int, int]:
        return {face: row for row, face in enumerate(self.library.table.face_ids.tolist())}

    def person_of(self, number: int) -> str:
        """The person whom most faces of an identity show."""
        rows = [self.rows[face] for face in self.library.faces_of(number)]
        names, counts = np.unique(self.who[rows], return_counts=True)
        return str(names[counts.argmax()])

    def people(self) -> dict[int, str]:
        return {number: self.person_of(number) for number in sorted(set(self.library.memberships.values()))}

    def split(self, faces: Collection[int]) -> int:
        """Make some faces of a person an identity of their own."""
        number = max(self.library.known) + 1
        self.library.known[number] = Known(number, "discovered", is_locked=False, people=frozenset())
        self.library.memberships |= dict.fromkeys(faces, number)
        return number

    def misplace(self, face: int, number: int) -> None:
        """Make a face a member of another person's identity."""
        self.library.memberships[face] = number
        self.moved.add(face)

    def items(self, never_exported: Sequence[int] = (), settled: Settled = NOTHING_SETTLED) -> tuple[Item, ...]:
        plan = self.library.plan()
        assert not plan.joins, "the planted mistakes stay"
        assert not plan.leaves, "the planted mistakes stay"
        library = self.library
        return find_items(
            plan.report,
            library.table,
            library.memberships,
            points=library.points,
            parted=self.parted(),
            never_exported=never_exported,
            settled=settled,
        )

    def parted(self, before: Mapping[int, Parting] = {}) -> dict[int, Parting]:
        """The proposals for identities that seem to hold several people."""
        library = self.library
        return part_identities(
            library.table,
            library.memberships,
            points=library.points,
            rules=library.rules,
            together=library.constraints.together,
            before=before,
        )

    def shuffled(self, order: NDArray[np.intp]) -> "Planted":
        """The same library with its faces in another order."""
        library = replace(self.library, table=self.library.table.rows(order))
        return Planted(library, self.who[order], self.first, self.moved)
