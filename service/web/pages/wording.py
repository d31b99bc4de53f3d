"""Decisions and people in words that a person would use."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from markupsafe import Markup, escape

from immich_facesets.moderation.effects import Effect
from immich_facesets.wording import counted
from service.web.library.identities import MadeDecision, WhyNotExported
from service.web.pages.program_words import profile_words

Names = Mapping[int, str]

_NUMBERS = ("identity", "other", "into", "number", "origin")

WHY_NOT: Mapping[WhyNotExported, str] = {
    "": "Exported",
    "never_export": "Never exported",
    "no_faces": "No faces now",
    "no_face_large_enough": "No face is large enough",
    "nothing_exported_yet": "Nothing was exported yet",
    "not_yet": "Not exported yet",
}


def named(number: int | None, names: Names) -> str:
    """Return the name of an identity, or its number where it has none."""
    return "nobody" if number is None else names.get(number, f"person {number}")


class Titled(Protocol):
    """An identity as any answer has it."""

    @property
    def number(self) -> int: ...
    @property
    def label(self) -> str | None: ...


def name_of(identity: Titled) -> str:
    """Return the name of an identity as a title: the filter ``person_name`` of templates."""
    return identity.label or f"Person {identity.number}"


def trouble_words(message: str) -> str:
    """Return a message for a page: it says person where programs say identity, and names no command."""
    without = re.sub(r"[:;,]? \(?'(?:immich-facesets|identities|decisions) [^']*'.*$", "", message, flags=re.DOTALL)
    people = re.sub(r"\bidentity (?=\d)", "person ", re.sub(r"\bidentities (?=\d)", "people ", without))
    return _sentence(people)


def with_people(base: str, sentence: str) -> Markup:
    """Return a sentence for a page: numbers behind "person" or "people" lead there, and "the review" to its questions."""
    linked = re.sub(
        r"\b(person|people) (\d+)(?: and (\d+))?",
        lambda found: f"{found[1]} {' and '.join(_link_to(base, number) for number in found.groups()[1:] if number)}",
        str(escape(_sentence(sentence).removesuffix(".") + ".")),
        flags=re.IGNORECASE,
    )
    return Markup(linked.replace("the review", f'the <a href="{base}/review">review</a>'))  # noqa: S704 escaped above


def _link_to(base: str, number: str) -> str:
    return f'<a href="{base}/people/{number}">{number}</a>'


def years_of(first: str | None, last: str | None) -> str:
    """Return the years between two dates (ISO); "" without any."""
    if first is None or last is None:
        return ""
    return first[:4] if first[:4] == last[:4] else f"{first[:4]}\N{EN DASH}{last[:4]}"


def era_title(name: str) -> str:
    """Return the name of an era as a title: a plain year is "Around 2011", and ages are "Age 3-5"."""
    if (ages := re.fullmatch(r"age_([0-9]+)_([0-9]+)", name)) is not None:
        first, last = int(ages[1]), int(ages[2])
        return f"Age {first}" if first == last else f"Age {first}\N{EN DASH}{last}"
    year, _, number = name.partition("_")
    if len(year) == 4 and year.isdecimal():
        return f"Around {year}" + (f" ({number})" if number else "")
    return name.replace("_", " ")


def numbers_in(made: Iterable[MadeDecision]) -> set[int]:
    """Return the identities that decisions name."""
    found: set[int] = set()
    for one in made:
        parts = one.body.get("parts") or ()
        found |= {value for field in _NUMBERS if isinstance(value := one.body.get(field), int)}
        found |= {part["number"] for part in parts if isinstance(part.get("number"), int)}
    return found


def decision_words(made: MadeDecision, names: Names) -> str:
    """Return what a decision did, as a sentence."""
    return _sentence(_words(made.kind, made.body, names))


_MADE_FROM = {"page": "on a page", "api": "over the API", "command": "by a command", "import": "imported"}


def made_by(made: MadeDecision) -> str:
    """Return who made a decision, and where: the token is the administrator's."""
    who = "administrator" if made.made_by == "token" else made.made_by
    return f"{who}, {_MADE_FROM.get(made.made_from, made.made_from)}"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _words(kind: str, body: Mapping[str, Any], names: Names) -> str:  # noqa: C901, PLR0911, PLR0912 one flat arm for each kind
    faces = counted(len(body.get("faces") or ()), "face")
    who, is_on = named(body.get("identity"), names), body.get("is_on", True)
    match kind:
        case "merge":
            others = ", ".join(named(part["number"], names) for part in body["parts"])
            return f"{others} and {named(body['into'], names)} are one person"
        case "split":
            return f"{faces} of {who} became {named(body['number'], names)}"
        case "move":
            return f"{faces} moved to {named(body['into'], names)}"
        case "confirm":
            return f"{faces} confirmed as {who}"
        case "reject":
            return f"{faces} no longer {who}"
        case "keep_apart":
            return f"{who} and {named(body['other'], names)} are two people"
        case "lock" | "unlock":
            return f"{who} is {kind}ed"
        case "label":
            return f"person {body['identity']} has no name" if body["label"] is None else f"named {body['label']}"
        case "ignore":
            return f"{faces} ignored as strangers" if body.get("faces") else f"{who} ignored as a stranger"
        case "not_a_face":
            return f"{faces} marked as no face"
        case "later":
            return "not sure, and put off"
        case "not_for_sets":
            return f"{faces} left out of face sets" if is_on else f"{faces} allowed in face sets"
        case "for_sets":
            return f"{faces} included in the face sets of {who}" if is_on else f"{faces} not included by hand any more"
        case "allow_together":
            return "the picture may show one person twice"
        case "never_export":
            return f"{who} is never exported" if is_on else f"{who} may be exported"
        case "profiles":
            off = ", ".join(profile_words(name).title for name in body.get("off") or ())
            return f"not written of {who}: {off}" if off else f"every form is written of {who}"
        case "of_age":
            return f"{faces} of age" if body.get("faces") else f"{who} is of age"
        case "birth_date":
            born = body.get("birth_date")
            return f"{who} has no birth date" if born is None else f"{who} born on {born}"
        case "minor":
            return f"{who} is a minor" if is_on else f"{who} is no minor"
        case "cover":
            return f"another cover for {who}"
        case "eras":
            return _eras_words(body, who)
        case "undo":
            return f"decision {body['decision']} undone"
        case "forget":
            return "a person forgotten"
        case _:
            return kind.replace("_", " ")


