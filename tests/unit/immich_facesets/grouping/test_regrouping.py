"""A grouping of all faces: its result does not depend on the order of arrival, and numbers stay with their faces."""

from dataclasses import replace

import numpy as np
import pytest
from arrivals import arrive
from hard_library import hard_library
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixtures import Library, Vectors, extended, people, table_of, told, unit

from immich_facesets.evaluation.metrics import pairwise
from immich_facesets.grouping.changes import Former
from immich_facesets.grouping.plan import GroupingPlan, GroupingRules, Known, Method
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.spaces import OperatingPoints, operating_points


def library_of(sizes: list[int], *, min_faces: int = 3, seed: int = 1) -> Library:
    vectors, _ = people(np.random.default_rng(seed), sizes, 0.5)
    return Library(table_of(vectors), rules=GroupingRules(min_faces=min_faces))


def people_like(vectors: Vectors) -> Vectors:
    """Other faces of the person of these."""
    rng = np.random.default_rng(3)
    return unit(vectors.mean(axis=0) + 0.1 * rng.normal(size=vectors.shape))


class TestOrderOfArrival:
    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    @given(
        seed=st.integers(0, 2**32 - 1),
        sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
        spread=st.sampled_from([0.4, 0.8, 1.0, 1.2]),
        syncs=st.integers(2, 12),
        method=st.sampled_from(["careful", "plain"]),
        min_faces=st.integers(1, 5),
    )
    def test_many_syncs_end_in_the_identities_of_one(
        self, seed: int, sizes: list[int], spread: float, syncs: int, method: Method, min_faces: int
    ) -> None:
        rng = np.random.default_rng(seed)
        vectors, _ = people(rng, sizes, spread)
        n = len(vectors)
        blur = rng.uniform(20, 200, n).astype(np.float32)
        table = table_of(vectors, pictures=rng.integers(0, n, n), blur=blur)
        rules, points = GroupingRules(method=method, min_faces=min_faces), OperatingPoints()
        once = arrive(table, rules, points, syncs=1, seed=0)
        steps = arrive(table, rules, points, syncs=min(syncs, n), seed=seed)
        assert steps.library.parts() == once.library.parts()

    @pytest.mark.parametrize(
        ("seed", "syncs", "min_faces"),
        [
            (1, 30, 15),
            pytest.param(0, 200, 15, marks=pytest.mark.slow),
            pytest.param(2, 30, 6, marks=pytest.mark.slow),
            pytest.param(1, 200, 6, marks=pytest.mark.slow),
        ],
    )
    def test_so_does_a_hard_library(self, seed: int, syncs: int, min_faces: int) -> None:
        table = hard_library(seed, faces=2000, family=20).table()
        rules, points = GroupingRules(min_faces=min_faces), operating_points("w600k_mbf")
        once = arrive(table, rules, points, syncs=1, seed=0)
        steps = arrive(table, rules, points, syncs=syncs, seed=seed + 100)
        assert pairwise(once.library.labels(), steps.library.labels()).f >= 0.995
        assert steps.moved <= 0.005 * len(table)


class TestNumbers:
    def test_each_identity_found_again_keeps_its_number(self) -> None:
        library = library_of([9, 7, 5])
        library.group()
        before = dict(library.memberships)
        library.rules = replace(library.rules, margin=0.04)
        assert library.plan().is_empty
        assert set(before.values()) == {1, 2, 3}

    def test_two_that_are_one_person_become_the_one_with_more_faces(self) -> None:
        library = library_of([12])
        library.memberships = dict.fromkeys(range(1, 6), 1) | dict.fromkeys(range(6, 13), 2)
        library.known = {number: Known(number, "discovered", False, frozenset()) for number in (1, 2)}
        plan = library.group()
        assert library.parts() == {frozenset(range(1, 13))}
        assert library.faces_of(2) == set(range(1, 13))
        assert (plan.absorbed, plan.dissolved) == (((1, 2),), ())

    def test_of_one_that_is_two_people_the_larger_part_keeps_the_number(self) -> None:
        library = library_of([8, 5])
        library.memberships = dict.fromkeys(range(1, 14), 1)
        library.known = {1: Known(1, "discovered", False, frozenset())}
        plan = library.group()
        assert (library.faces_of(1), library.faces_of(2)) == (set(range(1, 9)), set(range(9, 14)))
        assert (plan.absorbed, plan.dissolved) == ((), ())


