"""Changes of eras that a person asks for: they stay as a sync leaves them, and nothing is lost."""

from collections.abc import Sequence

import pytest
from era_builders import Period, periods, together
from hypothesis import given, settings
from hypothesis import strategies as st

from immich_facesets.eras import EraRules, KeptEra, MergeEras, RenameEra, edit_eras, plan_eras, split_again
from immich_facesets.errors import RequestError
from immich_facesets.grouping.face_table import FaceTable

RULES = EraRules()
LIFE = (Period(1995, 22), Period(2003, 25), Period(2015, 30))


def first(*spans: Period) -> tuple[FaceTable, tuple[KeptEra, ...]]:
    table = periods(*(spans or LIFE))
    return table, plan_eras(table, (), RULES)


def sizes(eras: Sequence[KeptEra]) -> dict[str, int]:
    return {era.name: len(era.face_ids) for era in eras}


def test_a_renamed_era_keeps_its_faces_and_its_name_through_later_syncs() -> None:
    table, eras = first()
    edited = edit_eras(table, eras, RULES, RenameEra(era="2003", name="  School   time "))
    assert sizes(edited.eras) == {"1995": 22, "2015": 30, "School time": 25}
    assert edited.moved == {"2003": "School time"}
    later = together(table, periods(Period(2004, 3), looks=(1,), first_id=1000))
    assert sizes(plan_eras(later, edited.eras, RULES)) == {"1995": 22, "2015": 30, "School time": 28}
    assert sizes(split_again(table, edited.eras, RULES)) == sizes(edited.eras), "a split keeps the name, too"


def test_merged_eras_are_one_that_no_sync_parts() -> None:
    table, eras = first()
    edited = edit_eras(table, eras, RULES, MergeEras(eras=("1995",), into="2003"))
    (one,) = [era for era in edited.eras if era.name == "2003"]
    assert sizes(edited.eras) == {"2003": 47, "2015": 30}
    assert (one.from_year, one.main_year, one.to_year) == (1995, 2003, 2003)
    assert plan_eras(table, edited.eras, RULES) == edited.eras
    later = together(table, periods(Period(1996, 2), looks=(0,), first_id=1000))
    assert sizes(plan_eras(later, edited.eras, RULES)) == {"2003": 49, "2015": 30}
    assert sizes(split_again(table, edited.eras, RULES)) == {"1995": 22, "2003": 25, "2015": 30}


def test_a_split_gives_no_era_a_year_that_it_does_not_have() -> None:
    table, eras = first()
    merged = edit_eras(table, eras, RULES, MergeEras(eras=("2003",), into="1995")).eras
    parted = split_again(table, merged, RULES)
    assert {era.name: era.main_year for era in parted} == {"1995": 1995, "2003": 2003, "2015": 2015}


def test_a_change_takes_in_the_faces_that_the_next_sync_would() -> None:
    table, eras = first()
    later = together(table, periods(Period(2016, 2), looks=(2,), first_id=1000))
    edited = edit_eras(later, eras, RULES, RenameEra(era="1995", name="Child"))
    assert sizes(edited.eras)["2015"] == 32
    assert plan_eras(later, edited.eras, RULES) == edited.eras


@settings(max_examples=15)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 2)), max_size=4))
def test_no_change_loses_a_face_or_leaves_work_for_a_sync(steps: list[tuple[bool, int, int]]) -> None:
    table, eras = first()
    everybody = {face for era in eras for face in era.face_ids}
    for number, (is_merge, first_place, second_place) in enumerate(steps):
        names = [era.name for era in eras]
        one, other = first_place % len(names), second_place % len(names)
        if is_merge and one == other:
            continue
        change = MergeEras(eras=(names[one],), into=names[other])
        eras = edit_eras(table, eras, RULES, change if is_merge else RenameEra(era=names[one], name=f"n{number}")).eras
        assert {face for era in eras for face in era.face_ids} == everybody
        assert sum(len(era.face_ids) for era in eras) == len(everybody)
        assert plan_eras(table, eras, RULES) == eras


@pytest.mark.parametrize("name", ["", " ", "a/b", "a\\b", "..", ".hidden", "_x", "a\x00b", "a\nb:", "x" * 61, "A?"])
def test_a_name_that_no_directory_can_bear_is_refused(name: str) -> None:
    table, eras = first()
    with pytest.raises(RequestError, match="letters") as error:
        edit_eras(table, eras, RULES, RenameEra(era="2003", name=name))
    assert error.value.status == 400


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (RenameEra(era="1990", name="x"), 404, "no era 1990; its eras: 1995, 2003, 2015"),
        (RenameEra(era="2003", name="2015"), 409, "another era is called 2015"),
        (RenameEra(era="2003", name="2003"), 409, "called 2003 already"),
        (MergeEras(eras=("1990",), into="2003"), 404, "no era 1990"),
        (MergeEras(eras=("2003",), into="1990"), 404, "no era 1990"),
        (MergeEras(eras=("2003",), into="2003"), 400, "into itself"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(change: RenameEra | MergeEras, status: int, words: str) -> None:
    table, eras = first()
    with pytest.raises(RequestError, match=words) as error:
        edit_eras(table, eras, RULES, change)
    assert error.value.status == status
