"""Check of a finished crop: exactly one face, in its place, of the right person."""

import msgspec
import numpy as np
import pytest

from immich_facesets.exports.crop_checks import (
    NOTHING_SEEN,
    CropFacts,
    check,
    decoded,
    main_face,
    seen_faces,
)
from immich_facesets.faces import Box, Measures
from immich_facesets.facesets.faceset import Check, Verdict
from immich_facesets.wire import FaceAnswer, FacesAnswer, Suspect

CENTRE = (156.0, 156.0, 356.0, 356.0)
EXPECTED = Box(150, 150, 360, 360)
CORNER = (5.0, 5.0, 80.0, 80.0)
OWN = np.array([1.0, 0.0], dtype=np.float32)
MEASURES = Measures(blur=200, blur_size=112, brightness=100, contrast=50, yaw=0, pitch=0, roll=0)


def found(box: tuple[float, float, float, float], distance: float = 0.1) -> FaceAnswer:
    cosine = 1.0 - distance
    vector = np.array([cosine, np.sqrt(1.0 - cosine**2)], dtype="<f4")
    spot = (box[0], box[1])
    return FaceAnswer(
        box=box, landmarks=(spot, spot, spot, spot, spot), det_score=0.9, embedding=vector.tobytes(), quality=MEASURES
    )


def answer(*faces: FaceAnswer) -> FacesAnswer:
    return FacesAnswer(space="s", width=512, height=512, faces=faces)


def facts(*faces: FaceAnswer, painted: tuple[FaceAnswer, ...] | None = None) -> CropFacts:
    again = None if painted is None else seen_faces(answer(*painted), EXPECTED)
    return CropFacts(seen_faces(answer(*faces), EXPECTED), again)


def test_what_another_detector_may_take_for_a_face_counts_as_one_unless_it_is_a_part_of_the_face() -> None:
    eye, neighbour = Suspect(box=(180, 180, 230, 230), score=0.4), Suspect(box=CORNER, score=0.3)
    alone = answer(found(CENTRE))
    for suspects, expected in (((), Verdict.OK), ((eye,), Verdict.OK), ((eye, neighbour), Verdict.SECOND)):
        seen = seen_faces(msgspec.structs.replace(alone, suspects=suspects), EXPECTED)
        assert check(CropFacts(seen), OWN, 0.45).verdict is expected
    assert seen.strangers == (Box(*CORNER),)
    painted = CropFacts(seen, seen_faces(alone, EXPECTED))
    assert check(painted, OWN, 0.45) == Check(Verdict.OK, is_masked=True)


@pytest.mark.parametrize(
    ("faces", "expected"),
    [
        ((), Verdict.NONE),
        ((found(CENTRE),), Verdict.OK),
        ((found(CENTRE, 0.449),), Verdict.OK),
        ((found(CENTRE, 0.46),), Verdict.FAR),
        ((found(CENTRE), found(CORNER, 0.9)), Verdict.SECOND),
        ((found(CORNER, 0.9), found(CENTRE)), Verdict.SECOND),
        ((found(CORNER, 0.1),), Verdict.NONE),
        ((found(CENTRE, 0.9), found(CORNER, 0.1)), Verdict.FAR),
    ],
)
def test_a_crop_is_good_when_it_holds_one_face_in_its_place_and_that_is_the_persons(
    faces: tuple[FaceAnswer, ...], expected: Verdict
) -> None:
    assert check(facts(*faces), OWN, 0.45).verdict is expected


def test_a_vector_that_is_no_number_is_not_the_persons() -> None:
    broken = FaceAnswer(
        box=CENTRE,
        landmarks=found(CENTRE).landmarks,
        det_score=0.9,
        embedding=np.full(2, np.nan, dtype="<f4").tobytes(),
        quality=MEASURES,
    )
    assert check(facts(broken), OWN, 0.45) == Check(Verdict.FAR)


def test_the_face_nearest_to_its_place_is_the_main_one_and_all_others_are_strangers() -> None:
    beside = (300.0, 150.0, 500.0, 350.0)
    both = answer(found(beside), found(CORNER), found(CENTRE))
    main = main_face(both, EXPECTED)
    assert main is not None
    assert main.box == CENTRE
    assert seen_faces(both, EXPECTED).strangers == (Box(*beside), Box(*CORNER))


def test_a_second_face_is_corrected_when_the_painted_crop_holds_the_person_alone() -> None:
    both = (found(CENTRE), found(CORNER, 0.9))
    assert check(facts(*both, painted=(found(CENTRE, 0.2),)), OWN, 0.45) == Check(Verdict.OK, is_masked=True)
    for painted in ((), both, (found(CENTRE, 0.9),), None):
        assert check(facts(*both, painted=painted), OWN, 0.45) == Check(Verdict.SECOND)
    far = (found(CENTRE, 0.9), found(CORNER, 0.1))
    assert check(facts(*far, painted=(found(CENTRE, 0.2),)), OWN, 0.45) == Check(Verdict.FAR)


def test_a_square_without_the_second_face_is_better_than_paint() -> None:
    both = seen_faces(answer(found(CENTRE), found(CORNER, 0.9)), EXPECTED)
    framed = CropFacts(both, framed=seen_faces(answer(found(CENTRE, 0.2)), EXPECTED), frame=(0.2, 0.1, 1.0, 0.9))
    assert check(framed, OWN, 0.45) == Check(Verdict.OK, frame=Box(0.2, 0.1, 1.0, 0.9))
    assert check(framed, OWN, 0.15) == Check(Verdict.SECOND)
    assert decoded(framed.encoded()) == framed


def test_the_same_facts_answer_for_every_threshold_and_every_person() -> None:
    seen = facts(found(CENTRE, 0.4))
    assert [check(seen, OWN, outlier).verdict for outlier in (0.3, 0.5)] == [Verdict.FAR, Verdict.OK]
    assert check(seen, OWN[::-1].copy(), 0.3).verdict is Verdict.OK


def test_facts_are_stored_exactly() -> None:
    for seen in (NOTHING_SEEN, facts(found(CENTRE, 1 / 3), found(CORNER, 0.9), painted=(found(CENTRE, 0.1),))):
        assert decoded(seen.encoded()) == seen
