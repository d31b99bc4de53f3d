"""Recognisability of faces: faces that fail the gate, and faces similar to them."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hard_library import HardLibrary, hard_library
from mixtures import Library, people, table_of, told, unit
from numpy.typing import NDArray
from testdata import shared_data

from immich_facesets.faces import Gate
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.grouping.recognisability import MOST_FACES, recognisable

GATE = Gate()
MATCH = 0.45
SMALL, LARGE = 50.0, 200.0

Flags = NDArray[np.bool_]


def with_small(vectors: NDArray[np.floating], is_small: Flags) -> FaceTable:
    """Faces that differ only in size: some are too small for the gate."""
    return table_of(vectors, face_short=np.where(is_small, SMALL, LARGE).astype(np.float32))


def small_ones(n: int, rows: NDArray[np.intp] | list[int]) -> Flags:
    flags = np.zeros(n, dtype=np.bool_)
    flags[rows] = True
    return flags


def crowd(seed: int, sizes: list[int], d: int = 200) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Two faces of one have a cosine of 0.6, two people one of 0 with a standard deviation of 0.07 (of 0.12 at 64)."""
    return people(np.random.default_rng(seed), sizes, spread=0.8, d=d)


@cache
def hard() -> HardLibrary:
    return hard_library(seed=1, faces=2000, family=20)


class TestBadFacesThatShareADirection:
    def test_most_are_found_though_the_gate_lets_many_pass(self) -> None:
        library, table = hard(), hard().table()
        passes, shows = table.admitted(GATE), recognisable(table, GATE, MATCH)
        assert (library.is_bad & ~passes).sum() < 0.70 * library.is_bad.sum()
        assert (library.is_bad & ~shows).sum() > 0.90 * library.is_bad.sum()

    def test_of_the_good_ones_hardly_any_is_lost(self) -> None:
        library, table = hard(), hard().table()
        is_good = table.admitted(GATE) & ~library.is_bad
        assert (is_good & ~recognisable(table, GATE, MATCH)).sum() <= 0.002 * is_good.sum()

    def test_faces_that_fail_the_gate_stay_poor(self) -> None:
        table = hard().table()
        assert not (recognisable(table, GATE, MATCH) & ~table.admitted(GATE)).any()

    def test_the_order_of_faces_and_their_numbers_decide_nothing(self) -> None:
        table = hard().table()
        shows = recognisable(table, GATE, MATCH)
        assert (recognisable(table, GATE, MATCH) == shows).all()
        order = np.random.default_rng(3).permutation(len(table))
        assert (recognisable(table.rows(order), GATE, MATCH) == shows[order]).all()
        assert (recognisable(replace(table, face_ids=table.face_ids[::-1] * 7), GATE, MATCH) == shows).all()

    def test_many_more_faces_than_a_mean_is_taken_of_are_judged_alike(self) -> None:
        library = hard()
        times = MOST_FACES // len(library.vectors) + 2
        noise = np.random.default_rng(4).normal(size=(times, *library.vectors.shape)) * 0.001
        many = unit((library.vectors[None] + noise).reshape(-1, library.vectors.shape[1]))
        measures = {name: np.tile(getattr(library, name), times) for name in ("face_short", "blur", "det_score")}
        shows = recognisable(table_of(many, **measures), GATE, MATCH).reshape(times, -1)
        once = recognisable(library.table(), GATE, MATCH)
        assert (shows == once).mean() > 0.97


class TestNothingInCommon:
    @pytest.mark.parametrize("poor", [0, 1, 2])
    def test_a_library_of_hardly_any_poor_face_loses_no_other(self, poor: int) -> None:
        vectors, _ = crowd(5, [20] * 10 + [1] * 50)
        is_small = small_ones(len(vectors), list(range(poor)))
        assert (recognisable(with_small(vectors, is_small), GATE, MATCH) == ~is_small).all()

    def test_of_no_faces_none_is_recognisable(self) -> None:
        assert recognisable(table_of(np.zeros((0, 8))), GATE, MATCH).shape == (0,)

    def test_only_poor_faces_are_all_poor(self) -> None:
        vectors, _ = crowd(6, [3, 3])
        assert not recognisable(table_of(vectors, face_short=SMALL), GATE, MATCH).any()

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("poor", [20, 60, 100])
    def test_small_faces_of_every_person_cost_hardly_any_good_faces(self, poor: int, seed: int) -> None:
        vectors, who = crowd(seed, [25] * 40 + [1] * 100, d=64)
        is_small = small_ones(len(vectors), np.random.default_rng(seed).permutation(len(vectors))[:poor])
        lost = ~recognisable(with_small(vectors, is_small), GATE, MATCH) & ~is_small
        assert np.bincount(who[lost], minlength=1).max() <= 2


