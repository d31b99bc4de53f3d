"""Eras of one identity as the API shows and changes them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

import msgspec

from immich_facesets.eras import EraChange
from immich_facesets.moderation.records import Author, Text
from service.web.library.identities import Crop


class EraGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Faces that look alike at a distance: how many, and the first, the most frequent and the last year of dated ones."""

    faces: int
    from_year: int | None
    main_year: int | None
    to_year: int | None


class EraGroups(msgspec.Struct, frozen=True, kw_only=True):
    """The groups at one distance, the largest first."""

    distance: float
    groups: tuple[EraGroup, ...]


class EraProbe(msgspec.Struct, frozen=True, kw_only=True):
    """
    Whether an identity can be sorted by age, and why.

    ``within`` and ``between``: pairs of faces of one group and of two groups, in bins of ``bin_width`` of the cosine
    distance, from 0 on. ``cut``: the distance at which these groups were made. ``cuts``: the groups at several distances.
    """

    faces: int
    dated: int
    is_sortable: bool
    reason: str
    bin_width: float
    cut: float
    within: tuple[int, ...]
    between: tuple[int, ...]
    cuts: tuple[EraGroups, ...]


class PlannedEra(msgspec.Struct, frozen=True, kw_only=True):
    """
    An era before or after a change. ``placed``: faces without a date of their own.

    ``from_eras``: how many of its faces are in which era now; "" those in none.
    """

    name: str
    from_year: int | None
    main_year: int | None
    to_year: int | None
    faces: int
    placed: int
    from_eras: dict[str, int]
    examples: tuple[Crop, ...]


class EraPlanAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    The effect of a change. ``version``: that of the eras before it. ``reason``: why the faces can be sorted, or why not.

    ``moved``: how many faces are in another era afterwards, or in none. ``is_done``: nothing would change. ``decision``:
    that which was made, if one was.
    """

    version: str
    reason: str
    before: tuple[PlannedEra, ...]
    after: tuple[PlannedEra, ...]
    moved: int
    is_done: bool
    decision: int | None = None


class EraQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A change of eras. With ``version``, nothing is done where the eras are not as the caller saw them.

    ``reason``: free text that is kept with the decision.
    """

    change: EraChange
    version: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class EraCalls:
    """
    The calls that look at the eras of an identity closely, and change them.

    ``plan`` changes nothing. ``make`` raises a ``RequestError`` (412) for another version than the one that was seen.
    """

    probe: Callable[[int], Awaitable[EraProbe]]
    plan: Callable[[int, EraChange], Awaitable[EraPlanAnswer]]
    make: Callable[[int, EraQuestion, Author], Awaitable[EraPlanAnswer]]
