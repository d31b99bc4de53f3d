"""Captions: one line of ASCII by a user's template, of what is known of a picture."""

from dataclasses import replace

import pytest
from artifact_builders import form, written
from faceset_builders import candidate, face, faceset
from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.exports.captions import PLACEHOLDERS, USUAL, Captions, checked_template
from immich_facesets.exports.cuts import Framing
from immich_facesets.facesets.faceset import Candidate, EraYears, Faceset
from immich_facesets.quality.landmarks import Details

ERA = EraYears("2011", 2010, 2012)
EVERYTHING = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)


def caption(
    template: str, *, of: Candidate | None = None, built: Faceset | None = None, framing: Framing = Framing.FACE, birth: str = ""
) -> str:  # fmt: skip
    births = {1: birth} if birth else {}
    return Captions(checked_template(template), births).of(built or faceset(1), of or candidate(1), framing)


def test_the_usual_caption_is_the_word_its_class_and_the_framing() -> None:
    assert caption(USUAL) == "anna001 person, close-up of the face"
    assert caption(USUAL, framing=Framing.ORIGINAL) == "anna001 person"


def test_everything_that_is_known_is_said() -> None:
    seen = replace(
        candidate(1, of=face(1, yaw=-30.0, pitch=20.0), taken="2020-05-01T10:00:00"),
        details=Details(eyes=0.3, mouth=0.4),
    )
    found = caption(
        "photo of {name}, {token}, {framing}, aged {age}, {age_band}, in {year}, {era}, {angle}, {expression}",
        of=seen,
        built=faceset(1, label="Ánna-María", era=ERA),
        framing=Framing.HALF_BODY,
        birth="1980-05-02",
    )
    assert found == (
        "photo of Anna-Maria, annamaria001_2011, upper body, aged 39, adult, in 2020, 2010 to 2012, "
        "three-quarter view looking up, mouth open"
    )


def test_a_part_with_something_unknown_is_left_out_with_its_words() -> None:
    undated = candidate(1, taken=None)
    template = "{token} {class}, {age} years old, taken in {year}, {era}, {expression}, a photo"
    assert caption(template, of=undated, birth="1980-01-01") == "anna001 person, a photo"
    assert caption(template, of=candidate(1)) == "anna001 person, taken in 2020, a photo"
    assert caption("photo of {name}", built=faceset(1, label="李明")) == "faceset001", "never empty"


@pytest.mark.parametrize(
    ("birth", "taken", "age", "band"),
    [
        ("2019-06-01", "2020-05-01", "0", "baby"),
        ("2018-05-01", "2020-05-01", "2", "toddler"),
        ("2007-05-02", "2020-05-01", "12", "child"),
        ("2007-05-01", "2020-05-01", "13", "teenager"),
        ("1930-01-01", "2020-05-01", "90", "elderly"),
        ("2021-01-01", "2020-05-01", "", ""),
        ("no date", "2020-05-01", "", ""),
        ("1980-01-01", "2020-13-01", "", ""),
    ],
)
def test_an_age_is_in_whole_years_of_the_day(birth: str, taken: str, age: str, band: str) -> None:
    found = caption("{token}, {age}, {age_band}", of=candidate(1, taken=taken), birth=birth)
    assert found == ", ".join(filter(None, ("anna001", age, band)))


@given(label=st.text(max_size=60), template=st.sampled_from([EVERYTHING, USUAL, "{name}", "a {{b}} {name} of {token}"]))
def test_no_name_breaks_a_caption(label: str, template: str) -> None:
    found = caption(template, built=faceset(1, label=label))
    assert found.isascii()
    assert found.isprintable()
    assert found.strip() == found != ""
    parts = template.count(",") + 1
    assert len(found.split(",")) <= parts


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{token}, {agee}", r"knows no \{agee\} \(did you mean \{age\}\?\); there are: token, class, name, framing"),
        ("{token}, {}", r"knows no \{\}"),
        ("{token.real}", r"knows no \{token.real\}"),
        ("{token!r}", "without : and !"),
        ("{token:>50}", "without : and !"),
        ("{token", "braces themselves"),
        ("token}", "braces themselves"),
        ("a person", r"must hold \{token\}"),
        ("{token}\n{age}", "one line"),
        ("{token} für alle", "ASCII"),
        ("{token}" * 100, "1 to 500"),
        ("", "1 to 500"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_in_words(template: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        checked_template(template)


def test_braces_may_be_written() -> None:
    assert caption("{token}, {{red|blue}} hat") == "anna001, {red|blue} hat"


def test_a_template_reaches_each_picture_of_a_form() -> None:
    rules = Captions("{name} in {year}, {framing}", {})
    dated = faceset(
        candidates=[candidate(1, taken="2001-01-01"), candidate(2, taken=None), candidate(3, taken="2020-01-01")]
    )
    files = written(form("kohya:0:96:head", dated, captions=rules))
    found = sorted(body.decode() for name, body in files.items() if name.startswith("img/") and name.endswith(".txt"))
    assert found == ["Anna in 2001, head and shoulders\n", "Anna in 2020, head and shoulders\n", "head and shoulders\n"]
