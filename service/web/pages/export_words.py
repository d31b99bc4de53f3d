"""Exports in words that a person would use: programs, reasons why faces are left out, and directories."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.web.library.facesets import Faceset, FacesetSummary, Preflight
from service.web.library.identities import WhyNotExported
from service.web.pages.program_words import profile_words
from service.web.pages.wording import years_of

ERA_MARK, THIN, CANDIDATES = "_era_", "_thin/", "_candidates/"

IN_THE_SET = "_not_in_swap_bundles"
"""The end of codes of faces that are in a face set, and left out of its bundles for swapping."""


@dataclass(frozen=True, slots=True)
class ReasonWords:
    """
    Why faces are left out: a few words, and a sentence.

    ``filter``: of faces that are held back from swapping alone, the order of the person's page that shows them first.
    """

    words: str
    sentence: str
    filter: str = ""


_OLDEST = "sort=time"

REASON_WORDS: Mapping[str, ReasonWords] = {
    "too_small": ReasonWords("too small", "The face has fewer pixels than FACESETS_EXPORT_MIN_FACE_SHORT."),
    "no_stored_crop": ReasonWords(
        "without a cut picture",
        "The face was too small for an export when its picture was read, so nothing was cut from it. With a "
        "FACESETS_EXPORT_MIN_FACE_SHORT below its size, the next sync reads the picture again.",
    ),
    "outside_the_picture": ReasonWords("cut off", "A large part of the face lies outside its picture."),
    "outlier": ReasonWords("unlike the others", "The face is far from what this person looks like."),
    "near_duplicate": ReasonWords("of the same moment", "A better picture of the same moment is taken."),
    "no_face_in_crop": ReasonWords("not found again", "A second look finds no face in the cut picture."),
    "second_face_in_crop": ReasonWords("with another face", "The cut picture shows a second face."),
    "crop_unlike_identity": ReasonWords("unlike on a second look", "The cut picture resembles somebody else."),
    "enlarged_too_much": ReasonWords("too few pixels", "The picture would have to be enlarged too much."),
    "without_colour": ReasonWords("without colour", "The program needs pictures in colour."),
    "another_face_in_picture": ReasonWords("with somebody else", "Another person stands in the part that is shown."),
    "original_not_available": ReasonWords("without an original", "The original cannot be read now; it is tried again."),
    "beyond_the_best": ReasonWords(
        "beyond the best", "The program takes a limited number, and these are not among them."
    ),
    "orientation_unknown": ReasonWords("turned unknown", "Nobody can say how the file of the picture is turned."),
    "unusable_path": ReasonWords("at an unusable path", "The path of the picture cannot be written here."),
    "minor_not_in_swap_bundles": ReasonWords(
        "under 18, not for swapping",
        "The picture was taken before the 18th birthday. No bundle for swapping has it.",
        _OLDEST,
    ),
    "given_to_a_minor_not_in_swap_bundles": ReasonWords(
        "given to a minor, not for swapping",
        "A source gives the face to a minor. No bundle for swapping has it.",
        _OLDEST,
    ),
    "like_a_minor_not_in_swap_bundles": ReasonWords(
        "like a minor, not for swapping",
        "The face resembles a known minor of those years. No bundle for swapping has it.",
        _OLDEST,
    ),
    "undated_maybe_minor_not_in_swap_bundles": ReasonWords(
        "undated, maybe under 18, not for swapping", "Without a date nobody can say how old the person was.", _OLDEST
    ),
}
"""The codes of ``left_out``. A code that is not here is shown with blanks."""

ADVICE: Mapping[WhyNotExported, str] = {
    "": "",
    "never_export": "Somebody decided so. Allow exports to have face sets again.",
    "no_faces": "All faces went to other people, or their pictures are gone.",
    "no_face_large_enough": "Larger pictures help, or a lower FACESETS_EXPORT_MIN_FACE_SHORT.",
    "nothing_exported_yet": "Write the face sets now, or wait for the next sync.",
    "not_yet": "The next sync writes it, unless every face is left out.",
}
"""Advice, by the reason why somebody has no face set."""

ASPECTS: Mapping[str, str] = {"yaw": "Turned", "pitch": "Tilted", "light": "Light", "expression": "Expression"}

BIN_WORDS: Mapping[str, str] = {
    "profile_left": "from the left side",
    "half_left": "half left",
    "front": "into the camera",
    "half_right": "half right",
    "profile_right": "from the right side",
    "down": "down",
    "level": "straight",
    "up": "up",
    "dark_soft": "dark, soft",
    "dark_hard": "dark, hard",
    "medium_soft": "medium, soft",
    "medium_hard": "medium, hard",
    "bright_soft": "bright, soft",
    "bright_hard": "bright, hard",
    "eyes_closed": "eyes closed",
    "mouth_closed": "mouth closed",
    "mouth_open": "mouth open",
}


FINDING_WORDS: Mapping[str, str] = {
    "few_faces": "few faces",
    "top_not_full": "small bundle not full",
    "few_sharp": "few sharp faces",
    "held_back": "some may be minors",
    "not_included": "some cannot be included",
    "undated": "most are undated",
    "one_event": "all of one day",
    "few_events": "of few days",
    "large_event": "most of one day",
    "no_profile_views": "none from the side",
    "none_to_the_left": "none to the left",
    "none_to_the_right": "none to the right",
    "no_front_views": "none from the front",
    "one_light": "one light",
    "eyes_closed": "closed eyes",
}
"""The codes of findings in a few words, where there is no room for their sentences."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Faces that are left out for one reason."""

    code: str
    faces: int
    reason: ReasonWords

    @property
    def is_listed(self) -> bool:
        """Whether these faces are not in the face set at all, and not in its bundles for swapping alone."""
        return not self.code.endswith(IN_THE_SET)


