"""Lines of an export: lossless, validated as a whole, and each decision known by its uid."""

import json
from datetime import UTC, datetime

import pytest
from decision_builders import ONE_OF_EACH, face

from immich_facesets.errors import RequestError
from immich_facesets.moderation.decisions import Later, Lock, Part, Seen, Undo
from immich_facesets.moderation.importing import renumbered
from immich_facesets.moderation.records import Record, from_lines, to_lines

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def record(number: int, decision: object, **changes: object) -> Record:
    fields: dict[str, object] = {"uid": f"u{number}", "batch": "u1", "made_by": "Änne", "made_from": "page"}
    return Record(decision_id=number, decision=decision, made_at=NOON, **(fields | changes))  # type: ignore[arg-type]


def test_every_kind_survives_an_export() -> None:
    made = [record(number, one) for number, one in enumerate(ONE_OF_EACH, start=1) if not isinstance(one, Undo)]
    made.append(record(99, Undo(2), reason="a slip\nof the hand", members=(Part(3, (face(1),)),)))
    lines = from_lines(b"".join(to_lines(made)))
    assert [line.decision for line in lines] == [one.decision for one in made]
    last = lines[-1]
    assert (last.undoes, last.reason, last.made_by, last.made_at) == ("u2", "a slip\nof the hand", "Änne", NOON)
    assert last.members == (Part(3, (face(1),)),)


def test_a_question_that_was_put_off_is_of_the_numbers_here() -> None:
    there = Later(identity=1, other=2, seen=Seen("merge", 0.8, (1, 2), (40, 10)))
    assert renumbered(there, {1: 5, 2: 6}) == Later(identity=5, other=6, seen=Seen("merge", 0.8, (5, 6), (40, 10)))


def a_line(**changes: object) -> bytes:
    (line,) = to_lines([record(1, Lock(1))])
    plain = {**json.loads(line), **changes}
    return json.dumps({name: value for name, value in plain.items() if value is not ...}).encode() + b"\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "line 1 is no decision"),
        (b"\xff\xfe", "line 1 is no decision"),
        (a_line(version=2), "line 1 is no decision"),
        (a_line(uid=...), "line 1 is no decision"),
        (a_line(made_at="2026-05-01T12:00:00"), "line 1 is no decision"),
        (a_line(made_from="moon"), "line 1 is no decision"),
        (a_line(extra=1), "line 1 is no decision"),
        (a_line(decision={"kind": "praise"}), "line 1 is no decision"),
        (a_line() + a_line(uid="u2", reason="a\0b"), "line 2 has a character 0"),
        (a_line() + a_line(), "line 2 has the uid of an earlier line"),
        (a_line() + b"\n" + a_line(uid="u2", undoes="u9"), "line 3 undoes a decision that is on no earlier line"),
        (a_line(decision={"kind": "undo", "decision": 1}), "line 1 is an undo without 'undoes'"),
    ],
)
def test_a_line_that_is_no_decision_is_named(content: bytes, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        from_lines(content)


def test_a_backslash_before_the_letters_of_a_character_0_is_a_text() -> None:
    (line,) = from_lines(a_line(reason="\\u0000"))
    assert line.reason == "\\u0000"


def test_empty_lines_and_an_empty_file_are_no_decisions() -> None:
    assert from_lines(b"") == []
    assert len(from_lines(b"\n" + a_line() + b"\n\n")) == 1
