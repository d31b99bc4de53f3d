"""Update of eras: a named era keeps its name and its faces across syncs."""

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from era_builders import Period, periods, together
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import table_of, unit

from immich_facesets.eras import EraRules, KeptEra, grow_eras, plan_eras, split_again
from immich_facesets.grouping.face_table import FaceTable

RULES = EraRules()
YOUNG, OLD = Period(2001, 25), Period(2015, 30)


def first() -> tuple[FaceTable, tuple[KeptEra, ...]]:
    """A person with several periods, and their eras."""
    table = periods(YOUNG, OLD)
    return table, plan_eras(table, (), RULES)


def more(*spans: Period, looks: Sequence[int] = (0, 1), first_id: int = 1000, step: float = 0.75) -> FaceTable:
    """Faces of the same person that are added later; ``looks``: the numbers of the periods that they resemble."""
    return periods(*spans, looks=looks, first_id=first_id, step=step)


def names(eras: Sequence[KeptEra]) -> dict[str, int]:
    return {era.name: len(era.face_ids) for era in eras}


def test_the_first_eras_are_named_after_their_years() -> None:
    _, eras = first()
    assert names(eras) == {"2001": 25, "2015": 30}
    assert [(era.from_year, era.main_year, era.to_year) for era in eras] == [(2001, 2001, 2001), (2015, 2015, 2015)]


def test_four_faces_are_no_era_and_five_are() -> None:
    assert names(plan_eras(periods(YOUNG, OLD, Period(2025, 4)), (), RULES)) == {"2001": 25, "2015": 30}
    assert names(plan_eras(periods(YOUNG, OLD, Period(2025, 5)), (), RULES))["2025"] == 5


def test_two_eras_of_one_year_get_two_names() -> None:
    eras = plan_eras(periods(YOUNG, OLD, Period(2015, 21)), (), RULES)
    assert names(eras) == {"2001": 25, "2015": 30, "2015_2": 21}


def test_who_cannot_be_sorted_has_no_eras() -> None:
    assert plan_eras(periods(Period(2010, 50)), (), RULES) == ()
    assert plan_eras(periods(Period(2010, 50, days=0)), (), RULES) == ()
    assert plan_eras(table_of(np.zeros((0, 8))), (), RULES) == ()


def test_new_faces_join_the_era_of_their_look_and_time() -> None:
    table, eras = first()
    grown = plan_eras(together(table, more(Period(2003, 3), Period(2012, 2))), eras, RULES)
    assert names(grown) == {"2001": 28, "2015": 32}
    assert grown[0].joined == {1000: None, 1001: None, 1002: None}
    assert [era.founders for era in grown] == [era.founders for era in eras]


def test_a_face_of_another_time_stays_out_however_much_it_looks_alike() -> None:
    table, eras = first()
    assert plan_eras(together(table, more(Period(2007, 3), looks=[0])), eras, RULES) == eras


def test_an_era_takes_faces_of_all_the_years_it_was_made_of() -> None:
    table = periods(Period(2001, 12), Period(2006, 9), Period(2020, 25), looks=[0, 0, 1])
    eras = plan_eras(table, (), RULES)
    assert [(era.name, era.from_year, era.to_year) for era in eras] == [("2001", 2001, 2006), ("2020", 2020, 2020)]
    late = more(Period(2005, 1), Period(2009, 1), looks=[0, 0])
    assert plan_eras(together(table, late), eras, RULES)[0].joined == {1000: None}


def test_a_small_or_blurred_face_stays_out() -> None:
    table, eras = first()
    late = more(Period(2001, 2), looks=[0])
    poor = replace(late, face_short=np.array([99, 200], np.float32), blur=np.array([100, 39], np.float32))
    assert plan_eras(together(table, poor), eras, RULES) == eras


def test_what_fits_nowhere_waits_until_enough_of_it_stands_together() -> None:
    table, eras = first()
    four = together(table, more(Period(2008, 4), looks=[5]))
    assert plan_eras(four, eras, RULES) == eras
    five = together(four, more(Period(2009, 1), looks=[5], first_id=2000))
    grown = plan_eras(five, eras, RULES)
    assert names(grown) == {"2001": 25, "2008": 5, "2015": 30}
    assert [era for era in grown if era.name != "2008"] == list(eras)


