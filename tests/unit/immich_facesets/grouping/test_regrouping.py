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


def around(distance: float, count: int) -> Vectors:
    """Faces 0.1 around a centre that lies so far from the first axis; each has a direction of its own."""
    axes = np.eye(64)
    centre = (1 - distance) * axes[0] + np.sqrt(1 - (1 - distance) ** 2) * axes[1]
    first = 2 + int(100 * distance) % 30
    return unit(centre + 0.5 * axes[first : first + count])


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
            pytest.param(1, 30, 15, marks=pytest.mark.slow),
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

    def test_a_wrong_first_face_keeps_nobody_in_the_identity_of_another(self) -> None:
        """One face of the other person came first; the others of "mira" are more than that person's."""
        library = library_of([5, 9])
        library.assertions = told({"mira": [1, *range(6, 15)]})
        library.known = {4: Known(4, "asserted", is_locked=False, people=frozenset({("anna", "mira")}))}
        library.memberships = dict.fromkeys(range(1, 6), 4)
        library.group()
        assert library.parts() == {frozenset(range(1, 6)), frozenset(range(6, 15))}
        assert library.faces_of(4) == set(range(6, 15)), "the identity was created for her"

    def test_a_name_of_few_faces_splits_no_identity(self) -> None:
        """The named faces are those of one year, and the person has changed since."""
        library = Library(table_of(np.concatenate([around(0, 6), around(0.6, 6)])))
        library.memberships = dict.fromkeys(range(1, 13), 1)
        library.known = {1: Known(1, "discovered", is_locked=False, people=frozenset())}
        library.assertions = told({"mira": [1, 2, 3]})
        library.group()
        assert library.faces_of(1) == set(range(1, 13))
        assert library.plan().is_empty

    def test_a_name_of_faces_a_little_apart_brings_no_new_number(self) -> None:
        """They are too far for a merge, and near enough for a cluster to be linked with them."""
        library = Library(table_of(np.concatenate([around(0, 8), around(0.4, 2)])))
        library.memberships = dict.fromkeys(range(1, 9), 1)
        library.known = {1: Known(1, "discovered", is_locked=False, people=frozenset())}
        library.assertions = told({"mira": [9, 10]})
        plan = library.group()
        assert plan.new == ()
        assert library.faces_of(1) == set(range(1, 11))
        assert library.known[1].people == {("anna", "mira")}
        assert library.plan().is_empty

    def test_a_discovered_identity_grows_when_a_source_names_it(self) -> None:
        library = library_of([7], min_faces=10)
        everything = library.table
        library.table = everything.rows(np.arange(2))
        library.memberships = {1: 1, 2: 1}
        library.known = {1: Known(1, "discovered", is_locked=False, people=frozenset({("anna", "mira")}))}
        library.assertions = told({"mira": [1, 2]})
        library.table, library.fresh = everything, frozenset(range(3, 8))
        library.group()
        assert library.faces_of(1) == set(range(1, 8))

    def test_a_birthday_after_the_pictures_leaves_no_identity_without_faces(self) -> None:
        """Two users name one person, and the birthday that one of them states is later than the other's pictures."""
        vectors, _ = people(np.random.default_rng(1), [12], 0.5)
        taken = np.repeat([0.0, 20_000.0], 6)
        library = Library(table_of(vectors, taken=taken), rules=GroupingRules(min_faces=3))
        (late,) = told({"mira b.": range(7, 13)}, source="ben")
        library.assertions = [*told({"mira": range(1, 7)}), replace(late, born=10_000.0)]
        library.group()
        assert set(library.memberships.values()) == library.known.keys()
        assert library.plan().is_empty


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
