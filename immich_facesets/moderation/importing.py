"""Decisions of another installation: which of its numbers are which identities here."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from immich_facesets.moderation.decisions import (
    NUMBER_FIELDS,
    Decision,
    FaceRef,
    Forget,
    Later,
    Merge,
    Part,
    Split,
    numbers_in,
)
from immich_facesets.moderation.records import Line, Record


def shared_numbers(lines: Iterable[Line], records: Mapping[str, Record]) -> dict[int, int]:
    """Return the number here of each identity that a line mentions that was imported before; ``records``: by uid."""
    found: dict[int, int] = {}
    for line in lines:
        if (ours := records.get(line.uid)) is None:
            continue
        pairs: list[tuple[int | None, int | None]] = []
        for there, here in ((line.members, ours.members), (_parts(line.decision), _parts(ours.decision))):
            pairs += [(one.number, other.number) for one, other in _same_parts(there, here)]
        pairs += [(getattr(line.decision, name, None), getattr(ours.decision, name, None)) for name in NUMBER_FIELDS]
        found |= {one: other for one, other in pairs if one is not None and other is not None}
    return found


def _same_parts(there: Sequence[Part], here: Sequence[Part]) -> Iterator[tuple[Part, Part]]:
    """
    Yield the pairs of one identity: those that have a face in common, or the same place where one has no faces.

    Places count only where no part is missing: forgetting a person takes theirs out.
    """
    is_whole = len(there) == len(here)
    for place, one in enumerate(there):
        for index, other in enumerate(here):
            is_same_place = is_whole and place == index and not (one.faces and other.faces)
            if is_same_place or not set(one.faces).isdisjoint(other.faces):
                yield one, other


def _parts(decision: Decision) -> tuple[Part, ...]:
    return decision.parts if isinstance(decision, Merge) else ()


def translation(
    lines: Sequence[Line],
    owner_of: Mapping[FaceRef, int],
    used: Iterable[int],
    next_number: int,
    shared: Mapping[int, int] = {},
) -> dict[int, int]:
    """
    Return the number here of each identity that the lines mention.

    It is the identity that has most of the faces that the lines record of it. An identity of which nothing is known here
    keeps its number where that is free, and gets a new one otherwise. Two identities never become one by this.

    ``owner_of``: the identity here of each recorded face. ``used``: all numbers of identities here. ``shared``: numbers
    that are known from lines imported before.
    """
    here, found = set(used), dict(shared)
    faces = recorded_faces(lines)
    for number in dict.fromkeys(number for line in lines for number in _in_order(line)):
        if number in found:
            continue
        counts = Counter(owner_of[ref] for ref in faces.get(number, ()) if ref in owner_of)
        best = counts.most_common(1)
        if best and 2 * best[0][1] > counts.total() and best[0][0] not in found.values():
            found[number] = best[0][0]
        elif number not in here and number not in found.values():
            found[number] = number
        else:
            next_number = max([next_number, *(one + 1 for one in found.values())])
            found[number] = next_number
    return found


def _in_order(line: Line) -> list[int]:
    """Return the numbers that a line mentions; one that it creates comes last."""
    new = {line.decision.number} if isinstance(line.decision, Split) else set[int]()
    return sorted(numbers_in(line.decision) | {part.number for part in line.members}, key=lambda one: (one in new, one))


def recorded_faces(lines: Sequence[Line]) -> dict[int, list[FaceRef]]:
    """Return the faces that the lines record of each identity, as it was first mentioned; those it was created from do not count."""
    found: dict[int, list[FaceRef]] = {}
    for line in lines:
        new = line.decision.number if isinstance(line.decision, Split) else None
        for part in (*line.members, *_parts(line.decision)):
            found.setdefault(part.number, list(part.faces))
        if new is not None:
            found.setdefault(new, [])
    return found


def renumbered(decision: Decision, numbers: Mapping[int, int]) -> Decision:
    """Return a decision with other numbers."""
    changes: dict[str, object] = {
        name: numbers[number] for name in NUMBER_FIELDS if (number := getattr(decision, name, None)) is not None
    }
    if isinstance(decision, Merge):
        changes["parts"] = renumbered_parts(decision.parts, numbers)
    if isinstance(decision, Later) and decision.seen is not None:
        known = tuple(numbers.get(number, number) for number in decision.seen.identities)
        changes["seen"] = msgspec.structs.replace(decision.seen, identities=known)
    if isinstance(decision, Forget):
        changes["merged"] = tuple(numbers[number] for number in decision.merged)
    return msgspec.structs.replace(decision, **changes)


def renumbered_parts(parts: Iterable[Part], numbers: Mapping[int, int]) -> tuple[Part, ...]:
    """Return parts with other numbers."""
    return tuple(msgspec.structs.replace(part, number=numbers[part.number]) for part in parts)
