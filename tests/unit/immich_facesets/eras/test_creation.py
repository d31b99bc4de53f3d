"""Creation of eras: periods of a person, never merged across years."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import Vectors, table_of, unit
from numpy.typing import NDArray

from immich_facesets.eras import Era, EraRules, dominant_year, probe, split
from immich_facesets.faces import Gate
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.spaces import OperatingPoints

RULES = EraRules()


def life(
    rng: np.random.Generator, sizes: list[int], step: float, noise: float = 0.35, d: int = 64
) -> tuple[Vectors, NDArray[np.int64]]:
    """Faces of one person whose looks turn by ``step`` radians from period to period, and the period of each."""
    basis = np.linalg.qr(rng.normal(size=(d, 2)))[0]
    when = np.repeat(np.arange(len(sizes)), sizes)
    centres = np.stack([np.cos(step * when), np.sin(step * when)], axis=1) @ basis.T
    return unit(centres + noise / np.sqrt(d) * rng.normal(size=(len(when), d))), when


def eras_of(table: FaceTable, years: list[int | None], rules: EraRules = RULES) -> list[Era]:
    return list(split(table, years, rules=rules))


class TestSplit:
    def test_two_periods_become_two_eras_in_order(self) -> None:
        vectors, when = life(np.random.default_rng(0), [25, 30], 1.0)
        eras = eras_of(table_of(vectors), [2010 + 8 * int(period) for period in when])
        assert [(era.from_year, era.to_year, len(era.face_ids), era.is_thin) for era in eras] == [
            (2010, 2010, 25, False),
            (2018, 2018, 30, False),
        ]
        assert eras[0].face_ids == tuple(range(1, 26))

    def test_one_period_is_one_era(self) -> None:
        vectors, _ = life(np.random.default_rng(1), [40], 0)
        (era,) = eras_of(table_of(vectors), [2010 + face // 10 for face in range(40)])
        assert (era.from_year, era.to_year, era.is_thin) == (2010, 2013, False)

    def test_fewer_than_twenty_faces_are_thin(self) -> None:
        vectors, _ = life(np.random.default_rng(2), [19], 0)
        (era,) = eras_of(table_of(vectors), [2010] * 19)
        assert era.is_thin

    @pytest.mark.parametrize(("year", "joins"), [(2010, True), (2015, True), (2016, False), (None, False)])
    def test_a_fragment_joins_an_anchor_only_of_its_time(self, year: int | None, joins: bool) -> None:
        vectors, when = life(np.random.default_rng(3), [25, 6], 0.86)
        years = [2010 if period == 0 else year for period in when]
        eras = eras_of(table_of(vectors), years)
        assert [len(era.face_ids) for era in eras] == ([31] if joins else [25, 6])
        assert [era.is_thin for era in eras] == ([False] if joins else [False, True])

    def test_a_fragment_too_far_in_looks_stands_alone(self) -> None:
        vectors, when = life(np.random.default_rng(3), [25, 6], 0.86)
        rules = EraRules(join=0.3)
        assert [len(era.face_ids) for era in eras_of(table_of(vectors), [2010] * len(when), rules)] == [25, 6]

    def test_anchors_never_merge_however_near(self) -> None:
        """Two anchors of the same year, both near enough to a fragment."""
        vectors, when = life(np.random.default_rng(4), [22, 24], 0.86)
        eras = eras_of(table_of(vectors), [2010] * len(when))
        assert sorted(len(era.face_ids) for era in eras) == [22, 24]

    def test_fragments_do_not_carry_each_other_along(self) -> None:
        """
        Two fragments: the first joins the anchor; the second is near the first and too far from the anchor itself.
        """
        vectors, when = life(np.random.default_rng(5), [40, 5, 5], 0.75)
        rules = EraRules(recover=2, tighten=2, join=0.3)
        eras = eras_of(table_of(vectors), [2010] * len(when), rules)
        assert sorted(len(era.face_ids) for era in eras) == [5, 45]

    def test_poor_and_far_faces_are_in_no_era(self) -> None:
        vectors, _ = life(np.random.default_rng(6), [25], 0)
        short = np.full(26, 200, dtype=np.float32)
        short[3] = 99
        stranger = unit(np.random.default_rng(7).normal(size=(1, 64)))
        table = table_of(np.concatenate([vectors, stranger]), face_short=short)
        (era,) = eras_of(table, [2010] * 26)
        assert set(era.face_ids) == set(range(1, 26)) - {4}

    def test_a_face_recovered_widely_goes_again_when_the_circle_is_tightened(self) -> None:
        vectors, when = life(np.random.default_rng(11), [40, 1], 0.98)
        assert 0.41 < 1 - unit(vectors[:40].mean(axis=0)[None])[0] @ vectors[40] < 0.54
        (era,) = eras_of(table_of(vectors), [2010] * len(when), EraRules(tighten=0.4))
        assert era.face_ids == tuple(range(1, 41))

    def test_candidates_come_in_only_around_the_curated_faces(self) -> None:
        one, _ = life(np.random.default_rng(8), [25], 0)
        other, _ = life(np.random.default_rng(9), [40], 0)
        curated = np.zeros(65, dtype=np.bool_)
        curated[:10] = True
        (era,) = split(table_of(np.concatenate([one, other])), [2010] * 65, curated=curated, rules=RULES)
        assert set(era.face_ids) == set(range(1, 26))

    def test_faces_of_another_time_are_not_of_the_era_they_look_like(self) -> None:
        """A group that looks alike, of which a third is dated years earlier than the rest."""
        vectors, _ = life(np.random.default_rng(12), [30], 0)
        years: list[int | None] = [2003] * 6 + [2004] * 3 + [2011] * 20 + [None]
        thin, era = eras_of(table_of(vectors), years)
        assert (era.from_year, era.to_year, set(era.face_ids)) == (2011, 2011, set(range(10, 31)))
        assert (thin.from_year, thin.to_year, set(thin.face_ids)) == (2003, 2004, set(range(1, 10)))
        assert (era.is_thin, thin.is_thin) == (False, True)

    def test_nothing_to_split(self) -> None:
        empty = table_of(np.zeros((0, 8), dtype=np.float32))
        assert split(empty, [], rules=RULES) == ()
        assert split(table_of(np.eye(2)), [None, None], curated=np.zeros(2, dtype=np.bool_), rules=RULES) == ()
        assert split(table_of(np.eye(2), blur=0), [None, None], rules=RULES) == ()

    def test_every_face_needs_a_year_or_none(self) -> None:
        with pytest.raises(ValueError, match="year"):
            split(table_of(np.eye(2)), [2010], rules=RULES)

    @settings(max_examples=60)
    @given(
        seed=st.integers(0, 2**32 - 1),
        sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5),
        step=st.floats(0, 1.2),
        noise=st.floats(0.1, 1),
    )
    def test_eras_never_share_faces_nor_depend_on_order(
        self, seed: int, sizes: list[int], step: float, noise: float
    ) -> None:
        rng = np.random.default_rng(seed)
        vectors, when = life(rng, sizes, step, noise, d=24)
        years: list[int | None] = [None if rng.random() < 0.2 else 2000 + 4 * int(period) for period in when]
        table = table_of(vectors)
        eras = split(table, years, rules=RULES)
        faces = [face for era in eras for face in era.face_ids]
        assert len(faces) == len(set(faces))
        assert all(era.is_thin == (len(era.face_ids) < 20) for era in eras)
        for era in eras:
            dated = [year for face in era.face_ids if (year := years[face - 1]) is not None]
            assert (era.from_year, era.to_year) == ((min(dated), max(dated)) if dated else (None, None))
        order = rng.permutation(len(when))
        shuffled = table_of(vectors[order], face_ids=order + 1)
        assert split(shuffled, [years[row] for row in order], rules=RULES) == eras


class TestProbe:
    def test_a_person_with_separate_periods_can_be_split(self) -> None:
        vectors, when = life(np.random.default_rng(10), [25, 30], 1.0)
        found = probe(vectors, [2000 + 10 * int(period) for period in when])
        assert found.is_sortable
        assert found.dated == 55
        assert sum(found.histogram) == 55 * 54 // 2
        cut, parts = found.parts[1]
        assert cut == pytest.approx(0.35)
        assert [(part.size, part.from_year, part.dominant_year, part.to_year) for part in parts] == [
            (30, 2010, 2010, 2010),
            (25, 2000, 2000, 2000),
        ]

    @pytest.mark.parametrize("years", [[2010] * 55, [None] * 55], ids=["one year", "no dates"])
    def test_a_person_without_dates_cannot_be_split(self, years: list[int | None]) -> None:
        vectors, _ = life(np.random.default_rng(10), [25, 30], 1.0)
        found = probe(vectors, years)
        assert not found.is_sortable

    def test_nobody(self) -> None:
        found = probe(np.zeros((0, 8), dtype=np.float32), [])
        assert (sum(found.histogram), found.dated, found.is_sortable) == (0, 0, False)

    def test_the_histogram_counts_each_pair_once_by_distance(self) -> None:
        vectors = np.array([[1, 0], [1, 0], [0, 1], [-1, 0]], dtype=np.float32)
        histogram = probe(vectors, [None] * 4).histogram
        assert histogram[0] == 1
        assert histogram[19] == 5


def test_the_dominant_year_is_the_commonest_and_the_earliest_of_equals() -> None:
    assert dominant_year(np.array([0, 0, 0, 2012, 2010, 2012])) == 2012
    assert dominant_year(np.array([2012, 2010])) == 2010
    assert dominant_year(np.array([0])) is None


def test_rules_of_another_space_keep_their_proportion() -> None:
    rules = EraRules.scaled(OperatingPoints(cluster=0.66, near=0.03), gate=Gate(80, 30, 0.5))
    assert [rules.recover, rules.cluster, rules.near] == pytest.approx([0.66, 0.42, 0.03])
    assert rules.gate == Gate(80, 30, 0.5)
    assert EraRules.scaled(OperatingPoints()) == EraRules()
