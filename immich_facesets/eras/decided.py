"""Eras as decisions hold them: a person's changes count for more than what a sync finds."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from msgspec.structs import replace as replace_pin

from immich_facesets.eras.era import EditedEras, KeptEra
from immich_facesets.moderation.era_pins import EraPin, EraPlace, EraSpan


def places_of(eras: Iterable[KeptEra], basis: str) -> dict[int, EraPin]:
    """Return the era of each face, by id. ``basis``: by what the eras were found."""
    found: dict[int, EraPin] = {}
    for era in eras:
        span = _span_of(era, basis)
        found |= {face: EraPin(span, is_founder=False, confidence=sure) for face, sure in era.joined.items()}
        found |= dict.fromkeys(era.founders, EraPin(span, is_founder=True))
    return found


def follow_away(
    was: dict[int, EraPin], now: dict[int, EraPin], away: Mapping[int, EraPin], after: EditedEras, basis: str
) -> None:
    """
    Add the faces that are away from the identity to their places before and after a change: each goes with its era.

    ``away``: their places before it. ``after``: the eras then, and the names that moved. ``basis``: of these eras.
    """
    old = {pin.span.name: pin.span for pin in was.values()}
    new = {era.name: _span_of(era, basis) for era in after.eras}
    for face, pin in away.items():
        was[face] = replace_pin(pin, span=old.get(pin.span.name, pin.span))
        name = after.moved.get(pin.span.name, pin.span.name)
        if name in new:
            now[face] = replace_pin(pin, span=new[name])


def _span_of(era: KeptEra, basis: str) -> EraSpan:
    return EraSpan(era.name, basis, era.from_year, era.main_year, era.to_year, era.window)


def placed_faces(
    was: Mapping[int, EraPin], now: Mapping[int, EraPin], pinned: Collection[int]
) -> tuple[tuple[EraSpan, ...], dict[int, tuple[EraPlace | None, EraPlace | None]]]:
    """
    Return what a decision records of a change: the eras, and the places of faces before and after it, by id.

    It has all faces of the eras that the change touches, and those in other eras that no decision has pinned.
    """
    every = {face: (was.get(face), now.get(face)) for face in sorted(was.keys() | now.keys())}
    touched = {pin.span for pair in every.values() if pair[0] != pair[1] for pin in pair if pin is not None}
    places = {
        face: pair
        for face, pair in every.items()
        if face not in pinned or any(pin is not None and pin.span in touched for pin in pair)
    }
    order = {pin.span: None for pair in places.values() for pin in pair if pin is not None}
    index = {span: place for place, span in enumerate(order)}

    def place(pin: EraPin | None) -> EraPlace | None:
        return None if pin is None else EraPlace(index[pin.span], pin.is_founder, pin.confidence)

    return tuple(index), {face: (place(before), place(after)) for face, (before, after) in places.items()}


@dataclass(frozen=True, slots=True)
class DecidedEras:
    """
    The faces of one identity that decisions hold in an era, by id. Pins of another basis than ``basis`` give names alone.

    ``released``: faces that a decision held until now: they leave their era, and the next sync places them.
    """

    pins: Mapping[int, EraPin] = field(default_factory=dict)
    basis: str = ""
    released: frozenset[int] = frozenset()

    def over(self, kept: Sequence[KeptEra]) -> EditedEras:
        """
        Return the eras as decisions want them, by name. Again over the result, it is the same.

        A face that no decision holds follows those of its era that one holds, where these are all in one era. Where they
        are in several, it leaves: only its looks can tell. Eras that no decision is about stay as they are.
        """
        if not self.pins and not self.released:
            return EditedEras(tuple(kept))
        pins = {face: pin for face, pin in self.pins.items() if pin.span.basis == self.basis}
        loose, moved = [era for era in map(self._without_released, kept) if era is not None], dict[str, str]()
        eras: dict[str, KeptEra] = {}
        for era in loose:
            targets = {pins[face].span.name for face in era.face_ids if face in pins}
            rest = _without(era, pins.keys())
            if not targets:
                _add(eras, rest)
            elif len(targets) == 1:
                (name,) = targets
                moved |= {era.name: name} if name != era.name else {}
                _add(eras, replace(rest, name=name))
        own = {pin.span.name for pin in pins.values() if pin.is_own}  # a merge changes no years of an era that is there
        for era in _pinned(pins):
            _add(eras, era, is_decided=era.name in own)
        named = self._named([self._with_window(era) for era in eras.values()])
        moved = {old: named.moved.get(name, name) for old, name in {**named.moved, **moved}.items()}
        return EditedEras(tuple(sorted(named.eras, key=lambda era: era.name)), moved)

    def _without_released(self, era: KeptEra) -> KeptEra | None:
        left = _without(era, self.released)
        return left if left.face_ids or not era.face_ids else None

    def _with_window(self, era: KeptEra) -> KeptEra:
        """Return an era by age with the name of its ages, which the store does not have."""
        spans = (pin.span for pin in self.pins.values() if pin.span.name == era.name)
        windows = [span.window for span in spans if span.window is not None]
        return replace(era, window=windows[-1]) if windows and _is_by_age(self.basis) else era

    def _named(self, eras: Sequence[KeptEra]) -> EditedEras:
        """Return the eras; those by age that a sync made anew have the name that a person gave these ages last."""
        spans = [pin.span for pin in self.pins.values() if _is_by_age(pin.span.basis)]
        given = {span.window or span.name: span.name for span in spans}
        taken, moved, found = {era.name for era in eras}, dict[str, str](), list[KeptEra]()
        for era in eras:
            name = given.get(era.name)
            if _is_by_age(self.basis) and name is not None and name not in taken:
                found.append(replace(era, name=name, window=era.name))
                moved[era.name] = name
            else:
                found.append(era)
        return EditedEras(tuple(found), moved)


def _is_by_age(basis: str) -> bool:
    return basis.startswith("ages")


def _without(era: KeptEra, faces: Iterable[int]) -> KeptEra:
    gone = frozenset(faces)
    joined = {face: sure for face, sure in era.joined.items() if face not in gone}
    return replace(era, founders=era.founders - gone, joined=joined)


def _pinned(pins: Mapping[int, EraPin]) -> list[KeptEra]:
    """Return the eras of pinned faces; of several spans of one name the last counts."""
    spans = {pin.span.name: pin.span for pin in pins.values()}
    founders: dict[str, set[int]] = {name: set() for name in spans}
    joined: dict[str, dict[int, float | None]] = {name: {} for name in spans}
    for face, pin in sorted(pins.items()):
        if pin.is_founder:
            founders[pin.span.name].add(face)
        else:
            joined[pin.span.name][face] = pin.confidence
    return [
        KeptEra(
            name,
            span.from_year,
            span.main_year,
            span.to_year,
            frozenset(founders[name]),
            joined[name],
            window=span.window,
        )
        for name, span in spans.items()
    ]


def _add(eras: dict[str, KeptEra], era: KeptEra, *, is_decided: bool = False) -> None:
    """Add the faces of an era to that of its name; ``is_decided``: its years count."""
    known = eras.get(era.name)
    if known is None:
        eras[era.name] = era
        return
    founders = known.founders | era.founders
    joined = {face: sure for face, sure in {**known.joined, **era.joined}.items() if face not in founders}
    eras[era.name] = replace(era if is_decided else known, founders=founders, joined=joined)