def test_a_new_era_of_a_year_that_has_one_gets_another_name() -> None:
    table, eras = first()
    grown = plan_eras(together(table, more(Period(2015, 9), looks=[5], step=1.15)), eras, RULES)
    assert names(grown) == {"2001": 25, "2015": 30, "2015_2": 9}


def test_one_event_is_no_era_until_there_is_another_day() -> None:
    table, eras = first()
    wedding = together(table, more(Period(2008, 22, days=1), looks=[5]))
    assert plan_eras(wedding, eras, RULES) == eras
    later = together(wedding, more(Period(2009, 1), looks=[5], first_id=2000))
    assert names(plan_eras(later, eras, RULES))["2008"] == 23


def test_an_event_is_an_anchor_only_where_there_is_nothing_else() -> None:
    wedding = Period(2001, 25, days=1)
    assert plan_eras(periods(wedding, OLD), (), RULES) == ()
    assert names(plan_eras(periods(wedding, Period(2015, 30, days=1)), (), RULES)) == {"2001": 25, "2015": 30}
    three = plan_eras(periods(Period(2008, 25, days=1), YOUNG, OLD), (), RULES)
    assert names(three) == {"2001": 25, "2015": 30}


def test_undated_faces_are_placed_by_their_look_and_say_how_sure_that_is() -> None:
    table, eras = first()
    grown = plan_eras(together(table, more(Period(0, 4, days=0), Period(0, 3, days=0))), eras, RULES)
    assert names(grown) == {"2001": 29, "2015": 33}
    sure = [one for era in grown for one in era.joined.values()]
    assert all(one is not None and RULES.sure <= one <= 1 for one in sure)


def test_an_undated_face_between_two_eras_stays_out() -> None:
    table, eras = first()
    middle = table.vectors[:25].mean(axis=0) + table.vectors[25:].mean(axis=0)
    face = table_of((middle / np.linalg.norm(middle))[None], face_ids=[1000])
    assert plan_eras(together(table, face), eras, RULES) == eras


def test_many_undated_faces_that_look_alike_are_an_era_without_years() -> None:
    table, eras = first()
    grown = plan_eras(together(table, more(Period(0, 20, days=0), looks=[5], step=1.15)), eras, RULES)
    assert names(grown) == {"2001": 25, "2015": 30, "undated": 20}
    assert grown[-1].from_year is None


def test_undated_faces_between_two_eras_are_no_era_of_their_own_however_many() -> None:
    table, eras = first()
    middle = table.vectors[:25].mean(axis=0) + table.vectors[25:].mean(axis=0)
    noise = np.random.default_rng(0).normal(scale=0.01, size=(30, len(middle)))
    faces = table_of(unit(middle / np.linalg.norm(middle) + noise), face_ids=np.arange(1000, 1030))
    grown = plan_eras(together(table, faces), eras, RULES)
    assert names(grown).keys() == {"2001", "2015"}


def test_no_undated_face_founds_an_era_with_years() -> None:
    table = periods(YOUNG, OLD, Period(0, 6, days=0), looks=[0, 1, 0])
    young, old = plan_eras(table, (), RULES)
    assert (len(young.founders), len(old.founders)) == (25, 30)
    assert young.joined.keys() == set(range(56, 62))
    assert None not in young.joined.values()


def test_an_era_whose_faces_are_all_gone_gives_its_name_to_the_next_of_its_year() -> None:
    table, eras = first()
    empty = KeptEra("2008", 2008, 2008, 2008, frozenset())
    kept = tuple(sorted((*eras, empty), key=lambda era: era.name))
    assert plan_eras(table, kept, RULES) == kept
    grown = plan_eras(together(table, more(Period(2008, 6), looks=[5])), kept, RULES)
    assert names(grown) == {"2001": 25, "2008": 6, "2015": 30}


def test_faces_that_are_away_keep_their_era() -> None:
    table, eras = first()
    away = table.rows(np.flatnonzero(table.face_ids > 25))
    assert plan_eras(away, eras, RULES) == eras
    late = together(away, more(Period(2001, 2), looks=[0]))
    assert plan_eras(late, eras, RULES) == eras, "there is no face left to compare them with"


