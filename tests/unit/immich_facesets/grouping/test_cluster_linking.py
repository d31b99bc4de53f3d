"""Linking of clusters, against a slow and plain greedy implementation."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import people, table_of, unit
from numpy.typing import NDArray

from immich_facesets.grouping import cluster_linking
from immich_facesets.grouping.cluster_linking import Clusters, Linked, least_likeness, link
from immich_facesets.grouping.contemporaries import Contemporaries

TINY = 1e-9
NO_DATES = Contemporaries(table_of(np.eye(2)), near=0.05, cut=0.65)


def undated(
    sums: NDArray[np.float64],
    weights: NDArray[np.float64],
    pictures: Sequence[set[int]],
    cannot_link: Sequence[set[int]],
    anchors: int,
) -> Clusters:
    """Clusters of faces of which no date is known."""
    rows = [np.empty(0, dtype=np.intp) for _ in weights]
    return Clusters(sums, weights, pictures, cannot_link, anchors, rows, NO_DATES)


def singles(vectors: NDArray[np.floating], *, anchors: int = 0, pictures: Sequence[set[int]] | None = None) -> Clusters:
    """Each face is a cluster, which may join any other unless a cannot-link forbids it."""
    k = len(vectors)
    places = [set[int]() for _ in range(k)] if pictures is None else pictures
    return undated(vectors.astype(np.float64), np.ones(k), places, [set() for _ in range(k)], anchors)


def on_circle(*degrees: float) -> NDArray[np.float64]:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def likeness_of(clusters: Clusters, one: Sequence[int], two: Sequence[int]) -> float:
    """The definition, computed from sums and weights."""
    sum_one, sum_two = clusters.sums[list(one)].sum(axis=0), clusters.sums[list(two)].sum(axis=0)
    weight_one, weight_two = clusters.weights[list(one)].sum(), clusters.weights[list(two)].sum()
    length_one, length_two = np.linalg.norm(sum_one), np.linalg.norm(sum_two)
    return float(sum_one @ sum_two / np.sqrt(weight_one * length_one * weight_two * length_two))


def may(clusters: Clusters, one: Sequence[int], two: Sequence[int]) -> bool:
    """Return whether no constraint separates two groups."""
    anchor_one, anchor_two = ({place for place in group if place < clusters.anchors} for group in (one, two))
    barred_one, barred_two = (set().union(*(clusters.cannot_link[place] for place in group)) for group in (one, two))
    seats_one, seats_two = (set().union(*(clusters.pictures[place] for place in group)) for group in (one, two))
    if anchor_one and anchor_two:
        return False
    return not (anchor_one & barred_two or anchor_two & barred_one or seats_one & seats_two)


def torn_between(
    clusters: Clusters, groups: Sequence[Sequence[int]], group: Sequence[int], least: float, margin: float
) -> tuple[int, int] | None:
    """The two anchors between which a group is ambiguous, the better one first."""
    if min(group) < clusters.anchors:
        return None
    possible = sorted(
        (
            (likeness_of(clusters, other, group), -min(other))
            for other in groups
            if min(other) < clusters.anchors and may(clusters, other, group)
        ),
        reverse=True,
    )
    if len(possible) < 2 or possible[1][0] < least or possible[0][0] - possible[1][0] >= margin:
        return None
    return -possible[0][1], -possible[1][1]


def plain_link(clusters: Clusters, least: float, margin: float) -> Linked:
    """Merge the two most similar first, with all similarities computed anew each time."""
    groups = [[place] for place in range(len(clusters.weights))]
    while True:
        ambiguous = {min(group): torn_between(clusters, groups, group, least, margin) for group in groups}
        pairs = [
            (likeness_of(clusters, one, two), one, two)
            for one, two in combinations(groups, 2)
            if may(clusters, one, two)
            and not (min(one) < clusters.anchors and ambiguous[min(two)])
            and not (min(two) < clusters.anchors and ambiguous[min(one)])
        ]
        likeness, one, two = max(pairs, default=(-2.0, [], []))
        if likeness < least:
            return Linked(groups, {place: pair for place, pair in ambiguous.items() if pair is not None})
        groups = [group for group in groups if group not in (one, two)] + [one + two]


def parts(linked: Linked) -> set[frozenset[int]]:
    return {frozenset(group) for group in linked.groups}


@st.composite
def some_clusters(draw: st.DrawFn, most: int = 14) -> Clusters:
    """People around centres, with various spreads, weights and confidences, with cannot-links and anchors."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    k = draw(st.integers(0, most))
    d = draw(st.sampled_from([3, 8, 128]))
    centres = unit(rng.normal(size=(draw(st.integers(1, 4)), d)))
    spread = draw(st.floats(0.2, 1.4))
    vectors = unit(centres[rng.integers(len(centres), size=k)] + spread / np.sqrt(d) * rng.normal(size=(k, d)))
    weights = np.ones(k)
    sums = vectors.astype(np.float64)
    if draw(st.booleans()):  # clusters rather than single faces: larger weights, shorter means
        weights = np.ceil(rng.pareto(1.0, size=k) + TINY)
        sums *= (weights * rng.uniform(0.3, 1.0, size=k))[:, None]
    anchors = draw(st.integers(0, min(k, 5)))
    pictures = draw(st.integers(1, 4)) * k + 1
    seats = [set(rng.integers(pictures, size=rng.integers(3)).tolist()) for _ in range(k)]
    barred = [
        set(rng.integers(anchors, size=rng.integers(3)).tolist()) if anchors and place >= anchors else set()
        for place in range(k)
    ]
    return undated(sums, weights, seats, barred, anchors)


