"""Decisions of another installation: its numbers are those of the same people here, also after one was forgotten."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from decision_builders import face

from immich_facesets.moderation.decisions import Merge, Part
from immich_facesets.moderation.erasing import Forgotten, without_person
from immich_facesets.moderation.importing import renumbered, shared_numbers
from immich_facesets.moderation.records import Line, Record

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Known:
    """A merge of two people into a third one, as it came from another installation, and as it was recorded here."""

    line: Line
    record: Record


@pytest.fixture
def known() -> Known:
    there = Merge(9, (Part(5, (face(1), face(2))), Part(7, (face(3), face(4)))))
    here = Merge(19, (Part(15, (face(1), face(2))), Part(17, (face(3), face(4)))))
    line = Line(
        uid="u",
        batch="u",
        made_by="x",
        made_from="api",
        made_at=NOW,
        decision=there,
        members=(Part(9, ()), Part(3, ())),
    )
    members = (Part(19, ()), Part(13, ()))
    return Known(line, Record(1, "u", "u", here, "x", "api", NOW, "", members))


def test_a_line_that_was_imported_before_tells_the_numbers_of_its_parts(known: Known) -> None:
    assert shared_numbers([known.line], {"u": known.record}) == {3: 13, 5: 15, 7: 17, 9: 19}


def test_a_name_that_follows_a_merge_is_of_the_number_here() -> None:
    assert renumbered(Merge(9, (Part(5),), "Ada", label_of=5), {9: 19, 5: 15}) == Merge(
        19, (Part(15),), "Ada", label_of=15
    )


def test_a_part_that_was_forgotten_here_shifts_no_number_onto_somebody_else(known: Known) -> None:
    hers = {face(1), face(2)}
    left = without_person(known.record, Forgotten(frozenset({15}), hers.__contains__))
    assert shared_numbers([known.line], {"u": left}) == {3: 13, 7: 17, 9: 19}
    left = without_person(known.record, Forgotten(frozenset({19}), lambda _: False))
    assert shared_numbers([known.line], {"u": left}) == {5: 15, 7: 17, 9: 19}


def test_other_people_forgotten_there_and_here_are_not_one(known: Known) -> None:
    there = without_person(known.line, Forgotten(frozenset({7}), {face(3), face(4)}.__contains__))
    here = without_person(known.record, Forgotten(frozenset({15}), {face(1), face(2)}.__contains__))
    assert shared_numbers([there], {"u": here}) == {3: 13, 9: 19}
