"""The grouping plan as a whole: the guarantees from sync to sync."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixtures import Library, Vectors, extended, people, table_of, told, unit
from numpy.typing import NDArray

from immich_facesets.evaluation.metrics import bcubed
from immich_facesets.faces import Gate
from immich_facesets.grouping.plan import Carried, GroupingRules, Known, plan_grouping
from immich_facesets.grouping.rules import Method
from immich_facesets.moderation.constraints import Constraints


def near(centre: NDArray[np.floating], distance: float, toward: NDArray[np.floating]) -> Vectors:
    """The unit vector at a cosine distance from a unit vector, in the plane of both."""
    side = toward - (toward @ centre) * centre
    side /= np.linalg.norm(side)
    cosine = 1 - distance
    vector: Vectors = unit((cosine * centre + np.sqrt(1 - cosine**2) * side)[None])[0]
    return vector


def axis(place: int, d: int = 16) -> NDArray[np.float64]:
    vector: NDArray[np.float64] = np.eye(d)[place]
    return vector


class TestDiscovering:
    def test_people_are_found_and_numbered_largest_first(self) -> None:
        vectors, who = people(np.random.default_rng(0), [4, 9, 6, 1, 1], 0.6)
        library = Library(table_of(vectors))
        plan = library.group()
        assert [(new.number, new.origin) for new in plan.new] == [
            (1, "discovered"),
            (2, "discovered"),
            (3, "discovered"),
        ]
        assert [len(library.faces_of(number)) for number in (1, 2, 3)] == [9, 6, 4]
        assert bcubed(who, library.labels()).f == 1.0
        assert {join.how for join in plan.joins} == {"discovered"}

    def test_numbers_go_on_past_the_highest_ever_used(self) -> None:
        vectors, _ = people(np.random.default_rng(0), [5], 0.5)
        library = Library(table_of(vectors), known={41: Known(41, "discovered", is_locked=False, people=frozenset())})
        assert [new.number for new in library.group().new] == [42]

    def test_the_same_picture_many_times_is_one_picture(self) -> None:
        vectors, _ = people(np.random.default_rng(1), [5], 0.5)
        assert Library(table_of(vectors), rules=GroupingRules(min_faces=5)).plan().new
        two_in_one = Library(table_of(vectors, pictures=[0, 0, 1, 2, 3]), rules=GroupingRules(min_faces=5))
        assert not two_in_one.plan().new

    @pytest.mark.parametrize("column", ["face_short", "blur", "det_score"])
    def test_a_new_identity_needs_good_faces(self, column: str) -> None:
        vectors, _ = people(np.random.default_rng(2), [6], 0.5)
        limit = {"face_short": 90.0, "blur": 40.0, "det_score": 0.6}[column]
        rules = GroupingRules(min_faces=6)
        table = table_of(vectors)
        getattr(table, column)[0] = limit
        assert Library(table, rules=rules).plan().new
        getattr(table, column)[0] = 0.99 * limit
        assert not Library(table, rules=rules).plan().new

    def test_poor_faces_join_once_the_identity_exists(self) -> None:
        vectors, _ = people(np.random.default_rng(3), [6], 0.5)
        library = Library(table_of(vectors, blur=np.array([99, 99, 99, 1, 1, 1], dtype=np.float32)))
        plan = library.group()
        assert len(library.faces_of(1)) == 6
        assert [join.how for join in plan.joins] == ["discovered"] * 3 + ["matched"] * 3

    def test_of_four_faces_on_those_far_from_the_centre_are_left_out(self) -> None:
        centre = axis(0)
        ring = [near(centre, 0.05, axis(place)) for place in range(1, 7)]
        library = Library(table_of(np.stack([*ring, near(centre, 0.35, axis(8))])))
        library.points = replace(library.points, drop=0.2, match=0.2, cluster=0.9)
        library.group()
        assert library.faces_of(1) == {1, 2, 3, 4, 5, 6}

    def test_leftovers_are_kept_until_there_are_enough(self) -> None:
        vectors, _ = people(np.random.default_rng(4), [6], 0.5)
        library = Library(table_of(vectors[:2]))
        assert not library.group().new
        library.table = extended(library.table, vectors[2:])
        library.group()
        assert library.faces_of(1) == {1, 2, 3, 4, 5, 6}


class TestFromSyncToSync:
    def test_new_photos_extend_the_right_identity_and_no_number_changes(self) -> None:
        vectors, who = people(np.random.default_rng(5), [12, 12, 12], 0.7)
        first = np.arange(36) % 3 > 0
        library = Library(table_of(vectors[first]))
        library.group()
        before = dict(library.memberships)
        library.table = extended(library.table, vectors[~first])
        library.fresh = frozenset(library.table.face_ids[24:].tolist())
        plan = library.group()
        assert not plan.new
        assert {join.how for join in plan.joins} == {"matched"}
        assert before.items() <= library.memberships.items()
        assert bcubed(np.concatenate([who[first], who[~first]]), library.labels()).f == 1.0

    def test_members_stay_though_the_centre_moved_away_from_them(self) -> None:
        library = Library(table_of(np.stack([axis(0), axis(1), axis(2)])), memberships={1: 5, 2: 5, 3: 5})
        library.known[5] = Known(5, "discovered", is_locked=False, people=frozenset())
        library.fresh = frozenset()
        assert library.plan().is_empty

    def test_a_face_that_is_gone_from_the_table_is_not_the_plans_business(self) -> None:
        vectors, _ = people(np.random.default_rng(6), [5], 0.5)
        library = Library(table_of(vectors))
        library.group()
        library.table = table_of(vectors[:4])
        assert library.plan().is_empty

    def test_an_over_split_part_that_arrives_later_joins_the_identity(self) -> None:
        """Each face alone is too far to match, but their centre is not."""
        centre = axis(0)
        library = Library(table_of(np.stack([near(centre, 0.04, axis(place)) for place in range(1, 6)])))
        library.group()
        later = np.stack([near(near(centre, 0.25, axis(6)), 0.3, axis(place)) for place in range(8, 14)])
        assert min(1 - later @ centre) > 0.45
        library.table = extended(library.table, later)
        assert not library.group().new
        assert len(library.faces_of(1)) == 11

    def test_of_two_parts_side_by_side_in_a_picture_the_larger_joins(self) -> None:
        centre = axis(0)
        library = Library(table_of(np.stack([near(centre, 0.04, axis(place)) for place in range(1, 6)])))
        library.group()
        parts = [(0.25, axis(6), range(8, 11)), (0.24, -axis(6), range(11, 16))]
        later = [near(near(centre, gap, side), 0.3, axis(place)) for gap, side, places in parts for place in places]
        library.table = extended(library.table, np.stack(later), pictures=[50, 51, 52, 50, 53, 54, 55, 56])
        library.rules = replace(library.rules, min_faces=8)
        library.group()
        assert library.faces_of(1) == {1, 2, 3, 4, 5} | set(range(9, 14))

    def test_no_faces_at_all(self) -> None:
        library = Library(table_of(np.zeros((0, 8), dtype=np.float32)))
        plan = library.plan()
        assert plan.is_empty
        assert (plan.report.faces, plan.report.singleton_share, plan.report.largest_share) == (0, 0.0, 0.0)


class TestOnePersonOncePerPicture:
    def test_the_nearest_face_of_a_picture_joins_and_the_other_stays_out(self) -> None:
        vectors, _ = people(np.random.default_rng(7), [8], 0.4)
        library = Library(table_of(vectors[:6]))
        library.group()
        library.table = extended(library.table, vectors[6:], pictures=[100, 100])
        plan = library.group()
        assert len(plan.joins) == 1
        assert len(library.faces_of(1)) == 7
        assert [(twice.identity, twice.face_ids) for twice in plan.report.suspects] == [(1, (7, 8))]

    def test_a_second_face_in_a_picture_of_a_member_stays_out(self) -> None:
        vectors, _ = people(np.random.default_rng(7), [7], 0.4)
        library = Library(table_of(vectors[:6]))
        library.group()
        library.table = extended(library.table, vectors[6:], pictures=[0])
        assert library.group().is_empty

    def test_the_one_left_over_goes_to_the_next_nearest_person(self) -> None:
        """Two sisters in one picture, both nearer to the elder: only the nearer face is assigned to the elder."""
        elder, younger = axis(0), near(axis(0), 0.5, axis(1))
        faces = [near(one, 0.04, axis(place)) for one in (elder, younger) for place in range(3, 7)]
        library = Library(table_of(np.stack(faces)))
        library.points = replace(library.points, cluster=0.3, merge=0.2)
        library.group()
        pair = np.stack([near(elder, 0.05, younger), near(elder, 0.1, younger)])
        assert 1 - pair[1] @ elder < 1 - pair[1] @ younger < 0.45
        library.table = extended(library.table, pair, pictures=[50, 50])
        library.fresh = frozenset({9, 10})
        library.group()
        assert library.memberships[9] == library.memberships[1]
        assert library.memberships[10] == library.memberships[5]

    def test_a_cluster_keeps_one_face_of_a_picture(self) -> None:
        vectors, _ = people(np.random.default_rng(8), [8], 0.4)
        library = Library(table_of(vectors, pictures=[0, 0, 1, 2, 3, 4, 5, 6]))
        library.group()
        assert len(library.faces_of(1) & {1, 2}) == 1
        assert len(library.faces_of(1)) == 7

    def test_a_decision_allows_a_mirror(self) -> None:
        vectors, _ = people(np.random.default_rng(8), [8], 0.4)
        table = table_of(vectors, pictures=[0, 0, 1, 1, 3, 4, 5, 6])
        library = Library(table, constraints=Constraints(together=frozenset({2})))
        plan = library.group()
        assert {1, 2} <= library.faces_of(1)
        assert len(library.faces_of(1) & {3, 4}) == 1
        assert [twice.face_ids for twice in plan.report.suspects] == [(3, 4)]

    def test_clusters_that_share_a_picture_are_two_people(self) -> None:
        """Twins: their centres are near enough for a merge, but they share a picture."""
        rules = GroupingRules(min_faces=3, method="plain")
        one, two = axis(0), near(axis(0), 0.3, axis(1))
        rng = np.random.default_rng(9)
        faces = unit(np.concatenate([one + 0.05 * rng.normal(size=(5, 16)), two + 0.05 * rng.normal(size=(5, 16))]))
        apart = Library(table_of(faces, pictures=[0, 1, 2, 3, 4, 0, 5, 6, 7, 8]), rules=rules)
        apart.points = replace(apart.points, cluster=0.2, match=0.15, near=0.0)
        apart.group()
        assert apart.parts() == {frozenset(range(1, 6)), frozenset(range(6, 11))}
        alone = Library(table_of(faces), points=apart.points, rules=rules)
        alone.group()
        assert alone.parts() == {frozenset(range(1, 11))}


class TestAssertions:
    def test_a_named_person_is_an_identity_with_any_number_of_faces(self) -> None:
        vectors, _ = people(np.random.default_rng(10), [1, 6], 0.5)
        library = Library(table_of(vectors), assertions=told({"p1": [1]}))
        plan = library.group()
        assert [(new.origin, new.people) for new in plan.new if new.people] == [
            ("asserted", frozenset({("anna", "p1")}))
        ]
        assert [(link.source, link.person_id) for link in plan.links] == [("anna", "p1")]
        assert library.faces_of(plan.links[0].identity) == {1}

    def test_bystanders_are_thrown_out_and_reported(self) -> None:
        vectors, _ = people(np.random.default_rng(11), [10, 1, 1], 0.5)
        library = Library(table_of(vectors), assertions=told({"p1": range(1, 13)}))
        plan = library.group()
        assert library.faces_of(1) == set(range(1, 11))
        assert [(one.person_id, one.accepted, one.count, one.face_ids) for one in plan.report.dropped] == [
            ("p1", 10, 2, (11, 12))
        ]

    def test_two_users_who_name_the_same_human_share_an_identity(self) -> None:
        vectors, _ = people(np.random.default_rng(12), [10], 0.5)
        library = Library(
            table_of(vectors), assertions=[*told({"a": range(1, 6)}), *told({"b": range(6, 11)}, source="berta")]
        )
        plan = library.group()
        assert [new.people for new in plan.new] == [frozenset({("anna", "a"), ("berta", "b")})]
        assert library.faces_of(1) == set(range(1, 11))

    def test_one_users_two_people_stay_two_however_alike(self) -> None:
        vectors, _ = people(np.random.default_rng(12), [10], 0.5)
        library = Library(table_of(vectors), assertions=told({"twin": range(1, 6), "other twin": range(6, 11)}))
        library.group()
        assert library.parts() == {frozenset(range(1, 6)), frozenset(range(6, 11))}
        assert not library.plan().report.suggested_merges

    def test_a_name_given_later_stays_with_the_identity_that_has_the_faces(self) -> None:
        vectors, _ = people(np.random.default_rng(13), [10], 0.5)
        library = Library(table_of(vectors))
        library.group()
        library.assertions = told({"p1": [1, 2, 3]})
        plan = library.group()
        assert not plan.new
        assert not plan.joins
        assert [link.identity for link in plan.links] == [1]

    def test_asserted_faces_move_from_where_the_machine_put_them(self) -> None:
        vectors, _ = people(np.random.default_rng(14), [8], 0.5)
        library = Library(table_of(vectors), assertions=told({"p1": range(1, 9)}))
        library.group()
        library.assertions = told({"p1": range(1, 5), "p2": range(5, 9)})
        plan = library.group()
        assert {join.face_id: join.how for join in plan.joins} == dict.fromkeys(range(5, 9), "asserted")
        assert library.parts() == {frozenset(range(1, 5)), frozenset(range(5, 9))}

    def test_but_not_from_where_a_person_put_them(self) -> None:
        vectors, _ = people(np.random.default_rng(15), [6, 6], 0.5)
        library = Library(table_of(vectors))
        library.group()
        other = library.memberships[7]
        library.constraints = Constraints(must={1: other})
        library.group()
        library.assertions = told({"p1": range(1, 7)})
        assert not library.group().joins
        assert library.parts() == {frozenset(range(2, 7)), frozenset([1, *range(7, 13)])}

    def test_an_asserted_face_takes_the_place_of_a_joined_one_in_the_same_picture(self) -> None:
        vectors, _ = people(np.random.default_rng(16), [8], 0.4)
        library = Library(table_of(vectors, pictures=[0, 0, *range(1, 7)]))
        library.group()
        member = (library.faces_of(1) & {1, 2}).pop()
        other = 3 - member
        library.assertions = told({"p1": [other, 3, 4, 5, 6, 7, 8]})
        plan = library.group()
        assert plan.leaves == (member,)
        assert library.faces_of(1) == {other, 3, 4, 5, 6, 7, 8}

    def test_a_person_without_a_usable_face_makes_no_identity(self) -> None:
        library = Library(table_of(np.stack([axis(0)])), assertions=told({"gone": [99]}))
        assert library.plan().is_empty

    def test_names_are_never_part_of_what_can_be_printed(self) -> None:
        library = Library(table_of(np.stack([axis(0)])), assertions=told({"p1": [1]}))
        named = replace(library.assertions[0], label="Anna Example")
        library.assertions = [named]
        assert "Example" not in repr(named) + repr(library.plan())


class TestLocks:
    def library(self) -> Library:
        vectors, _ = people(np.random.default_rng(17), [12], 0.5)
        library = Library(table_of(vectors[:6]))
        library.group()
        library.lock(1)
        library.table = extended(library.table, vectors[6:])
        return library

    def test_a_locked_identity_never_changes_and_its_new_faces_wait(self) -> None:
        library = self.library()
        plan = library.group()
        assert plan.is_empty
        assert plan.report.waiting == 6

    def test_a_locked_identity_gets_a_name_and_still_no_faces(self) -> None:
        library = self.library()
        library.assertions = told({"p1": [1, 2, 3, 4, 5, 7, 8]})
        plan = library.group()
        assert not plan.joins
        assert not plan.new
        assert [link.identity for link in plan.links] == [1]

    def test_a_locked_identity_keeps_what_a_source_gives_to_another(self) -> None:
        library = self.library()
        library.known[1] = replace(library.known[1], people=frozenset({("anna", "p1")}), named_by=("anna", "p1"))
        library.assertions = told({"p1": [7], "p2": range(1, 7)})
        assert library.group().is_empty

    def test_what_a_source_gives_to_a_locked_identity_waits_however_far_it_is(self) -> None:
        centre, older = axis(0), near(axis(0), 0.5, axis(1))
        faces = [near(centre, 0.05, axis(place)) for place in range(3, 9)]
        library = Library(table_of(np.stack(faces)), assertions=told({"p1": range(1, 10)}))
        library.group()
        library.lock(1)
        library.table = extended(library.table, np.stack([near(older, 0.05, axis(place)) for place in range(3, 6)]))
        plan = library.group()
        assert plan.is_empty
        assert plan.report.waiting == 3
        assert not plan.report.dropped

    def test_an_over_split_part_of_a_locked_identity_does_not_become_somebody_new(self) -> None:
        centre = axis(0)
        library = Library(table_of(np.stack([near(centre, 0.04, axis(place)) for place in range(1, 6)])))
        library.group()
        library.lock(1)
        later = np.stack([near(near(centre, 0.25, axis(6)), 0.3, axis(place)) for place in range(8, 14)])
        library.table = extended(library.table, later)
        assert library.group().is_empty

    def test_once_unlocked_it_takes_its_faces(self) -> None:
        library = self.library()
        library.constraints = Constraints(locks={1: False})
        library.group()
        assert len(library.faces_of(1)) == 12

    def test_a_person_may_change_a_locked_identity(self) -> None:
        library = self.library()
        library.constraints = Constraints(must={7: 1}, must_not=frozenset({(1, 1)}), ignored=frozenset({2}))
        plan = library.group()
        assert [(join.face_id, join.how) for join in plan.joins] == [(7, "decided")]
        assert plan.leaves == (1, 2)


class TestDecisions:
    def test_a_moved_face_stays_where_it_was_put(self) -> None:
        vectors, _ = people(np.random.default_rng(18), [6, 6], 0.5)
        library = Library(table_of(vectors), constraints=Constraints())
        library.group()
        target = library.memberships[12]
        library.constraints = Constraints(must={1: target})
        plan = library.group()
        assert [(join.face_id, join.identity, join.how) for join in plan.joins] == [(1, target, "decided")]
        assert 0.5 < plan.joins[0].distance < 1.2

    def test_a_rejected_face_never_comes_back(self) -> None:
        vectors, _ = people(np.random.default_rng(19), [6], 0.5)
        library = Library(table_of(vectors))
        library.group()
        library.constraints = Constraints(must_not=frozenset({(3, 1)}))
        assert library.group().leaves == (3,)
        assert library.group().is_empty

    def test_rejected_faces_may_become_somebody_else(self) -> None:
        vectors, _ = people(np.random.default_rng(19), [10], 0.5)
        library = Library(table_of(vectors))
        library.group()
        library.constraints = Constraints(must_not=frozenset((face, 1) for face in range(6, 11)))
        library.group()
        assert library.parts() == {frozenset(range(1, 6)), frozenset(range(6, 11))}

    def test_an_ignored_face_has_no_identity(self) -> None:
        vectors, _ = people(np.random.default_rng(20), [6], 0.5)
        library = Library(table_of(vectors), constraints=Constraints(ignored=frozenset({2})))
        plan = library.group()
        assert library.faces_of(1) == {1, 3, 4, 5, 6}
        assert plan.report.faces == 5

    def test_merged_identities_become_the_one(self) -> None:
        vectors, _ = people(np.random.default_rng(21), [6, 5], 0.5)
        library = Library(table_of(vectors), assertions=told({"p2": range(7, 12)}))
        library.group()
        named = library.memberships[7]
        other = library.memberships[1]
        library.constraints = Constraints(merged={named: other})
        plan = library.group()
        assert {join.how for join in plan.joins} == {"decided"}
        assert library.parts() == {frozenset(range(1, 12))}
        assert [link.identity for link in plan.links] == [other]
        assert library.group().is_empty

    def test_faces_split_off_get_the_identity_that_was_promised(self) -> None:
        vectors, _ = people(np.random.default_rng(22), [8], 0.5)
        library = Library(table_of(vectors))
        library.group()
        library.constraints = Constraints(must={7: 30, 8: 30}, apart=frozenset({(1, 30)}))
        plan = library.group()
        assert [(new.number, new.origin) for new in plan.new] == [(30, "asserted")]
        assert library.faces_of(30) == {7, 8}
        assert not plan.report.suggested_merges

    def test_a_decided_face_makes_the_other_of_its_picture_leave(self) -> None:
        vectors, _ = people(np.random.default_rng(23), [8], 0.4)
        library = Library(table_of(vectors, pictures=[0, 0, *range(1, 7)]))
        library.group()
        member = (library.faces_of(1) & {1, 2}).pop()
        library.constraints = Constraints(must={3 - member: 1})
        plan = library.group()
        assert plan.leaves == (member,)
        assert [join.face_id for join in plan.joins] == [3 - member]


class TestReport:
    def test_a_library_of_strangers_trips_the_guardrail(self) -> None:
        vectors, _ = people(np.random.default_rng(24), [1] * 20, 0.5)
        report = Library(table_of(vectors)).plan().report
        assert report.singleton_share == 1.0
        assert report.guardrails is not None
        assert len(report.guardrails) == 1
        assert "FACESETS_CLUSTER_DISTANCE" in report.guardrails[0]

    def test_one_heap_of_faces_trips_the_other(self) -> None:
        vectors, _ = people(np.random.default_rng(25), [14, 6], 0.5)
        report = Library(table_of(vectors)).plan().report
        assert (report.singleton_share, report.largest_share) == (0.0, 0.7)
        assert report.guardrails is not None
        assert len(report.guardrails) == 1
        assert "lower" in report.guardrails[0]

    def test_a_face_between_two_people_is_ambiguous(self) -> None:
        one, two = axis(0), near(axis(0), 0.6, axis(1))
        faces = [near(centre, 0.05, axis(place)) for centre in (one, two) for place in range(2, 16)]
        library = Library(table_of(np.stack(faces)))
        library.group()
        nearly, surely = unit((one + 0.99 * two)[None])[0], near(one, 0.03, two)
        assert 1 - surely @ two < 0.45
        library.table = extended(library.table, np.stack([nearly, surely]))
        report = library.group().report
        assert [one.face_id for one in report.ambiguous] == [29]
        assert {report.ambiguous[0].identity, report.ambiguous[0].other} == {1, 2}
        assert 0 < report.ambiguous[0].margin < 0.05

    def test_identities_that_may_be_one_are_suggested_nearest_first(self) -> None:
        one, two = axis(0), near(axis(0), 0.42, axis(1))
        faces = np.stack([near(centre, 0.04, axis(place)) for centre in (one, two) for place in range(3, 9)])
        library = Library(table_of(faces))
        library.points = replace(library.points, cluster=0.2, match=0.42)
        library.group()
        (suggestion,) = library.plan().report.suggested_merges
        assert (suggestion.identity, suggestion.other) == (1, 2)
        assert 0.40 < suggestion.distance < 0.42


METHODS: list[Method] = ["careful", "plain"]


@st.composite
def libraries(draw: st.DrawFn) -> Library:
    """Any library: people, strangers, group pictures, poor faces, named people (some wrongly), and decisions."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=8))
    vectors, who = people(rng, sizes, draw(st.floats(0.2, 1.2)), draw(st.integers(3, 32)))
    n = len(vectors)
    table = table_of(
        vectors,
        face_ids=np.sort(rng.choice(10 * n, size=n, replace=False)) + 1,
        pictures=rng.integers(0, max(1, int(n * draw(st.floats(0.3, 3)))), size=n),
        blur=rng.uniform(30, 90, size=n).astype(np.float32),
    )
    ids = table.face_ids
    assertions = []
    for source in ("anna", "berta"):
        for person in range(draw(st.integers(0, 3))):
            mine = ids[(who == person % len(sizes)) & (rng.random(n) < 0.6) | (rng.random(n) < 0.08)]
            assertions += told({f"p{person}": mine.tolist()}, source)
    method = draw(st.sampled_from(METHODS))
    rules = GroupingRules(method=method, min_faces=draw(st.integers(1, 4)), gate=Gate(90, 40, 0.6))
    library = Library(table, assertions=assertions, rules=rules)
    if draw(st.booleans()):  # the state before this sync
        seen = np.flatnonzero(rng.random(n) < 0.6)
        library.table, library.assertions = table.rows(seen), []
        library.group()
        library.table, library.assertions = table, assertions
    numbers = sorted(library.known) or [1]
    for number in library.known:
        if rng.random() < 0.2:
            library.lock(number)

    def some(share: float) -> list[int]:
        chosen: list[int] = ids[rng.random(n) < share].tolist()
        return chosen

    must = {face: int(rng.choice([*numbers, 77])) for face in some(draw(st.sampled_from([0.0, 0.1])))}
    library.constraints = Constraints(
        must=must,
        must_not=frozenset((face, number) for face in some(0.1) for number in numbers if must.get(face) != number),
        ignored=frozenset(some(0.05)) - must.keys(),
        merged={numbers[-1]: numbers[0]} if len(numbers) > 1 and rng.random() < 0.3 else {},
        together=frozenset(some(draw(st.sampled_from([0.0, 0.2])))),
    )
    if library.constraints.merged:
        library.constraints = replace(
            library.constraints,
            must={face: library.constraints.current(number) for face, number in must.items()},
            must_not=frozenset(
                (face, number)
                for face, number in library.constraints.must_not
                if library.constraints.current(must.get(face, -1)) != number
            ),
        )
    return library


