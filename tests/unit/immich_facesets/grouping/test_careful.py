"""The careful grouping method: good faces first, poor ones last, ambiguous faces, and dates of birth."""

from dataclasses import replace

import numpy as np
import pytest
from hard_library import HardLibrary, hard_library
from mixtures import Library, extended, people, table_of, told, unit
from numpy.typing import NDArray

from immich_facesets.clustering.linkage import average_linkage
from immich_facesets.clustering.neighbour_graph import NearPairs
from immich_facesets.evaluation.baselines import immich_labels
from immich_facesets.evaluation.from_scratch import partition
from immich_facesets.evaluation.metrics import bcubed
from immich_facesets.grouping.changes import Former
from immich_facesets.grouping.plan import Assertion, FaceTable, GroupingRules, Known, plan_grouping
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.spaces import operating_points

POINTS = replace(operating_points("w600k_mbf"), near=0.01)
CUTS = (0.5, 0.55, 0.6, 0.65, 0.7)


@pytest.fixture(scope="module", params=[900, pytest.param(2500, marks=pytest.mark.slow)])
def hard(request: pytest.FixtureRequest) -> HardLibrary:
    return hard_library(seed=21, faces=request.param, family=25)


def test_a_hard_library_is_grouped_better_than_by_any_cut_of_average_linkage(hard: HardLibrary) -> None:
    ours = bcubed(hard.who, partition(hard.table(), POINTS, GroupingRules()))
    linked = [bcubed(hard.who, average_linkage(hard.vectors, cut)) for cut in CUTS]
    best = max(linked, key=lambda score: score.f)
    assert ours.f >= best.f + 0.02
    assert ours.precision >= best.precision
    assert ours.precision >= 0.999


def test_the_plain_method_can_be_chosen_and_is_another(hard: HardLibrary) -> None:
    plain = bcubed(hard.who, partition(hard.table(), POINTS, GroupingRules(method="plain")))
    careful = bcubed(hard.who, partition(hard.table(), POINTS, GroupingRules()))
    assert plain.f < careful.f
    assert plain.precision < careful.precision


def grown(table: FaceTable, batches: list[NDArray[np.intp]], rules: GroupingRules, *, fresh: bool) -> list[int]:
    """The labels after one sync for each batch; ``fresh``: all but the first group new faces only."""
    library = Library(table.rows(batches[0][:0]), rules=rules, points=POINTS)
    seen = batches[0][:0]
    for batch in batches:
        library.fresh = frozenset(table.face_ids[batch].tolist()) if fresh and len(seen) else None
        seen = np.sort(np.concatenate([seen, batch]))
        library.table = table.rows(seen)
        library.group()
    return library.labels()


@pytest.mark.parametrize("by", ["chance", "date"])
def test_many_small_syncs_end_in_the_people_of_one_large_one(hard: HardLibrary, by: str) -> None:
    table, rules = hard.table(), GroupingRules(min_faces=6)
    n = len(table)
    order = np.argsort(hard.taken, kind="stable") if by == "date" else np.random.default_rng(0).permutation(n)
    once = grown(table, [np.arange(n)], rules, fresh=False)
    bits = grown(table, np.array_split(order, 4), rules, fresh=True)
    assert bcubed(once, bits).f >= 0.99
    assert bcubed(hard.who, bits).precision >= 0.999


def test_what_came_is_grouped_as_if_all_had_been_looked_at_again(hard: HardLibrary) -> None:
    table, rules = hard.table(), GroupingRules(min_faces=6)
    batches = np.array_split(np.random.default_rng(1).permutation(len(table)), 3)
    assert bcubed(grown(table, batches, rules, fresh=False), grown(table, batches, rules, fresh=True)).f >= 0.999


def test_left_over_faces_are_looked_at_again_when_one_like_them_comes() -> None:
    vectors, _ = people(np.random.default_rng(2), [6], 0.5)
    library = Library(table_of(vectors[:3]), rules=GroupingRules(min_faces=4))
    library.group()
    assert not library.memberships
    library.table, library.fresh = table_of(vectors[:4]), frozenset([4])
    library.group()
    assert library.parts() == {frozenset({1, 2, 3, 4})}


