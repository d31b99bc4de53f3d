"""Doubts that only a user can settle become sentences for the status, without names."""

from dataclasses import replace

import numpy as np
from mixtures import Library, table_of

from immich_facesets.grouping.report import Contradicted, GroupingReport, SameName
from immich_facesets.grouping.suggestions import Suggestion
from service.passes.group import MOST_ALIKE, questions


def report_with(**doubts: object) -> GroupingReport:
    return replace(Library(table_of(np.eye(4))).plan().report, **doubts)  # type: ignore[arg-type]


def test_without_a_doubt_nothing_is_asked() -> None:
    assert questions(report_with()) == ()


def test_the_nearest_identities_that_look_alike_are_named_and_the_others_counted() -> None:
    alike = tuple(Suggestion(number, number + 1, 0.3 + number / 100) for number in range(1, MOST_ALIKE + 3))
    *named, rest = questions(report_with(suggested_merges=alike))
    assert named[0].startswith("people 1 and 2 look alike")
    assert "0.31" in named[0]
    assert len(named) == MOST_ALIKE
    assert rest == "2 further pairs of people look alike"
    assert len(questions(report_with(suggested_merges=alike[:MOST_ALIKE]))) == MOST_ALIKE


def test_doubts_about_names_and_moved_faces_say_where_to_look() -> None:
    same, unlike = questions(
        report_with(same_names=(SameName("anna", 3, 8),), contradicted=(Contradicted("anna", "p", 5, (1, 2)),))
    )
    assert same.startswith("anna gives one name to people 3 and 8")
    assert "immich-facesets" not in same + unlike  # pages show these sentences, too
    assert unlike.startswith("2 of the faces that anna moved to person 5 by hand look unlike the others")