def _era_words(name: str) -> str:
    """Return the title of an era within a sentence; a name that a person gave stays as it is."""
    title = era_title(name)
    return title if title == name.replace("_", " ") else title[:1].lower() + title[1:]


def _eras_words(body: Mapping[str, Any], who: str) -> str:
    eras = [_era_words(name) for name in body.get("eras") or ()]
    name = _era_words(body.get("name") or "")
    match body["change"]:
        case "rename":
            return f"the era {eras[0]} of {who} is called {name}"
        case "merge":
            return f"{'the eras' if len(eras) > 1 else 'the era'} {' and '.join(eras)} of {who} became part of {name}"
        case _:
            return f"the eras of {who} split anew"


def effect_words(effect: Effect, names: Names) -> Sequence[str]:
    """Return what decisions would change, a sentence for each identity."""
    found = [_sentence(f"{named(old, names)} becomes part of {named(into, names)}") for old, into in effect.merged]
    gone = {old for old, _ in effect.merged}
    for change in effect.changes:
        if change.identity in gone:
            continue
        parts = [f"gets {counted(change.joins, 'face')}"] if change.joins else []
        parts += [f"loses {counted(change.leaves, 'face')}"] if change.leaves else []
        who = "A new person" if change.identity in effect.new else named(change.identity, names)
        found.append(_sentence(f"{who} {' and '.join(parts)}, and has {change.faces:,} then"))
    if effect.released:
        found.append(f"{counted(effect.released, 'face')} will belong to nobody")
    return found