def test_without_its_founders_an_era_goes_by_those_who_joined() -> None:
    table, eras = first()
    table = together(table, more(Period(2001, 6), looks=[0]))
    grown = plan_eras(table, eras, RULES)
    left = table.rows(np.flatnonzero(table.face_ids > 25))
    again = plan_eras(together(left, more(Period(2001, 2), looks=[0], first_id=2000)), grown, RULES)
    assert {2000, 2001} <= again[0].face_ids


class TestSplitAgain:
    def test_an_era_whose_faces_mostly_stay_keeps_its_name(self) -> None:
        table, eras = first()
        renamed = tuple(replace(era, name=f"named_{era.name}") for era in eras)
        again = split_again(table, renamed, RULES)
        assert names(again) == {"named_2001": 25, "named_2015": 30}

    def test_faces_may_move_and_new_eras_get_new_names(self) -> None:
        table, eras = first()
        mixed = (
            replace(eras[0], founders=eras[0].founders | {26, 27}),
            replace(eras[1], founders=frozenset(range(28, 40)), name="mine"),
        )
        again = split_again(together(table, more(Period(2008, 8), looks=[5])), mixed, RULES)
        assert names(again) == {"2001": 25, "2008": 8, "mine": 30}

    def test_an_era_without_a_majority_in_any_new_era_loses_its_name(self) -> None:
        table, _ = first()
        table = together(table, more(Period(2030, 4), looks=[5], step=1.15))
        mixed = KeptEra("mixed", 2001, 2001, 2015, frozenset({*range(1, 11), *range(26, 36), *range(1000, 1004)}))
        assert names(split_again(table, [mixed], RULES)) == {"2001": 25, "2015": 30}
        mostly = replace(mixed, founders=mixed.founders - set(range(26, 36)))
        assert names(split_again(table, [mostly], RULES)) == {"mixed": 25, "2015": 30}

    def test_no_name_is_given_twice(self) -> None:
        table = periods(YOUNG, OLD, Period(2015, 21))
        (small,) = [era for era in plan_eras(table, (), RULES) if era.name == "2015_2"]
        assert names(split_again(table, [replace(small, name="2015")], RULES)) == {"2001": 25, "2015": 21, "2015_2": 30}

    def test_what_cannot_be_sorted_any_more_stays_as_it_is(self) -> None:
        table, eras = first()
        assert split_again(table.rows(np.arange(29)), eras, RULES) == eras


spans = st.builds(Period, st.sampled_from([1999, 2001, 2008, 2015]), st.integers(1, 7), st.sampled_from([0, 1, 1000]))


@settings(max_examples=40)
@given(syncs=st.lists(st.tuples(spans, st.sampled_from([0, 1, 5])), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_whatever_comes_names_never_change_and_faces_never_move(syncs: list[tuple[Period, int]], seed: int) -> None:
    table, eras = first()
    for number, (span, look) in enumerate(syncs):
        table = together(table, more(span, looks=[look], first_id=1000 * (number + 1)))
        shuffled = table.rows(np.random.default_rng(seed).permutation(len(table)))
        grown = plan_eras(shuffled, eras, RULES)
        after = {era.name: era for era in grown}
        for era in eras:
            assert era.face_ids <= after[era.name].face_ids
            assert era.founders == after[era.name].founders
        everybody = [face for era in grown for face in era.face_ids]
        assert len(everybody) == len(set(everybody))
        assert plan_eras(table, grown, RULES) == grown, "planning twice plans nothing"
        eras = grown


@settings(max_examples=25)
@given(
    syncs=st.lists(st.tuples(st.integers(1997, 2019), st.sampled_from([0, 1])), min_size=2, max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_who_joins_an_era_does_not_depend_on_who_came_first(syncs: list[tuple[int, int]], order: random.Random) -> None:
    """Batches of two or three faces, too few to found an era."""
    table, eras = first()
    parts = [more(Period(year, 1), looks=[look], first_id=1000 * n) for n, (year, look) in enumerate(syncs, start=1)]
    rules = EraRules(least_thin=100)
    at_once = grow_eras(together(table, *parts), eras, rules)
    order.shuffle(parts)
    for count in range(1, len(parts) + 1):
        eras = grow_eras(together(table, *parts[:count]), eras, rules)
    assert [era.face_ids for era in eras] == [era.face_ids for era in at_once]