LEAST = st.sampled_from([0.3, 0.39, 0.5, 0.6])
MARGIN = st.sampled_from([0.0, 0.05, 0.2])


class TestAnyClusters:
    @settings(max_examples=100)
    @given(clusters=some_clusters(40), least=LEAST, margin=MARGIN)
    def test_no_face_is_lost_and_no_cannot_link_is_violated(
        self, clusters: Clusters, least: float, margin: float
    ) -> None:
        linked = link(clusters, least=least, margin=margin)
        assert sorted(place for group in linked.groups for place in group) == list(range(len(clusters.weights)))
        for group in linked.groups:
            assert group[0] == min(group)
            assert sum(place < clusters.anchors for place in group) <= 1
            assert sum(len(clusters.pictures[place]) for place in group) == len(
                set().union(*(clusters.pictures[place] for place in group))
            )
            assert not any(group[0] in clusters.cannot_link[place] for place in group)

    @settings(max_examples=100)
    @given(clusters=some_clusters(40), least=LEAST, margin=MARGIN)
    def test_similar_clusters_are_linked_or_ambiguous(self, clusters: Clusters, least: float, margin: float) -> None:
        linked = link(clusters, least=least, margin=margin)
        for one, two in combinations(linked.groups, 2):
            has_anchor = min(*one, *two) < clusters.anchors
            if has_anchor and (one[0] in linked.ambiguous or two[0] in linked.ambiguous):
                continue
            assert not may(clusters, one, two) or likeness_of(clusters, one, two) < least + TINY

    @settings(max_examples=100)
    @given(clusters=some_clusters(40), least=LEAST, margin=MARGIN)
    def test_who_is_torn_has_two_anchors_hardly_less_alike_than_each_other(
        self, clusters: Clusters, least: float, margin: float
    ) -> None:
        linked = link(clusters, least=least, margin=margin)
        expected = {min(group): torn_between(clusters, linked.groups, group, least, margin) for group in linked.groups}
        assert linked.ambiguous == {place: pair for place, pair in expected.items() if pair is not None}

    @settings(max_examples=100)
    @given(clusters=some_clusters(), least=LEAST, margin=MARGIN)
    def test_the_same_as_comparing_everything_anew_each_time(
        self, clusters: Clusters, least: float, margin: float
    ) -> None:
        linked, plain = link(clusters, least=least, margin=margin), plain_link(clusters, least, margin)
        assert parts(linked) == parts(plain)
        assert linked.ambiguous == plain.ambiguous

    @settings(max_examples=100)
    @given(clusters=some_clusters(40), least=LEAST, margin=MARGIN, seed=st.integers(0, 2**32 - 1))
    def test_the_order_of_clusters_decides_nothing(
        self, clusters: Clusters, least: float, margin: float, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        anchors, k = clusters.anchors, len(clusters.weights)
        old = np.concatenate([rng.permutation(anchors), anchors + rng.permutation(k - anchors)]).astype(np.intp)
        new = np.argsort(old)
        mixed = undated(
            clusters.sums[old],
            clusters.weights[old],
            [clusters.pictures[place] for place in old],
            [{int(new[anchor]) for anchor in clusters.cannot_link[place]} for place in old],
            anchors,
        )
        linked, again = link(clusters, least=least, margin=margin), link(mixed, least=least, margin=margin)
        assert parts(linked) == {frozenset(old[group].tolist()) for group in again.groups}
        assert sorted(linked.ambiguous.values()) == sorted(
            (int(old[a]), int(old[b])) for a, b in again.ambiguous.values()
        )

    @given(clusters=some_clusters(), margin=MARGIN)
    def test_nothing_is_linked_above_a_similarity_of_one(self, clusters: Clusters, margin: float) -> None:
        linked = link(clusters, least=1.0 + TINY, margin=margin)
        assert linked == Linked([[place] for place in range(len(clusters.weights))], {})

    @given(clusters=some_clusters(), least=LEAST)
    def test_what_is_given_stays_as_it_is(self, clusters: Clusters, least: float) -> None:
        sums, weights = clusters.sums.copy(), clusters.weights.copy()
        seats, barred = [set(one) for one in clusters.pictures], [set(one) for one in clusters.cannot_link]
        link(clusters, least=least, margin=0.05)
        assert (clusters.sums == sums).all()
        assert (clusters.weights == weights).all()
        assert (clusters.pictures, clusters.cannot_link) == (seats, barred)


class TestSmallCases:
    @pytest.mark.parametrize("anchors", [0, 1])
    def test_one_alone_stays_alone(self, anchors: int) -> None:
        assert link(singles(np.ones((1, 1)), anchors=anchors), least=0.5, margin=0.05) == Linked([[0]], {})

    def test_of_no_faces_there_are_no_groups(self) -> None:
        assert link(singles(np.zeros((0, 4))), least=0.5, margin=0.05) == Linked([], {})

    def test_anchors_alone_stay_apart_however_alike(self) -> None:
        assert link(singles(np.ones((4, 1)), anchors=4), least=0.5, margin=0.05).groups == [[0], [1], [2], [3]]

    def test_equal_faces_are_one_person(self) -> None:
        assert parts(link(singles(np.ones((5, 1))), least=0.5, margin=0.05)) == {frozenset(range(5))}

    def test_equal_faces_join_the_only_anchor_and_are_torn_between_two(self) -> None:
        assert link(singles(np.ones((4, 1)), anchors=1), least=0.5, margin=0.05).groups[0][0] == 0
        ambiguous = link(singles(np.ones((4, 1)), anchors=2), least=0.5, margin=0.05)
        assert parts(ambiguous) == {frozenset({0}), frozenset({1}), frozenset({2, 3})}
        assert ambiguous.ambiguous == {2: (0, 1)}

    @pytest.mark.parametrize("least", [0.0, -0.2, -1.0])
    def test_a_cut_so_wide_that_opposites_are_one_person_is_obeyed(self, least: float) -> None:
        faces = on_circle(0, np.degrees(np.arccos(max(-1.0, least + 0.01) if least > -1 else -1.0)))
        assert len(link(singles(faces), least=least - TINY, margin=0.05).groups) == 1
        if least > -1:
            assert len(link(singles(faces), least=least + 0.02, margin=0.05).groups) == 2

    def test_a_likeness_and_a_margin_that_are_just_reached_are_enough(self) -> None:
        assert len(link(singles(np.eye(2)), least=0.0, margin=0.05).groups) == 1
        assert link(singles(np.ones((3, 1)), anchors=2), least=0.5, margin=0.0) == Linked([[0, 2], [1]], {})

    @pytest.mark.parametrize("cells", [1, 50, 1000])
    def test_in_how_many_blocks_faces_are_compared_decides_nothing(
        self, cells: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vectors, _ = people(np.random.default_rng(1), [6, 5, 4, 1, 1, 1], spread=0.8)
        faces = singles(vectors[np.random.default_rng(2).permutation(18)], anchors=2)
        expected = link(faces, least=0.45, margin=0.05)
        monkeypatch.setattr(cluster_linking, "BLOCK_CELLS", cells)
        assert link(faces, least=0.45, margin=0.05) == expected
        assert 4 <= len(expected.groups) <= 8

    def test_single_faces_are_as_alike_as_their_cosine_says(self) -> None:
        faces = on_circle(0, 60)
        assert len(link(singles(faces), least=0.5 - TINY, margin=0.05).groups) == 1
        assert len(link(singles(faces), least=0.5 + TINY, margin=0.05).groups) == 2

    def test_a_cut_of_average_linkage_means_the_same_for_pairs_as_long_as_those_of_faces_are(self) -> None:
        """Two pairs, each with a mean of that length, whose members are as far apart as the cut."""
        sums = 2 * np.sqrt(0.8) * on_circle(0, np.degrees(np.arccos(0.45 / 0.8)))
        for change, groups in ((-1e-6, 1), (1e-6, 2)):
            pairs = undated(sums, np.full(2, 2.0), [set(), set()], [set(), set()], 0)
            assert len(link(pairs, least=least_likeness(0.55) + change, margin=0.05).groups) == groups

    def test_sure_means_are_trusted_more_than_single_faces(self) -> None:
        faces = on_circle(0, 70)
        several = undated(faces * 6, np.full(2, 10.0), [set(), set()], [set(), set()], 0)
        assert likeness_of(several, [0], [1]) == pytest.approx(np.cos(np.radians(70)) * 0.6)
        assert len(link(singles(faces), least=0.3, margin=0.05).groups) == 1
        assert len(link(several, least=0.3, margin=0.05).groups) == 2

    def test_whom_a_merger_takes_a_seat_from_stays_outside(self) -> None:
        """The two nearest merge first, and the third shares a picture with one of them."""
        faces = singles(on_circle(0, 10, 25), pictures=[{1}, {2}, {1}])
        assert parts(link(faces, least=0.5, margin=0.05)) == {frozenset({0, 1}), frozenset({2})}

    def test_a_cannot_link_holds_for_merged_clusters(self) -> None:
        faces = singles(on_circle(0, 20, 25), anchors=1)
        faces.cannot_link[2].add(0)
        assert parts(link(faces, least=0.5, margin=0.05)) == {frozenset({0}), frozenset({1, 2})}

    def test_clusters_brought_near_by_a_merge_merge_in_turn(self) -> None:
        """Two pairs without near faces, which are more similar as pairs than one of them and a fifth face."""
        likeness = np.eye(5)
        for one, two, cosine in [(0, 1, 0.6), (2, 3, 0.6), (2, 4, 0.52), (3, 4, 0.45), (0, 4, 0.1), (1, 4, 0.1)]:
            likeness[one, two] = likeness[two, one] = cosine
        likeness[:2, 2:4] = likeness[2:4, :2] = 0.48
        faces = singles(np.linalg.cholesky(likeness))
        assert likeness_of(faces, [0, 1], [2, 3]) > likeness_of(faces, [2, 3], [4]) > 0.5
        assert parts(link(faces, least=0.5, margin=0.05)) == {frozenset({0, 1, 2, 3}), frozenset({4})}

    def test_two_people_whose_faces_are_all_far_apart_are_one_when_their_means_say_so(self) -> None:
        """
        Distances of 0.5 within each and of 0.6 between both: below the candidate limit until means are long enough.
        """
        likeness = np.kron(np.eye(2), np.full((20, 20), 0.10)) + 0.40 + 0.5 * np.eye(40)
        faces = np.linalg.cholesky(likeness)
        assert likeness[0, 20] < 0.49**1.25
        linked = link(singles(faces), least=0.49, margin=0.05)
        assert parts(linked) == parts(plain_link(singles(faces), 0.49, 0.05)) == {frozenset(range(40))}


class TestTorn:
    def test_a_face_between_two_anchors_joins_none(self) -> None:
        linked = link(singles(on_circle(0, 50, 24), anchors=2), least=0.5, margin=0.05)
        assert linked == Linked([[0], [1], [2]], {2: (0, 1)})

    def test_a_face_much_more_like_one_joins_it(self) -> None:
        linked = link(singles(on_circle(0, 50, 10), anchors=2), least=0.5, margin=0.05)
        assert linked == Linked([[0, 2], [1]], {})

    def test_an_anchor_that_must_not_be_or_is_too_far_makes_no_doubt(self) -> None:
        barred = singles(on_circle(0, 50, 24), anchors=2)
        barred.cannot_link[2].add(0)
        seated = singles(on_circle(0, 50, 24), anchors=2, pictures=[{7}, set(), {7}])
        for faces in (barred, seated):
            assert link(faces, least=0.5, margin=0.05) == Linked([[0], [1, 2]], {})
        assert link(singles(on_circle(0, 50, 24), anchors=2), least=0.9, margin=0.05) == Linked([[0, 2], [1]], {})

    def test_of_three_anchors_the_best_two_are_told(self) -> None:
        linked = link(singles(on_circle(58, 0, 50, 24), anchors=3), least=0.5, margin=0.05)
        assert linked.ambiguous == {3: (1, 2)}

    def test_doubt_ends_when_one_of_the_two_finds_others(self) -> None:
        """The second anchor gets a face on its far side, which moves it away from the face in between."""
        faces = on_circle(0, 50, 24, 80)
        assert link(singles(faces[:3], anchors=2), least=0.5, margin=0.05).ambiguous == {2: (0, 1)}
        assert link(singles(faces, anchors=2), least=0.5, margin=0.05) == Linked([[0, 2], [1, 3]], {})

    def test_doubt_ends_when_a_merger_takes_the_seat_at_one_of_the_two(self) -> None:
        faces = singles(on_circle(0, 50, 24, 51), anchors=2, pictures=[set(), set(), {9}, {9}])
        assert link(faces, least=0.5, margin=0.05) == Linked([[0, 2], [1, 3]], {})

    def test_who_is_torn_may_still_merge_with_others_who_settle_it(self) -> None:
        faces = singles(on_circle(0, 50, 24, 52), anchors=2)
        faces.cannot_link[3].add(1)
        assert link(faces, least=0.5, margin=0.05) == Linked([[0, 2, 3], [1]], {})
