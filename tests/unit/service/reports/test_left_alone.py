"""The sentence about videos."""

import pytest

from service.reports.left_alone import left_alone_sentences
from service.web.schemas import LibraryCounts, SourceCounts


@pytest.mark.parametrize(
    ("videos", "motion", "sentence"),
    [
        (0, 0, None),
        (1, 0, "1 video left alone: faces are read in pictures only"),
        (0, 1200, "of 1,200 motion photos only the still picture is read"),
        (
            2,
            1,
            "2 videos left alone: faces are read in pictures only; of 1 motion photo only the still picture is read",
        ),
    ],
)
def test_what_is_left_alone(videos: int, motion: int, sentence: str | None) -> None:
    one = SourceCounts(name="anna", kind="immich", videos=videos)
    other = SourceCounts(name="album", kind="folder", motion_photos=motion)
    assert left_alone_sentences(LibraryCounts(sources=(one, other))) == (() if sentence is None else (sentence,))