def test_left_over_faces_are_looked_at_again_when_somebody_near_grew() -> None:
    base = np.eye(8, dtype=np.float32)
    clear = unit(np.stack([base[0] + 0.25 * base[place] for place in range(1, 6)]))
    poor = unit((base[0] + 0.5 * base[6] + 0.75 * base[7])[None])
    nearer = unit(np.stack([base[0] + 0.5 * base[6] + 0.25 * base[7]] * 1))
    table = table_of(np.concatenate([clear, poor]), blur=np.array([100] * 5 + [10], dtype=np.float32))
    points = replace(POINTS, match=0.24, cluster=0.65)
    library = Library(table, rules=GroupingRules(min_faces=3), points=points)
    library.group()
    assert library.faces_of(1) == {1, 2, 3, 4, 5}
    more = extended(table, np.concatenate([nearer, nearer + 0.3 * base[1], nearer + 0.3 * base[2]]))
    library.table, library.fresh = more, frozenset({7, 8, 9})
    library.group()
    assert 6 in library.faces_of(1)


def test_left_over_faces_are_looked_at_again_when_somebody_like_them_gets_a_name() -> None:
    vectors, _ = people(np.random.default_rng(3), [6], 0.5)
    library = Library(table_of(vectors), rules=GroupingRules(min_faces=10))
    library.group()
    assert not library.memberships
    library.fresh, library.assertions = frozenset(), told({"mira": [1, 2]})
    library.group()
    assert library.faces_of(1) == {1, 2, 3, 4, 5, 6}


def test_a_face_between_two_identities_joins_neither_and_is_reported() -> None:
    base = np.eye(12, dtype=np.float32)
    one = [base[0] + 0.2 * base[place] for place in range(2, 6)]
    two = [base[1] + 0.2 * base[place] for place in range(6, 10)]
    library = Library(table_of(unit(np.stack(one + two))), rules=GroupingRules(min_faces=3), points=POINTS)
    library.group()
    library.table = extended(library.table, unit((base[0] + base[1])[None]))
    library.fresh = frozenset({9})
    plan = library.group()
    assert 9 not in library.memberships
    (torn,) = [found for found in plan.report.ambiguous if not found.is_member]
    assert (torn.face_id, {torn.identity, torn.other}) == (9, {1, 2})
    assert torn.margin < 0.01


def test_poor_faces_found_no_identity_and_move_no_face() -> None:
    vectors, _ = people(np.random.default_rng(5), [12], 0.4)
    poor = table_of(vectors, blur=10)
    library = Library(poor, rules=GroupingRules(min_faces=3))
    assert not library.group().new
    blur = np.array([100] * 4 + [10] * 8, dtype=np.float32)
    library = Library(table_of(vectors, blur=blur), rules=GroupingRules(min_faces=3))
    plan = library.group()
    centre = unit(vectors[:4].mean(axis=0)[None])[0]
    assert library.faces_of(1) >= {1, 2, 3, 4}
    for join in plan.joins:
        if join.face_id > 4:
            assert join.distance == pytest.approx(1 - float(vectors[join.face_id - 1] @ centre), abs=1e-5)


def test_a_poor_face_that_cannot_be_the_nearest_joins_the_next() -> None:
    base = np.eye(12, dtype=np.float32)
    one = [base[0] + 0.2 * base[place] for place in range(2, 6)]
    two = [0.8 * base[0] + 0.6 * base[1] + 0.2 * base[place] for place in range(6, 10)]
    poor = unit((0.95 * base[0] + 0.31 * base[1])[None])
    vectors = np.concatenate([unit(np.stack(one + two)), poor])
    blur = np.array([100] * 8 + [10], dtype=np.float32)
    points = replace(POINTS, match=0.15, cluster=0.2, merge=0.1)
    library = Library(table_of(vectors, blur=blur), rules=GroupingRules(min_faces=3), points=points)
    library.group()
    assert 9 not in library.memberships, "two identities are equally near"
    first, second = (next(n for n in library.known if face in library.faces_of(n)) for face in (1, 5))
    library.constraints = Constraints(must_not=frozenset({(9, first)}))
    library.group()
    assert 9 in library.faces_of(second)