def left_out_of(preflight: Preflight | None) -> tuple[LeftOut, ...]:
    """Return why faces are left out, most faces first."""
    counts = {} if preflight is None else preflight.left_out
    found = (LeftOut(code, count, reason_words(code)) for code, count in counts.items() if count)
    return tuple(sorted(found, key=lambda one: -one.faces))


def reason_words(code: str) -> ReasonWords:
    """Return the words of a reason; those of one that another version wrote are its code with blanks."""
    return REASON_WORDS.get(code) or ReasonWords(code.replace("_", " "), "")


def part_title(faceset: Faceset) -> str:
    """Return the part of a life that a directory shows, whatever the program: all years, or an era."""
    leaf = faceset.directory.rpartition("/")[2]
    return _era_title(faceset, leaf.partition(ERA_MARK)[2]) or "All years"


def set_title(faceset: Faceset) -> str:
    """Return what a directory shows of its person: everything, an era, or the form for a program."""
    part = part_title(faceset)
    if faceset.directory.startswith(CANDIDATES):
        return "Perhaps this person"
    if faceset.directory.startswith(THIN):
        return f"{part}, few faces"
    if faceset.profile == "fsz":
        return part
    form = profile_words(faceset.profile).title
    return form if part == "All years" else f"{form}, {part}"


def directory_title(directory: str, profile: str) -> str:
    """Return what a directory shows of its person, by its name alone: it may be gone."""
    leaf = directory.rpartition("/")[2]
    form = "" if profile == "fsz" else profile_words(profile).title
    name = leaf.partition(ERA_MARK)[2].replace("_", " ")
    return ", ".join(part for part in (form, name and f"era {name}") if part) or "face set"


def _era_title(faceset: Faceset, name: str) -> str:
    years = "" if faceset.era is None else years_of(_text(faceset.era.first), _text(faceset.era.last))
    if not name:
        return years
    return (
        f"Era {years or name}" if name[:4].isdecimal() else f"Era {name.replace('_', ' ')}" + (years and f", {years}")
    )


def _text(year: int | None) -> str | None:
    return None if year is None else f"{year:04d}"


def verdict_of(summary: FacesetSummary) -> tuple[str, str]:
    """Return whether a directory can be used as it is, as a tone and what it lacks in a few words."""
    if not summary.is_whole:
        return "bad", "files are missing"
    if summary.preflight is None:
        return "", ""
    findings = [FINDING_WORDS.get(one.code) or one.message for one in summary.preflight.findings]
    return ("warn", ", ".join(findings)) if findings else ("good", "fine")


def sentence(text: str) -> str:
    """Return a finding's message as a sentence."""
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."
