"""Eras as decisions hold them: undone and done again in any order, and the same after a new import."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import pytest
from decision_builders import face
from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.eras import DecidedEras, KeptEra, placed_faces, places_of
from immich_facesets.moderation.constraints import constraints
from immich_facesets.moderation.decisions import Decision, EraFace, Eras, Undo, faces_in_eras
from immich_facesets.moderation.era_pins import EraPin, EraSpan

CHILD = KeptEra("1995", 1994, 1995, 1996, frozenset({1, 2}), {3: None})
YOUNG = KeptEra("2003", 2003, 2003, 2004, frozenset({4, 5}), {6: 0.93})
OLD = KeptEra("2015", 2015, 2015, 2015, frozenset({7}), {8: None})
LIFE = (CHILD, YOUNG, OLD)


@dataclass
class Person:
    """The eras of one person, with decisions about them as the store makes and follows them."""

    eras: tuple[KeptEra, ...] = LIFE
    basis: str = "years"
    made: dict[int, Decision] = field(default_factory=dict)

    def pins(self) -> dict[int, EraPin]:
        decided = constraints(self.made.items(), lambda _: None)
        ids = {face(number): number for number in range(1, 100)}
        return {ids[ref]: pin for ref, pin in decided.eras_of(1).items()}

    def change(self, after: Iterable[KeptEra]) -> int:
        """Record a change to these eras, and return the number of its decision."""
        after = tuple(sorted(after, key=lambda era: era.name))
        was, now = places_of(self.eras, self.basis), places_of(after, self.basis)
        spans, placed = placed_faces(was, now, self.pins())
        return self.decide(
            Eras(1, "rename", spans, tuple(EraFace(face(one), *two) for one, two in placed.items())), after
        )

    def decide(self, decision: Decision, after: tuple[KeptEra, ...] | None = None) -> int:
        held = self.pins().keys()
        number = len(self.made) + 1
        self.made[number] = decision
        pins = self.pins()
        if after is None:
            after = DecidedEras(pins, self.basis, frozenset(held - pins.keys())).over(self.eras).eras
        self.eras = after
        assert self.over(self.eras) == self.eras, "no sync changes what was decided"
        return number

    def over(self, eras: Sequence[KeptEra]) -> tuple[KeptEra, ...]:
        return DecidedEras(self.pins(), self.basis).over(eras).eras

    def rename(self, old: str, new: str) -> int:
        return self.change(replace(era, name=new) if era.name == old else era for era in self.eras)

    def merge(self, other: str, into: str) -> int:
        return self.change(merged(self.eras, other, into))

    def undo(self, number: int) -> int:
        return self.decide(Undo(number))

    def join(self, era: str, *numbers: int) -> None:
        """Let a sync add faces to an era."""
        self.eras = tuple(one.with_joined(dict.fromkeys(numbers)) if one.name == era else one for one in self.eras)


def merged(eras: Sequence[KeptEra], other: str, into: str) -> list[KeptEra]:
    named = {era.name: era for era in eras}
    one, two = named[into], named.pop(other)
    years = [year for era in (one, two) for year in (era.from_year, era.to_year) if year]
    founders = one.founders | two.founders
    joined = {face: sure for face, sure in {**one.joined, **two.joined}.items() if face not in founders}
    named[into] = replace(one, from_year=min(years), to_year=max(years), founders=founders, joined=joined)
    return list(named.values())


def names(person: Person) -> dict[str, set[int]]:
    return {era.name: set(era.face_ids) for era in person.eras}


def test_two_changes_of_different_eras_are_undone_in_any_order() -> None:
    for order in ((0, 1), (1, 0)):
        person = Person()
        made = person.rename("1995", "Child"), person.rename("2015", "Today")
        person.undo(made[order[0]])
        assert names(person).keys() == ({"1995", "2003", "Today"} if order[0] == 0 else {"2003", "2015", "Child"})
        person.undo(made[order[1]])
        assert person.eras == LIFE


def test_the_second_decision_records_no_more_than_it_moves() -> None:
    person = Person()
    first, second = person.rename("1995", "Child"), person.rename("2015", "Today")
    assert len(faces_in_eras(person.made[first])) == 8
    assert set(faces_in_eras(person.made[second])) == {face(7), face(8)}


def test_faces_that_joined_since_follow_a_rename_both_ways() -> None:
    person = Person()
    made = person.rename("1995", "Child")
    person.join("Child", 20, 21)
    undo = person.undo(made)
    assert names(person)["1995"] == {1, 2, 3, 20, 21}
    person.undo(undo)
    assert names(person)["Child"] == {1, 2, 3, 20, 21}


def test_faces_that_joined_since_wait_for_the_next_sync_when_a_merge_is_undone() -> None:
    person = Person()
    made = person.merge("2003", into="1995")
    person.join("1995", 20)
    person.undo(made)
    assert person.eras == LIFE, "only its looks tell where face 20 belongs"


def test_faces_that_a_later_decision_moved_with_their_era_stay_with_it() -> None:
    person = Person()
    first = person.rename("1995", "Child")
    person.join("Child", 20)
    person.undo(person.rename("Child", "Small"))
    person.undo(first)
    assert names(person)["1995"] == {1, 2, 3, 20}


def test_an_era_that_came_since_stays_as_it_is() -> None:
    person = Person()
    made = person.rename("1995", "Child")
    new = KeptEra("1970", 1970, 1970, 1970, frozenset({30}), {31: None})
    person.eras = (*person.eras, new)
    person.undo(made)
    assert person.eras == (new, *LIFE)


def test_faces_that_a_change_took_in_are_out_again() -> None:
    person = Person()
    grown = [replace(era, name="Child").with_joined({20: 0.95}) if era == CHILD else era for era in LIFE]
    person.undo(person.change(grown))
    assert person.eras == LIFE


def test_pins_of_other_ages_give_names_alone() -> None:
    three, five = (KeptEra(f"age_0{age}_0{age}", 2003, 2003, 2003, frozenset({age})) for age in (3, 5))
    person = Person((three, five), basis="ages:2000-01-01:3,5")
    made = person.change([replace(three, name="Nursery", window=three.name), five])
    later = DecidedEras(person.pins(), "ages:2001-01-01:3,5,7")
    anew = later.over([replace(three, founders=frozenset({5})), replace(five, founders=frozenset({3}))])
    assert {era.name: (era.founders, era.window) for era in anew.eras} == {
        "Nursery": (frozenset({5}), "age_03_03"),
        "age_05_05": (frozenset({3}), None),
    }
    assert anew.moved == {"age_03_03": "Nursery"}
    stored = [replace(era, window=None) for era in anew.eras]
    assert later.over(stored).eras == anew.eras, "the store has no windows, and decisions know them"
    assert DecidedEras(person.pins(), "years").over(LIFE).eras == LIFE
    person.undo(made)
    assert person.eras == (three, five)


def test_the_last_name_of_ages_counts_although_some_faces_are_held_by_an_earlier_one() -> None:
    nursery, default = EraSpan("Nursery", "ages:a", window="age_03_05"), EraSpan("age_03_05", "ages:b")
    pins = {1: EraPin(nursery, is_founder=True), 2: EraPin(default, is_founder=True)}
    era = KeptEra("age_03_05", 2003, 2003, 2003, frozenset({2, 4}))
    assert [one.name for one in DecidedEras(pins, "ages:c").over([era]).eras] == ["age_03_05"]
    assert [one.name for one in DecidedEras({1: pins[1]}, "ages:c").over([era]).eras] == ["Nursery"]


def test_years_and_names_of_decided_eras_count_where_their_faces_come_later() -> None:
    person = Person()
    person.rename("2003", "School")
    some = replace(YOUNG, founders=frozenset({4}), joined={}, from_year=1990)
    ours = DecidedEras({face: pin for face, pin in person.pins().items() if face != 5}, "years")
    (school,) = [era for era in ours.over([some]).eras if era.name == "School"]
    assert school == replace(YOUNG, name="School", founders=frozenset({4}))


STEPS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from(["rename", "merge"])), max_size=5)


def act(person: Person, steps: Sequence[tuple[int, int, str]]) -> list[int]:
    made = []
    for one, two, what in steps:
        here = [era.name for era in person.eras]
        old, other = here[one % len(here)], here[two % len(here)]
        if what == "rename":
            made.append(person.rename(old, f"name {len(person.made)}"))
        elif old != other:
            made.append(person.merge(old, into=other))
    return made


@given(STEPS)
def test_changes_undone_from_the_last_on_leave_nothing_and_done_again_everything(
    steps: Sequence[tuple[int, int, str]],
) -> None:
    person, seen, undone = Person(), list[tuple[KeptEra, ...]]([LIFE]), list[int]()
    for step in steps:
        made = act(person, [step])
        seen += [person.eras] * len(made)
    for number in reversed(range(1, len(seen))):
        undone.append(person.undo(number))
        assert person.eras == seen[number - 1]
    for place, number in enumerate(reversed(undone), start=1):
        person.undo(number)
        assert person.eras == seen[place]


@given(STEPS, st.sets(st.integers(0, 4)))
def test_a_fresh_library_has_the_same_eras_whatever_was_found_there(
    steps: Sequence[tuple[int, int, str]], undone: set[int]
) -> None:
    person = Person()
    made = act(person, steps)
    for place in sorted(undone, reverse=True):
        if place < len(made):
            person.undo(made[place])
    if made:
        assert person.over(()) == person.eras
        assert person.over(LIFE) == person.eras
        other = replace(CHILD, name="all", founders=frozenset(range(1, 9)), joined={})
        assert person.over([other]) == person.eras


@given(STEPS)
def test_a_decision_is_the_same_after_an_export(steps: Sequence[tuple[int, int, str]]) -> None:
    person = Person()
    act(person, steps)
    decoder = msgspec.json.Decoder(Decision)
    again: Mapping[int, Decision] = {
        number: decoder.decode(msgspec.json.encode(one)) for number, one in person.made.items()
    }
    assert again == person.made


@pytest.mark.parametrize("pins", [{}, {1: EraPin(EraSpan("elsewhere", "ages:x"), is_founder=True)}])
def test_without_decisions_about_these_eras_nothing_changes(pins: dict[int, EraPin]) -> None:
    assert DecidedEras(pins, "years").over(LIFE).eras == LIFE
