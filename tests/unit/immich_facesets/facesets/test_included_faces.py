"""Faces that were included by hand: in the face set unless a hard rule holds, and first where places are few."""

import json
import random
from dataclasses import replace

import numpy as np
from artifact_builders import form
from faceset_builders import DIMENSION, RULES, candidate, face, sha256, unlike_hash, vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from immich_facesets.exports.face_choice import picked
from immich_facesets.facesets.curation import Choice, build_faceset, choose, curate
from immich_facesets.facesets.faceset import Candidate, Check, Faceset, Verdict
from immich_facesets.facesets.preflight import as_json, check_faceset
from immich_facesets.quality.visibility import Visible

SEEDS = st.integers(0, 100_000)


def poor_candidates(dice: random.Random, count: int) -> list[Candidate]:
    """Candidates that every rule may leave out: small, blurred, cut off, held back, or copies of each other."""
    return [
        candidate(
            number,
            of=face(
                number,
                size=dice.choice((60.0, 150.0)),
                yaw=dice.choice((0.0, 20.0)),
                blur=dice.choice((5.0, 400.0)),
            ),
            phash=unlike_hash(dice.randrange(5)),
            visible=dice.choice((Visible(), Visible(face=0.5, crop=0.4))),
            is_minor=dice.random() < 0.2,
        )
        for number in range(count)
    ]


def settled(rows: list[Candidate], matrix: NDArray[np.float32], verdicts: dict[int, Check]) -> Choice:
    shortlist, checks = curate(rows, matrix, RULES), dict[int, Check]()
    while (choice := choose(shortlist, checks)).unchecked:
        checks |= {one.candidate.face.face_id: verdicts[one.candidate.face.face_id] for one in choice.unchecked}
    return choice


def drawn(seed: int) -> tuple[random.Random, list[Candidate], NDArray[np.float32], dict[int, Check]]:
    dice = random.Random(seed)
    count = dice.randint(1, 25)
    matrix = vectors(count, spread=dice.choice((0.1, 0.6)), seed=seed)
    for row in range(count):
        if dice.random() < 0.2:
            matrix[row] = np.eye(DIMENSION, dtype=np.float32)[dice.randrange(1, DIMENSION)]
    ways = (Check(Verdict.OK), Check(Verdict.OK), Check(Verdict.OK, is_masked=True), Check(Verdict.SECOND))
    return dice, poor_candidates(dice, count), matrix, {number: dice.choice(ways) for number in range(count)}


def included_in(rows: list[Candidate], chosen: set[int]) -> list[Candidate]:
    return [replace(one, is_included=one.face.face_id in chosen) for one in rows]


def set_of(choice: Choice) -> Faceset | None:
    return build_faceset(choice, identity=3, label=None)


@given(SEEDS)
@settings(max_examples=150)
def test_an_included_face_is_in_the_set_unless_its_crop_shows_somebody_else(seed: int) -> None:
    dice, rows, matrix, verdicts = drawn(seed)
    chosen = {number for number in range(len(rows)) if dice.random() < 0.4}
    choice = settled(included_in(rows, chosen), matrix, verdicts)
    there = {one.candidate.face.face_id for one in choice.faces}
    assert chosen & there == {number for number in chosen if verdicts[number].verdict is Verdict.OK}
    assert len(choice.faces) + len(choice.omitted) == len(rows), "each face is counted once"


@given(SEEDS)
@settings(max_examples=50)
def test_the_order_in_which_faces_were_included_changes_nothing(seed: int) -> None:
    dice, rows, matrix, verdicts = drawn(seed)
    chosen = {number for number in range(len(rows)) if dice.random() < 0.4}
    marked, order = included_in(rows, chosen), dice.sample(range(len(rows)), len(rows))
    shuffled = [marked[row] for row in order]
    one, other = set_of(settled(marked, matrix, verdicts)), set_of(settled(shuffled, matrix[order], verdicts))
    assert one == other
    if one is not None and other is not None:
        assert picked(one, 3, is_for_swapping=False) == picked(other, 3, is_for_swapping=False)


