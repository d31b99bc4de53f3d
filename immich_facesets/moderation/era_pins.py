"""
Places of faces in the eras of an identity, as decisions set them.

A decision pins: it records in which era each face was and is. A replay of the changes would need the vectors, and would
depend on the model, the settings, and the order in which pictures came. Pins need none of these, so an undo is exact, and
the eras are the same after a new import. Each face is pinned for itself: a later decision about other eras leaves it
alone, and the two can be undone in any order.
"""

from collections import Counter
from collections.abc import Iterator, MutableMapping, Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:  # the kinds of decisions are made of the values of this module
    from immich_facesets.moderation.decisions import EraFace, Eras, FaceRef


class EraSpan(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    An era without its faces.

    ``basis``: by what it was found, as in the store: years, or which ages since which birthday. ``window``: its name by
    age, where a person gave it another one.
    """

    name: str
    basis: str
    from_year: int | None = None
    main_year: int | None = None
    to_year: int | None = None
    window: str | None = None


class EraPlace(msgspec.Struct, frozen=True, array_like=True):
    """
    The place of a face in an era: which of the decision's spans, whether the era was made of it, and how sure its looks are.

    ``confidence`` is in [0, 1], and None of a dated face.
    """

    era: int
    is_founder: bool = False
    confidence: float | None = None


class EraPin(msgspec.Struct, frozen=True):
    """
    An era in which decisions hold a face, and how it is there.

    ``is_own``: the span was decided of this very identity alone, and not of one that was merged with it.
    """

    span: EraSpan
    is_founder: bool = False
    confidence: float | None = None
    is_own: bool = True


EraPins = MutableMapping["FaceRef", EraPin]
"""The faces of one identity that decisions hold in an era; the latest decision's come last."""


def enter(pins: EraPins, decision: "Eras", shared: frozenset[int] = frozenset()) -> None:
    """
    Pin the faces that a decision moves where it puts them.

    Faces that it leaves where they were are pinned, too, where no earlier decision did so. ``shared``: the spans that are
    not of this person alone.
    """
    fellows = _fellows(pins, decision, [one for one in decision.placed if one.was == one.now])
    for one in decision.placed:
        if one.was == one.now:
            _pin_with_fellows(pins, fellows, decision, one.face, one.now, shared)
            continue
        pins.pop(one.face, None)
        if one.now is not None:
            pins[one.face] = _pin(decision.spans[one.now.era], one.now, shared)


def take_back(pins: EraPins, decision: "Eras", shared: frozenset[int] = frozenset()) -> None:
    """Pin the faces of an undone decision where they were before it, but for those that an earlier one pins."""
    fellows = _fellows(pins, decision, decision.placed)
    for one in decision.placed:
        _pin_with_fellows(pins, fellows, decision, one.face, one.was, shared)


def groups_of(decision: "Eras", *, is_undone: bool) -> Iterator[tuple[EraSpan, Sequence["FaceRef"]]]:
    """Yield the eras that a decision makes, or gives back, each with the faces that it moves or that were in it."""
    places = [(one.face, one.was if is_undone else one.now, one.was != one.now) for one in decision.placed]
    changed = {place.era for _, place, is_moved in places if place is not None and is_moved}
    for era in sorted(changed):
        yield decision.spans[era], [face for face, place, _ in places if place is not None and place.era == era]


def _fellows(pins: EraPins, decision: "Eras", kept: Sequence["EraFace"]) -> dict[int, EraSpan]:
    """
    Return for each era of before where most of its pinned faces are now; none where each of ``kept`` is pinned.

    An earlier decision may be undone, or done again, after this one: faces that joined an era meanwhile stay with it.
    """
    if all(one.face in pins for one in kept):
        return {}
    found: dict[int, Counter[EraSpan]] = {}
    for one in decision.placed:
        if one.was is not None and one.face in pins:
            found.setdefault(one.was.era, Counter())[pins[one.face].span] += 1
    return {era: counts.most_common(1)[0][0] for era, counts in found.items()}


def _pin_with_fellows(
    pins: EraPins,
    fellows: dict[int, EraSpan],
    decision: "Eras",
    face: "FaceRef",
    place: EraPlace | None,
    shared: frozenset[int],
) -> None:
    if place is not None and face not in pins:
        pins[face] = _pin(fellows.get(place.era, decision.spans[place.era]), place, shared)


def _pin(span: EraSpan, place: EraPlace, shared: frozenset[int]) -> EraPin:
    return EraPin(span, place.is_founder, place.confidence, is_own=place.era not in shared)