def test_an_identity_of_poor_faces_gets_no_faces_and_ends_when_all_are_placed_anew() -> None:
    vectors, _ = people(np.random.default_rng(6), [8], 0.3)
    library = Library(table_of(vectors[:6]), rules=GroupingRules(min_faces=6))
    library.group()
    assert len(library.faces_of(1)) == 6
    blur = np.array([10] * 5 + [100] * 3, dtype=np.float32)  # measured anew: five of them are bad
    library.table, library.fresh = table_of(vectors, blur=blur), frozenset({7, 8})
    library.group()
    assert library.faces_of(1) == {1, 2, 3, 4, 5, 6}
    library.fresh = None
    plan = library.group()
    assert not library.memberships
    assert plan.dissolved == tuple(Former(face, 1) for face in range(1, 7))


def test_a_named_person_takes_any_number_of_faces() -> None:
    vectors, _ = people(np.random.default_rng(11), [4], 0.3)
    library = Library(table_of(vectors[:2]), rules=GroupingRules(min_faces=10), assertions=told({"mira": [1, 2]}))
    library.group()
    library.table = table_of(vectors)
    library.group()
    assert library.faces_of(1) == {1, 2, 3, 4}


def test_who_looks_like_somebody_not_yet_born_is_somebody_else() -> None:
    vectors, _ = people(np.random.default_rng(12), [10], 0.3)
    table = table_of(vectors, taken=np.array([5000.0] * 5 + [500.0] * 5))
    plan = plan_grouping(
        table,
        memberships=dict.fromkeys([1, 2, 3, 4, 5], 1),
        known=[Known(1, "asserted", is_locked=False, people=frozenset(), born=1000.0)],
        assertions=(),
        constraints=Constraints(),
        thresholds=POINTS,
        rules=GroupingRules(min_faces=3),
        next_number=2,
    )
    assert [(join.face_id, join.identity) for join in plan.joins] == [(face, 2) for face in range(6, 11)]


def test_no_person_is_found_on_a_picture_older_than_the_person() -> None:
    vectors, _ = people(np.random.default_rng(7), [8], 0.3)
    table = table_of(vectors, taken=np.array([5000.0] * 5 + [900, 1100, np.nan]))
    known = [Known(1, "asserted", is_locked=False, people=frozenset(), born=1000.0)]
    plan = plan_grouping(
        table,
        memberships=dict.fromkeys([1, 2, 3, 4, 5], 1),
        known=known,
        assertions=(),
        constraints=Constraints(),
        thresholds=POINTS,
        rules=GroupingRules(min_faces=3),
        next_number=2,
    )
    assert [(join.face_id, join.identity) for join in plan.joins] == [(7, 1), (8, 1)]


def test_a_birthday_counts_in_the_very_sync_that_links_its_person() -> None:
    vectors, _ = people(np.random.default_rng(7), [9], 0.3)
    table = table_of(vectors, taken=np.array([5000.0] * 6 + [900, 900, np.nan]))
    mira = Assertion("anna", "p", "Mira", tuple(range(1, 9)), born=1000.0)  # the last two are older than the birthday
    for fresh in (None, frozenset[int]()):
        plan = plan_grouping(
            table,
            memberships=dict.fromkeys(range(1, 10), 1) if fresh is not None else {},
            known=[Known(1, "discovered", is_locked=False, people=frozenset())] if fresh is not None else [],
            assertions=[mira],
            constraints=Constraints(),
            thresholds=POINTS,
            rules=GroupingRules(min_faces=3),
            next_number=2 if fresh is not None else 1,
            fresh=fresh,
        )
        if fresh is None:
            assert {join.face_id for join in plan.joins if join.identity == 1} == {1, 2, 3, 4, 5, 6, 9}
        assert [link.identity for link in plan.links] == [1]


def test_a_birthday_that_comes_later_takes_older_pictures_out_again() -> None:
    vectors, _ = people(np.random.default_rng(7), [8], 0.3)
    table = table_of(vectors, taken=np.array([5000.0] * 5 + [900, 1100, np.nan]))

    def leaving(constraints: Constraints, *, is_locked: bool = False) -> tuple[int, ...]:
        return plan_grouping(
            table,
            memberships=dict.fromkeys(range(1, 9), 1),
            known=[Known(1, "asserted", is_locked=is_locked, people=frozenset({("anna", "p")}), born=1000.0)],
            assertions=[Assertion("anna", "p", "Mira", tuple(range(1, 9)), born=1000.0)],
            constraints=constraints,
            thresholds=POINTS,
            rules=GroupingRules(min_faces=3),
            next_number=2,
            fresh=frozenset(),
        ).leaves

    assert leaving(Constraints()) == (6,)
    assert leaving(Constraints(must={6: 1})) == (), "a person decided it"
    assert leaving(Constraints(), is_locked=True) == (), "nor does grouping change what is locked"


