"""
Captions of pictures for trainers: one line of ASCII each, by a template that a user may set.

The template has parts between commas. A part that needs something unknown of a picture is left out, so a template may name
more than is known everywhere. Trainers split captions at commas, and one reads them in the encoding of its machine: so
what is filled in has neither commas nor other letters than ASCII's.
"""

import difflib
import re
import string
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from immich_facesets.exports.cuts import Framing
from immich_facesets.facesets.coverage import EXPRESSIONS, PITCHES, YAWS, Coverage
from immich_facesets.facesets.faceset import Candidate, EraYears, Faceset

CLASS = "person"
USUAL = "{token} {class}, {framing}"
MOST_CHARACTERS = 500

_FRAMINGS: Mapping[Framing, str] = MappingProxyType(
    {
        Framing.FACE: "close-up of the face",
        Framing.HEAD: "head and shoulders",
        Framing.HALF_BODY: "upper body",
        Framing.ORIGINAL: "",
    }
)
"""The words for what a picture shows, which is then not learned as part of the person; of an original it is not known."""

_BANDS = (
    (2, "baby"),
    (4, "toddler"),
    (13, "child"),
    (18, "teenager"),
    (30, "young adult"),
    (45, "adult"),
    (65, "middle-aged"),
    (200, "elderly"),
)
"""The ages below which the words apply."""

_ANGLES = dict(
    zip(YAWS, ("profile view", "three-quarter view", "front view", "three-quarter view", "profile view"), strict=True)
)
_PITCHES = dict(zip(PITCHES, ("looking down", "", "looking up"), strict=True))
_EXPRESSIONS = dict(zip(EXPRESSIONS, ("eyes closed", "mouth closed", "mouth open"), strict=True))


@dataclass(frozen=True, slots=True)
class Captions:
    """The rules of captions: the template, and the birth date of each identity, as far as it is known (ISO)."""

    template: str = USUAL
    births: Mapping[int, str] = field(default_factory=dict)

    def of(self, faceset: Faceset, candidate: Candidate, framing: Framing) -> str:
        """Return the caption of one picture; the token alone where every part of the template is unknown."""
        shown = _Shown(faceset, candidate, framing, self.births.get(faceset.identity))
        parts = (_filled(part, shown) for part in self.template.split(","))
        return ", ".join(part for part in parts if part) or identifier(faceset)


USUAL_CAPTIONS = Captions()


@dataclass(frozen=True, slots=True)
class _Shown:
    faceset: Faceset
    candidate: Candidate
    framing: Framing
    birth: str | None


def identifier(faceset: Faceset) -> str:
    """
    Return the person's name in prompts: one word of ASCII letters and digits.

    The number in it separates two people of one name, and separates them from concepts that a model already associates
    with the bare name.
    """
    word = re.sub(r"[^a-z0-9]", "", _ascii(faceset.label or "").lower())[:40] or "faceset"
    era = "" if faceset.era is None else f"_{faceset.era.name}"
    return f"{word}{faceset.identity:03d}{era}"


def tokens(faceset: Faceset) -> str:
    return f"{identifier(faceset)} {CLASS}"


def checked_template(text: str) -> str:
    """Return a usable template as it is; any error in it is a ``ValueError`` with a sentence."""
    if not text.isascii() or not text.isprintable() or not 0 < len(text) <= MOST_CHARACTERS:
        raise ValueError(f"is one line of 1 to {MOST_CHARACTERS} ASCII characters: some trainers misread others")
    try:
        found = [one for part in text.split(",") for one in _PARSER.parse(part)]
    except ValueError as error:
        raise ValueError(f"{error}; write {{{{ and }}}} for braces themselves") from error
    names = {name for _, name, _, _ in found if name is not None}
    if any(form or conversion for _, _, form, conversion in found):
        raise ValueError("a placeholder is a name in braces, without : and !")
    if unknown := sorted(names - _VALUES.keys()):
        near = difflib.get_close_matches(unknown[0], list(_VALUES), n=1)
        hint = f" (did you mean {{{near[0]}}}?)" if near else ""
        raise ValueError(f"knows no {{{unknown[0]}}}{hint}; there are: {', '.join(_VALUES)}")
    if names.isdisjoint({"token", "name"}):
        raise ValueError("must hold {token}, the word that a model learns for the person, or {name}")
    return text


def _filled(part: str, shown: _Shown) -> str:
    """Return a part of a template with its values; empty where one is unknown."""
    words = []
    for text, name, _, _ in _PARSER.parse(part):
        value = "" if name is None else _VALUES[name](shown)
        if name is not None and not value:
            return ""
        words += [text, value]
    return "".join(words).strip()


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", errors="ignore").decode()


def _name(shown: _Shown) -> str:
    return " ".join(re.sub(r"[^A-Za-z0-9 '-]", " ", _ascii(shown.faceset.label or "")).split())


def _era(shown: _Shown) -> str:
    era: EraYears | None = shown.faceset.era
    if era is None or era.first is None or era.last is None:
        return ""
    return str(era.first) if era.first == era.last else f"{era.first} to {era.last}"


def _years_old(shown: _Shown) -> int | None:
    """Return the age in the picture, in whole years; None where a date is unknown, or they contradict each other."""
    try:
        born = date.fromisoformat((shown.birth or "")[:10])
        taken = date.fromisoformat((shown.candidate.taken or "")[:10])
    except ValueError:
        return None
    years = taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day))
    return years if 0 <= years < _BANDS[-1][0] else None


def _age(shown: _Shown) -> str:
    years = _years_old(shown)
    return "" if years is None else str(years)


def _age_band(shown: _Shown) -> str:
    years = _years_old(shown)
    return "" if years is None else next(word for below, word in _BANDS if years < below)


def _angle(shown: _Shown) -> str:
    seen = Coverage.of([shown.candidate])
    words = (_ANGLES[YAWS[int(seen.yaw[0])]], _PITCHES[PITCHES[int(seen.pitch[0])]])
    return " ".join(filter(None, words)) if min(int(seen.yaw[0]), int(seen.pitch[0])) >= 0 else ""


def _expression(shown: _Shown) -> str:
    found = int(Coverage.of([shown.candidate]).expression[0])
    return _EXPRESSIONS[EXPRESSIONS[found]] if found >= 0 else ""


_PARSER = string.Formatter()

_VALUES: Mapping[str, Callable[[_Shown], str]] = MappingProxyType(
    {
        "token": lambda shown: identifier(shown.faceset),
        "class": lambda _shown: CLASS,
        "name": _name,
        "framing": lambda shown: _FRAMINGS[shown.framing],
        "era": _era,
        "year": lambda shown: (shown.candidate.taken or "")[:4],
        "age": _age,
        "age_band": _age_band,
        "angle": _angle,
        "expression": _expression,
    }
)
"""Every placeholder: its value for one picture, empty where that is unknown."""

PLACEHOLDERS = tuple(_VALUES)
