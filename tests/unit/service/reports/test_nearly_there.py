"""The sentences about people who were nearly found."""

from immich_facesets.grouping.nearly_there import NearlyThere, PoorFaces
from service.reports.nearly_there import nearly_there_sentences
from service.settings import Settings
from service.web.schemas import LibraryCounts

SETTINGS = Settings()
SMALL = LibraryCounts(assets=40, wanted=40, embedded=40, faces=44)


def test_each_gate_is_named_with_its_number() -> None:
    found = NearlyThere(needed=6, library=40, identities=0, pictures=2, quality=1, likeness=1, moments=1, most=5)
    (sentence,) = nearly_there_sentences(found, SMALL, SETTINGS)
    assert sentence == (
        "5 people are nearly there. A new person needs 6 different pictures in a library with 40 pictures of faces: "
        "FACESETS_MIN_FACES sets another number. 2 in too few pictures: the person with the most has 5; 1 with enough "
        "pictures, of which too few are large, sharp and light enough; 1 with faces too different to be surely one person; "
        "1 with too many pictures of one moment, or copies, which count once"
    )


def test_the_size_of_the_library_is_no_reason_where_the_number_is_set() -> None:
    found = NearlyThere(needed=9, library=40, identities=0, pictures=1, most=5)
    (sentence,) = nearly_there_sentences(found, SMALL, Settings(min_faces=9))
    assert "1 person is nearly there. A new person needs 9 different pictures: " in sentence


def test_a_library_without_anybody_is_explained() -> None:
    poor = PoorFaces(faces=44, small=40, dark=1)
    sentences = nearly_there_sentences(NearlyThere(needed=6, library=40, identities=0, poor=poor), SMALL, SETTINGS)
    assert len(sentences) == 2
    assert "nobody is nearly there" in sentences[0]
    assert (
        "of 44 faces, 40 are too small (FACESETS_MIN_FACE_SHORT), 1 is dark or flat (FACESETS_MIN_LIGHT)"
        in sentences[1]
    )


def test_a_library_without_a_face_is_explained() -> None:
    empty = LibraryCounts(assets=3, wanted=3, embedded=3)
    (sentence,) = nearly_there_sentences(NearlyThere(needed=6, library=0, identities=0), empty, SETTINGS)
    assert sentence.startswith("no face was found in 3 pictures")


def test_nothing_is_said_where_nothing_is_to_be_said() -> None:
    people = LibraryCounts(assets=40, wanted=40, embedded=40, faces=44, identities=3)
    assert nearly_there_sentences(None, SMALL, SETTINGS) == ()
    assert nearly_there_sentences(NearlyThere(needed=6, library=40, identities=3), people, SETTINGS) == ()