def test_two_birthdays_of_one_person_bar_only_what_is_before_both() -> None:
    vectors, _ = people(np.random.default_rng(13), [8], 0.3)
    table = table_of(vectors, taken=np.array([5000.0] * 6 + [1500.0, 500.0]))
    plan = plan_grouping(
        table,
        memberships=dict.fromkeys([1, 2, 3], 1) | dict.fromkeys([4, 5, 6], 2),
        known=[Known(n, "asserted", is_locked=False, people=frozenset(), born=n * 1000.0) for n in (1, 2)],
        assertions=(),
        constraints=Constraints(merged={2: 1}),
        thresholds=POINTS,
        rules=GroupingRules(min_faces=3),
        next_number=3,
    )
    assert [(join.face_id, join.identity) for join in plan.joins] == [(4, 1), (5, 1), (6, 1), (7, 1)]


def test_what_a_person_decided_has_no_confidence_of_ours() -> None:
    vectors, _ = people(np.random.default_rng(14), [6, 6], 0.5)
    library = Library(table_of(vectors), rules=GroupingRules(min_faces=3))
    library.group()
    library.constraints = Constraints(must={1: library.memberships[7]})
    assert [(join.face_id, join.how, join.confidence) for join in library.group().joins] == [(1, "decided", None)]


def test_a_displaced_face_is_grouped_again_without_new_faces() -> None:
    axes = np.eye(24)
    mira = unit(axes[0] + 0.2 * axes[2:7])
    nora = unit(axes[1] + 0.2 * axes[7:12])
    between = unit((1.1 * axes[0] + axes[1])[None])
    hers = unit((axes[0] + 0.3 * axes[12])[None])
    table = table_of(np.concatenate([mira, nora, between, hers]), pictures=[*range(11), 10])
    library = Library(table, rules=GroupingRules(min_faces=3), points=POINTS, fresh=frozenset())
    library.assertions = told({"mira": [1, 2, 3, 4, 5, 11, 12]})
    library.memberships = dict.fromkeys([1, 2, 3, 4, 5, 11, 12], 1) | dict.fromkeys([6, 7, 8, 9, 10], 2)
    library.known = {
        1: Known(1, "asserted", is_locked=False, people=frozenset({("anna", "mira")})),
        2: Known(2, "discovered", is_locked=False, people=frozenset()),
    }
    library.group()
    assert library.memberships[12] == 1
    assert library.memberships[11] == 2


def test_a_membership_has_a_confidence_and_an_alternative_lowers_it() -> None:
    rng = np.random.default_rng(8)
    vectors, _ = people(rng, [10, 10], 0.6, d=128)
    library = Library(table_of(vectors), rules=GroupingRules(min_faces=3), points=POINTS)
    sure = [join.confidence for join in library.group().joins]
    assert min(one for one in sure if one is not None) > 0.99
    between = unit((vectors[:10].mean(axis=0) * 1.25 + vectors[10:].mean(axis=0))[None])
    library.table = extended(library.table, between)
    (join,) = library.group().joins
    assert join.confidence is not None
    assert join.confidence < 0.95


def test_a_face_is_no_evidence_for_itself() -> None:
    alone = unit(np.random.default_rng(9).normal(size=(1, 32)))
    library = Library(table_of(alone), rules=GroupingRules(min_faces=1))
    (join,) = library.group().joins
    assert join.confidence is None


def test_ours_beats_immichs_own_rule_on_the_hard_library(hard: HardLibrary) -> None:
    ours = bcubed(hard.who, partition(hard.table(), POINTS, GroupingRules()))
    theirs = bcubed(hard.who, immich_labels(NearPairs.within(hard.vectors, 0.5)))
    assert ours.f >= theirs.f + 0.02
    assert ours.precision >= theirs.precision
