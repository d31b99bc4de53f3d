"""Answered questions: what is kept of them, and when one holds again."""

from dataclasses import replace

from immich_facesets.review import answered
from immich_facesets.review.answered import AnsweredQuestion, latest, named_faces
from immich_facesets.review.items import Item

ITEM = Item(
    kind="ambiguous",
    reason="between_two",
    identities=(1, 2),
    faces=(7, 6),
    probability=0.8,
    settles=1,
    face_id=5,
    part=(6,),
    evidence=((7, 8), (9,)),
)


def question(number: int, *owners: tuple[int, int | None]) -> AnsweredQuestion:
    return AnsweredQuestion(number, replace(ITEM, face_id=number), owners)


def test_a_question_names_the_face_what_moves_and_what_it_shows() -> None:
    assert named_faces(ITEM) == {5, 6, 7, 8, 9}
    assert named_faces(replace(ITEM, face_id=None, evidence=None)) == {6}


def test_a_question_holds_while_every_face_is_there_and_where_it_was() -> None:
    asked = question(1, (5, 1), (6, None))
    assert asked.holds({5: 1, 6: None, 7: 3})
    assert not asked.holds({5: 1, 6: 2})
    assert not asked.holds({5: 1}), "it is gone, and not of nobody"


def test_only_the_latest_are_kept_and_each_question_once() -> None:
    many = [question(number, (number, 1)) for number in range(answered.MOST_QUESTIONS + 5)]
    assert latest(many) == many[5:]
    assert latest([*many[:3], many[0]]) == [many[1], many[2], many[0]]
    large = question(1, *((face, 1) for face in range(answered.MOST_FACES)))
    assert latest([many[0], large, many[2]]) == [many[2]], "what is older than the limit of faces goes, too"
