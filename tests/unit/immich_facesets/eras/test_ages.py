"""Eras by age: age windows of a childhood."""

from datetime import date

import numpy as np
import pytest
from era_builders import Period, day, periods, together

from immich_facesets.eras import (
    Childhood,
    EraRules,
    KeptEra,
    MergeEras,
    RenameEra,
    Window,
    edit_eras,
    plan_eras,
    read_windows,
    split_again,
)
from immich_facesets.errors import RequestError
from immich_facesets.grouping.face_table import FaceTable

RULES = EraRules()
BORN = date(2000, 2, 29)
CHILDHOOD = Childhood(BORN, read_windows("0-2, 3-5,6-9,17"))


def test_windows_are_read_by_age() -> None:
    assert read_windows("3-5,0-2, 17") == (Window(0, 2), Window(3, 5), Window(17, 17))
    assert read_windows("") == ()
    assert [window.name for window in CHILDHOOD.windows] == ["age_00_02", "age_03_05", "age_06_09", "age_17_17"]


@pytest.mark.parametrize("text", ["0-2,2-5", "5-3", "a-b", "3-", "-3", "0-131", ",".join(map(str, range(31)))])
def test_windows_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"ages|overlap"):
        read_windows(text)


def test_age_counts_completed_years_from_birthday_to_birthday() -> None:
    days = [date(2000, 2, 28), BORN, date(2003, 2, 28), date(2003, 3, 1), date(2010, 2, 28), date(2010, 3, 1)]
    taken = np.array([*(float((one - date(1970, 1, 1)).days) for one in days), np.nan])
    assert CHILDHOOD.places(taken).tolist() == [-1, 0, 0, 1, 2, -1, -1]


def test_a_childhood_is_cut_by_age_and_small_windows_are_no_era() -> None:
    table = periods(Period(2001, 22), Period(2004, 8), Period(2007, 4), Period(2014, 30))
    eras = plan_eras(table, (), RULES, CHILDHOOD)
    assert {era.name: len(era.face_ids) for era in eras} == {"age_00_02": 22, "age_03_05": 8}


def test_later_faces_join_their_age_and_a_window_fills_up() -> None:
    table = periods(Period(2001, 22), Period(2007, 3))
    eras = plan_eras(table, (), RULES, CHILDHOOD)
    late = periods(Period(2002, 2), Period(2008, 3), looks=[0, 1], first_id=1000)
    undated = periods(Period(0, 2, days=0), looks=[0], first_id=2000)
    grown = plan_eras(together(table, late, undated), eras, RULES, CHILDHOOD)
    assert {era.name: len(era.face_ids) for era in grown} == {"age_00_02": 26, "age_06_09": 6}
    assert plan_eras(together(table, late, undated), grown, RULES, CHILDHOOD) == grown


def test_a_face_unlike_the_others_of_its_age_stays_out() -> None:
    table = periods(Period(2001, 22))
    eras = plan_eras(table, (), RULES, CHILDHOOD)
    stranger = periods(Period(2001, 1), seed=9, first_id=1000)
    assert plan_eras(together(table, stranger), eras, RULES, CHILDHOOD) == eras


def test_one_birthday_party_is_no_era_beside_others() -> None:
    table = periods(Period(2001, 22), Period(2004, 8, days=1))
    assert [era.name for era in plan_eras(table, (), RULES, CHILDHOOD)] == ["age_00_02"]
    alone = periods(Period(2004, 8, days=1))
    assert [era.name for era in plan_eras(alone, (), RULES, CHILDHOOD)] == ["age_03_05"]


def renamed(table: FaceTable, old: str, new: str) -> tuple[KeptEra, ...]:
    eras = plan_eras(table, (), RULES, CHILDHOOD)
    return edit_eras(table, eras, RULES, RenameEra(era=old, name=new), CHILDHOOD).eras


def test_an_age_with_a_name_by_hand_grows_and_keeps_it_through_syncs_and_splits() -> None:
    table = periods(Period(2001, 22), Period(2007, 8))
    eras = renamed(table, "age_06_09", "School")
    assert {era.name: (era.age_name, len(era.face_ids)) for era in eras} == {
        "School": ("age_06_09", 8),
        "age_00_02": ("age_00_02", 22),
    }
    more = together(table, periods(Period(2008, 3), looks=[1], first_id=1000))
    assert {era.name: len(era.face_ids) for era in plan_eras(more, eras, RULES, CHILDHOOD)} == {
        "School": 11,
        "age_00_02": 22,
    }
    assert split_again(table, eras, RULES, CHILDHOOD) == eras
    again = edit_eras(table, eras, RULES, RenameEra(era="School", name="age_06_09"), CHILDHOOD).eras
    assert again == plan_eras(table, (), RULES, CHILDHOOD)


def test_an_age_whose_faces_were_all_gone_has_its_name_again() -> None:
    table = periods(Period(2001, 22), Period(2007, 8))
    empty = [
        era if era.name != "School" else KeptEra("School", None, None, None, frozenset(), window="age_06_09")
        for era in renamed(table, "age_06_09", "School")
    ]
    found = plan_eras(table, empty, RULES, CHILDHOOD)
    assert {era.name: (era.age_name, len(era.face_ids)) for era in found} == {
        "School": ("age_06_09", 8),
        "age_00_02": ("age_00_02", 22),
    }


def test_ages_are_not_merged_and_have_no_name_of_other_ages() -> None:
    table = periods(Period(2001, 22), Period(2007, 8))
    eras = plan_eras(table, (), RULES, CHILDHOOD)
    with pytest.raises(RequestError, match="renamed, and not merged"):
        edit_eras(table, eras, RULES, MergeEras(eras=("age_06_09",), into="age_00_02"), CHILDHOOD)
    with pytest.raises(RequestError, match="name of other ages"):
        edit_eras(table, eras, RULES, RenameEra(era="age_06_09", name="Age_10_13"), CHILDHOOD)


def test_the_day_of_the_builder_is_a_day() -> None:
    assert day(1970, 0) == 0