anything = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@anything
@given(libraries())
def test_planning_twice_plans_nothing(library: Library) -> None:
    library.group()
    again = library.plan()
    assert (again.new, again.joins, again.leaves, again.links) == ((), (), (), ())


@anything
@given(libraries(), st.integers(0, 2**32 - 1))
def test_neither_order_of_rows_nor_face_ids_decide_anything(library: Library, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids = library.table.face_ids
    new_id = dict(
        zip(
            ids.tolist(),
            (np.sort(rng.choice(99999, len(ids), replace=False))[rng.permutation(len(ids))]).tolist(),
            strict=True,
        )
    )
    constraints = library.constraints
    order = np.argsort([new_id[face] for face in ids.tolist()])
    other = Library(
        replace(library.table.rows(order), face_ids=np.array([new_id[face] for face in ids[order].tolist()])),
        assertions=[
            replace(one, face_ids=tuple(sorted(new_id[face] for face in one.face_ids))) for one in library.assertions
        ],
        constraints=replace(
            constraints,
            must={new_id[face]: number for face, number in constraints.must.items()},
            must_not=frozenset((new_id[face], number) for face, number in constraints.must_not),
            ignored=frozenset(new_id[face] for face in constraints.ignored),
            together=frozenset(new_id[face] for face in constraints.together),
        ),
        rules=library.rules,
        memberships={new_id[face]: number for face, number in library.memberships.items()},
        known=dict(library.known),
    )
    library.group()
    other.group()
    assert other.memberships == {new_id[face]: number for face, number in library.memberships.items()}
    assert other.known == library.known


@anything
@given(libraries())
def test_decisions_locks_and_pictures_are_always_respected(library: Library) -> None:
    before = dict(library.memberships)
    locked = {number for number, one in library.known.items() if one.is_locked}
    plan = library.group()
    constraints, table = library.constraints, library.table
    merged = constraints.merged
    for face, number in constraints.must.items():
        assert library.memberships[face] == number
    for face, number in constraints.must_not:
        assert library.memberships.get(face) != number
    assert not constraints.ignored & library.memberships.keys()
    by_person = constraints.must.keys() | constraints.ignored | {face for face, _ in constraints.must_not}
    for join in plan.joins:
        assert join.identity not in locked or join.how == "decided"
    for face, number in before.items():
        if number in locked - merged.keys() and face not in by_person:
            beside = {table.pictures[i] for i, other in enumerate(table.face_ids.tolist()) if other in constraints.must}
            assert library.memberships.get(face) == number or table.pictures[table.face_ids == face][0] in beside
    opened = set(table.pictures[np.isin(table.face_ids, list(constraints.together))].tolist())
    seats = [
        (library.memberships[face], picture)
        for face, picture in zip(table.face_ids.tolist(), table.pictures.tolist(), strict=True)
        if face in library.memberships and face not in constraints.must and picture not in opened
    ]
    if not merged:
        assert len(seats) == len(set(seats))


@anything
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 0.9))
def test_a_twin_joins_its_twin(seed: int, spread: float) -> None:
    vectors, _ = people(np.random.default_rng(seed), [6, 5, 3], spread)
    library = Library(table_of(np.concatenate([vectors, vectors])))
    library.group()
    n = len(vectors)
    for face in range(1, n + 1):
        assert library.memberships.get(face) == library.memberships.get(face + n)


class TestComingFromAnotherSpace:
    def test_members_stay_under_their_numbers_with_distances_of_this_space(self) -> None:
        vectors, _ = people(np.random.default_rng(5), [6, 5], 0.5)
        library = Library(table_of(vectors))
        library.group()
        one, two = library.faces_of(1), library.faces_of(2)
        stray = one.pop()
        carried = {face: Carried(1, "asserted") for face in [*one, two.pop()]} | {
            face: Carried(2, "discovered") for face in two
        }
        plan = plan_grouping(
            library.table,
            memberships={},
            known=list(library.known.values()),
            assertions=(),
            constraints=Constraints(),
            thresholds=library.points,
            rules=library.rules,
            next_number=3,
            carried=carried,
            incomplete={1, 2},
        )
        assert {join.face_id: (join.identity, join.how) for join in plan.joins} == {
            **{face: (member.identity, member.how) for face, member in carried.items()},
            stray: (1, "matched"),
        }
        assert (plan.new, plan.leaves) == ((), ())
        assert all(0 <= join.distance < 1.5 for join in plan.joins)
        assert len({join.distance for join in plan.joins}) > 5