@given(SEEDS, st.integers(1, 12), st.booleans())
@settings(max_examples=150)
def test_included_faces_take_the_places_first_and_minors_never_those_for_swapping(
    seed: int, count: int, is_for_swapping: bool
) -> None:
    dice, rows, matrix, verdicts = drawn(seed)
    chosen = {number for number in range(len(rows)) if dice.random() < 0.3}
    found = set_of(settled(included_in(rows, chosen), matrix, verdicts))
    if found is None:
        return
    able = {one.candidate.face.face_id for one in (found.swappable if is_for_swapping else found.faces)} & chosen
    taken = picked(found, count, is_for_swapping=is_for_swapping)
    here = {one.candidate.face.face_id for one in taken}
    assert len(here & able) == min(count, len(able))
    if is_for_swapping:
        assert all(one.candidate.held is None for one in taken)
    larger = picked(found, count + 1, is_for_swapping=is_for_swapping)
    assert here <= {one.candidate.face.face_id for one in larger}


@given(SEEDS)
@settings(max_examples=50)
def test_the_report_counts_included_faces_and_those_that_cannot_be_included(seed: int) -> None:
    dice, rows, matrix, verdicts = drawn(seed)
    chosen = {number for number in range(len(rows)) if dice.random() < 0.5}
    found = set_of(settled(included_in(rows, chosen), matrix, verdicts))
    if found is None:
        return
    report = check_faceset(found, RULES.top)
    told = as_json(found, report)
    refused = sum(verdicts[number].verdict is Verdict.SECOND for number in chosen)
    if chosen:
        reasons = {"second_face_in_crop": refused} if refused else {}
        assert told["included"] == {"faces": len(chosen) - refused, "left_out": reasons}
    else:
        assert "included" not in told, "a face set without any is described as before"
    assert [one.value for one in report.findings if one.code == "not_included"] == [refused] * bool(refused)
    assert sum(one.get("is_included", False) for one in told["left_out_faces"]) == refused
    held_in_set = sum(found.held_back.values())
    assert told["known"] == len(found.faces) + sum(told["left_out"].values()) - held_in_set


def test_a_copy_makes_room_for_the_one_that_was_included() -> None:
    rows = [candidate(number, of=face(number, yaw=10.0 * number), phash=5) for number in (1, 2, 3)]
    choice = settled(included_in(rows, {3}), vectors(3, spread=0.05), dict.fromkeys((1, 2, 3), Check(Verdict.OK)))
    assert [one.candidate.face.face_id for one in choice.faces] == [3]


def test_a_form_enlarges_the_picture_of_an_included_face_and_of_no_other() -> None:
    rows = [candidate(number, of=face(number, size=120.0)) for number in (1, 2)] + [candidate(3)]
    built = set_of(settled(included_in(rows, {2}), vectors(3), dict.fromkeys((1, 2, 3), Check(Verdict.OK))))
    manifest = json.loads(form("kohya:0:640:x2", built).manifest)
    assert {one["sha256"] for one in manifest["faces"]} == {sha256(2), sha256(3)}
    assert manifest["left_out"] == {"enlarged_too_much": 1}


def test_an_average_takes_an_included_face_that_is_not_sharp() -> None:
    rows = [candidate(number) for number in range(1, 10)]
    blurred = candidate(10, of=face(10, blur=5.0))
    checks = {number: Check(Verdict.OK) for number in range(1, 11)}
    others = set_of(settled([*rows, blurred], vectors(10), checks))
    found = set_of(settled(included_in([*rows, blurred], {10}), vectors(10), checks))
    assert others is not None
    assert found is not None
    assert 10 not in {one.candidate.face.face_id for one in others.averaged}
    assert 10 in {one.candidate.face.face_id for one in picked(found, 2, is_for_swapping=True)}
