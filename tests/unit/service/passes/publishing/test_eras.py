"""Conditions under which eras are computed, and their input."""

from dataclasses import replace
from datetime import date

import numpy as np
from era_builders import Period, periods, together

from immich_facesets.eras import Childhood, EraRules, read_windows
from service.passes.publishing.eras import plan_identity_eras
from service.store.eras import StoredEras

RULES = EraRules()
CHILDHOOD = Childhood(date(2000, 1, 1), read_windows("0-5,10-20"))
TABLE = periods(Period(2001, 25), Period(2015, 30))


def test_what_was_looked_at_is_not_looked_at_again() -> None:
    plan = plan_identity_eras(TABLE, StoredEras(), RULES, None)
    assert not plan.is_done
    assert [era.name for era in plan.after.eras] == ["2001", "2015"]
    shuffled = TABLE.rows(np.random.default_rng(0).permutation(len(TABLE)))
    assert plan_identity_eras(shuffled, plan.after, RULES, None).is_done


def test_without_a_new_face_no_vector_is_compared() -> None:
    table = together(TABLE, periods(Period(2001, 1), seed=9, first_id=1000))
    before = plan_identity_eras(table, StoredEras(), RULES, None).after
    would_join = replace(table, vectors=np.concatenate([table.vectors[:-1], table.vectors[:1]]))
    assert plan_identity_eras(would_join, before, RULES, None).is_done
    assert not plan_identity_eras(would_join, before, EraRules(join=0.39), None).is_done


def test_a_new_face_another_date_or_another_rule_is_a_reason_to_look() -> None:
    before = plan_identity_eras(TABLE, StoredEras(), RULES, None).after
    more = together(TABLE, periods(Period(2001, 1), first_id=1000))
    assert len(plan_identity_eras(more, before, RULES, None).after.eras[0].face_ids) == 26
    dated = TABLE.rows(np.arange(len(TABLE)))
    dated.taken[0] += 1
    for plan in (
        plan_identity_eras(dated, before, RULES, None),
        plan_identity_eras(TABLE, before, EraRules(join=0.41), None),
    ):
        assert not plan.is_done
        assert plan.after.eras == before.eras


def test_of_somebody_with_few_faces_nothing_is_remembered() -> None:
    assert plan_identity_eras(TABLE.rows(np.arange(24)), StoredEras(), RULES, None).is_done


def test_a_setting_for_eras_by_age_replaces_those_by_years_and_back() -> None:
    by_years = plan_identity_eras(TABLE, StoredEras(), RULES, None).after
    by_age = plan_identity_eras(TABLE, by_years, RULES, CHILDHOOD)
    assert [era.name for era in by_age.after.eras] == ["age_00_05", "age_10_20"]
    assert by_age.leaves == frozenset()
    other = Childhood(date(1999, 1, 1), CHILDHOOD.windows)
    assert plan_identity_eras(TABLE, by_age.after, RULES, other).after.eras == by_age.after.eras
    again = plan_identity_eras(TABLE, by_age.after, RULES, None)
    assert again.after == by_years


def test_a_split_on_purpose_looks_whatever_was_looked_at() -> None:
    before = plan_identity_eras(TABLE, StoredEras(), RULES, None).after
    wrong = StoredEras((before.eras[0].with_joined({26: None}), *before.eras[1:]), before.version)
    plan = plan_identity_eras(TABLE, wrong, RULES, None, anew=True)
    assert [len(era.face_ids) for era in plan.after.eras] == [25, 30]
    assert plan_identity_eras(TABLE, before, RULES, None, anew=True).is_done
    lost = StoredEras(
        (*before.eras, before.eras[0].__class__("2030", 2030, 2030, 2030, frozenset({999}))), before.version
    )
    assert plan_identity_eras(TABLE, lost, RULES, None, anew=True).leaves == frozenset(), "an absent face is not moved"