class TestFounding:
    def ended(self) -> tuple[Library, GroupingPlan]:
        library = library_of([6])
        library.group()
        library.rules = replace(library.rules, min_faces=7)
        return library, library.group()

    def test_an_identity_that_does_not_hold_by_the_present_rules_ends(self) -> None:
        library, plan = self.ended()
        assert not library.memberships
        assert plan.dissolved == tuple(Former(face, 1) for face in range(1, 7))
        assert library.plan().is_empty

    def test_its_number_comes_back_with_most_of_its_faces(self) -> None:
        library, plan = self.ended()
        library.table = extended(library.table, people_like(library.table.vectors))
        library.dissolved = {one.face_id: one.identity for one in plan.dissolved}
        assert not library.group().new
        assert library.faces_of(1) == set(range(1, 13))

    def test_no_other_faces_get_it(self) -> None:
        library, plan = self.ended()
        vectors, _ = people(np.random.default_rng(2), [6, 9], 0.5)
        library.table = extended(library.table, vectors[6:])
        library.dissolved = {one.face_id: one.identity for one in plan.dissolved}
        library.group()
        assert library.faces_of(2) == set(range(7, 16))

    def test_a_named_person_with_few_faces_gets_it_too(self) -> None:
        library, plan = self.ended()
        library.dissolved = {one.face_id: one.identity for one in plan.dissolved}
        library.assertions = told({"mira": [1, 2, 3, 4]})
        assert not library.group().new
        assert library.faces_of(1) == set(range(1, 7))

    @pytest.mark.parametrize("reason", ["named", "locked", "decided", "incomplete", "few are new"])
    def test_it_stays_with_a_name_a_lock_a_decision_or_absent_members(self, reason: str) -> None:
        library = library_of([6])
        library.group()
        library.rules = replace(library.rules, min_faces=7)
        if reason == "named":
            library.assertions = told({"mira": [1, 2]})
        elif reason == "locked":
            library.lock(1)
        elif reason == "decided":
            library.constraints = Constraints(labels={1: "Mira"})
        elif reason == "incomplete":
            library.incomplete = {1}
        else:
            library.fresh = frozenset()
        library.group()
        assert library.faces_of(1) == set(range(1, 7))


class TestWhoFounds:
    def near(self, vectors: Vectors) -> Vectors:
        """The same shots again, as another file has them."""
        rng = np.random.default_rng(5)
        return unit(vectors + 0.01 * rng.normal(size=vectors.shape))

    @pytest.mark.parametrize("method", ["careful", "plain"])
    def test_six_files_of_one_shot_are_one_picture(self, method: Method) -> None:
        vectors, _ = people(np.random.default_rng(1), [2], 0.5)
        six = np.concatenate([self.near(vectors[:1]) for _ in range(6)])
        rules = GroupingRules(min_faces=3, method=method)
        library = Library(table_of(np.concatenate([vectors[1:], six])), rules=rules)
        assert library.group().report.rejected[0].pictures <= 2
        assert not library.memberships

    @pytest.mark.parametrize("method", ["careful", "plain"])
    @pytest.mark.parametrize("is_by_and_by", [False, True])
    def test_second_faces_of_one_person_found_nobody(self, method: Method, *, is_by_and_by: bool) -> None:
        """Collages: each of six pictures holds two faces of one person."""
        vectors, _ = people(np.random.default_rng(1), [18], 0.5)
        rules = GroupingRules(min_faces=3, method=method)
        table = table_of(vectors, pictures=[*range(12), *range(6)])
        library = Library(table.rows(np.arange(12)) if is_by_and_by else table, rules=rules)
        library.group()
        library.table = table
        for library.fresh in (frozenset(range(13, 19)), None):
            library.group()
            assert len(library.parts()) == 1
            assert len(library.memberships) == 12
        assert {one.identity for one in library.plan().report.suspects} == {1}, "they wait for a decision"

    def test_twins_who_are_seen_apart_are_two_people(self) -> None:
        vectors, _ = people(np.random.default_rng(1), [8, 8], 0.5)
        twin = unit(vectors[8:] + 1.2 * vectors[:8].mean(axis=0))
        library = Library(table_of(np.concatenate([vectors[:8], twin]), pictures=[*range(8), 0, 1, 2, *range(8, 13)]))
        library.points = replace(library.points, cluster=0.4, match=0.3, merge=0.2)
        library.group()
        assert library.parts() == {frozenset(range(1, 9)), frozenset(range(9, 17))}
