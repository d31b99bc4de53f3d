"""Faces that an owner moved by hand in a source, told apart from another reading of the same faces."""

from builders import hint

from immich_facesets.assets import FaceHint
from immich_facesets.faces import Box
from immich_facesets.moves import Move, is_returned, moves

BOX = Box(0.1, 0.1, 0.3, 0.3)


def face(person: str | None = "mia", face_id: str = "f1", *, box: Box | None = None) -> FaceHint:
    return hint(face_id, person_id=person, box=box)


def test_a_face_given_to_another_person_is_a_move() -> None:
    assert moves([face()], [face("zoe")]) == [Move(BOX, "mia", "zoe")]


def test_a_deleted_face_is_taken_from_its_person() -> None:
    assert moves([face()], []) == [Move(BOX, "mia", None)]
    assert moves([face()], [face("zoe", "f2", box=Box(500, 500, 700, 700))]) == [Move(BOX, "mia", None)]


def test_faces_that_vanish_together_are_a_new_detection_and_no_word_of_the_owner() -> None:
    other = face("zoe", "f2", box=Box(500, 500, 700, 700))
    assert moves([face(), other], []) == []


def test_a_new_detection_of_the_same_face_is_no_move() -> None:
    again = face("mia", "f9", box=Box(105, 100, 300, 310))
    assert moves([face()], [again]) == []
    assert moves([face()], [face(None, "f9")]) == [], "it finds the person again later"


def test_the_same_face_id_is_the_same_face_wherever_an_edit_put_it() -> None:
    assert moves([face()], [face(box=Box(500, 500, 700, 700))]) == []


def test_a_face_that_had_nobody_is_taken_from_nobody() -> None:
    assert moves([face(None)], []) == []
    assert moves([FaceHint("f1", BOX, 0, 0, "mia")], []) == [], "a picture of unknown size"


def test_a_face_that_comes_back_is_returned() -> None:
    (move,) = moves([face()], [face("zoe")])
    assert not is_returned(move, [face("zoe")])
    assert is_returned(move, [face("mia", "f7")])