class TestOneWhoIsOftenSmall:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("share", [0.1, 0.3])
    @pytest.mark.parametrize("poor", [30, 100, 300])
    def test_a_person_keeps_the_good_faces(self, poor: int, share: float, seed: int) -> None:
        hers = int(poor * share)
        vectors, who = crowd(seed, [100 + hers, *[25] * 39, *[1] * 300])
        others = np.random.default_rng(seed).permutation(np.flatnonzero(who != 0))[: poor - hers]
        is_small = small_ones(len(vectors), [*range(hers), *others.tolist()])
        assert recognisable(with_small(vectors, is_small), GATE, MATCH)[(who == 0) & ~is_small].all()

    @pytest.mark.parametrize("seed", range(3))
    def test_a_person_keeps_the_good_faces_beside_faces_that_share_a_direction(self, seed: int) -> None:
        library = hard()
        rng = np.random.default_rng(seed)
        hers, _ = people(rng, [160], spread=0.8, d=library.vectors.shape[1])
        vectors = np.concatenate([library.vectors, hers])
        is_small = small_ones(len(vectors), np.arange(len(library.vectors), len(vectors) - 100))  # 60 of about 200
        is_small[: len(library.vectors)] = ~library.table().admitted(GATE)
        assert recognisable(with_small(vectors, is_small), GATE, MATCH)[-100:].all()

    @pytest.mark.parametrize("copies", [50, 1000])
    def test_copies_of_one_small_picture_cost_no_good_face(self, copies: int) -> None:
        vectors, who = crowd(7, [60, *[25] * 20, *[1] * 200])
        rng = np.random.default_rng(8)
        again = unit(vectors[:1] + 0.1 / np.sqrt(200) * rng.normal(size=(copies, 200)))
        is_small = small_ones(len(vectors) + copies, np.arange(len(vectors), len(vectors) + copies))
        is_small[rng.permutation(np.flatnonzero(who != 0))[:60]] = True
        shows = recognisable(with_small(np.concatenate([vectors, again]), is_small), GATE, MATCH)
        assert shows[: len(vectors)][(who == 0)].all()


class TestRealFaces:
    @pytest.mark.parametrize("seed", range(4))
    def test_small_faces_of_real_people_cost_hardly_any_good_faces(self, seed: int) -> None:
        found = np.load(shared_data() / "data" / "lfw_embeddings.npz")
        _, who, faces = np.unique(found["identity"], return_inverse=True, return_counts=True)
        often = faces[who] >= 20
        vectors, who = unit(found["embedding"][often].astype(np.float32)), who[often]
        is_small = small_ones(len(vectors), np.random.default_rng(seed).permutation(len(vectors))[:80])
        lost = ~recognisable(with_small(vectors, is_small), GATE, 0.55) & ~is_small
        assert (np.bincount(who[lost], minlength=len(faces)) <= 0.1 * faces).all()

    @pytest.mark.parametrize("share", [0.02, 0.1])
    def test_of_good_faces_at_most_one_in_two_hundred_is_lost(self, share: float) -> None:
        """A gate by size that all but that share of the faces pass."""
        found = np.load(shared_data() / "data" / "lfw_embeddings.npz")
        boxes = found["bbox"].astype(np.float64)
        short = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]).astype(np.float32)
        table = table_of(unit(found["embedding"].astype(np.float32)), face_short=short)
        gate = replace(GATE, face_short=float(np.quantile(short, share)))
        lost = table.admitted(gate) & ~recognisable(table, gate, 0.55)
        assert lost.sum() < 0.005 * len(table)


def test_a_cluster_in_a_direction_of_crops_that_show_nobody_founds_no_identity() -> None:
    vectors, _ = crowd(5, [8, 8])
    nobody = unit(vectors[:8].astype(np.float64).mean(axis=0, keepdims=True))[0]
    library = Library(table_of(vectors), blank=[nobody.tolist()])
    library.group()
    assert {frozenset(part) for part in library.parts()} == {frozenset(range(9, 17))}
    library = Library(table_of(vectors), blank=[(-nobody).tolist()])
    library.group()
    assert len(library.parts()) == 2


def test_people_named_by_a_source_keep_what_they_have_in_any_direction() -> None:
    vectors, _ = crowd(5, [8, 8])
    nobody = unit(vectors[:8].astype(np.float64).mean(axis=0, keepdims=True))[0]
    library = Library(table_of(vectors), told({"p": range(1, 9)}), blank=[nobody.tolist()])
    library.group()
    assert frozenset(range(1, 9)) in library.parts()
