"""The decisions on what is exported of a person: faces that are included by hand, and profiles that are switched off."""

from immich_facesets.errors import RequestError
from immich_facesets.moderation.decisions import FaceRef, ForSets, Profiles
from immich_facesets.moderation.facts import Facts, some
from immich_facesets.moderation.requests import IncludeInSets, SwitchProfiles


def include_in_sets(request: IncludeInSets, facts: Facts) -> tuple[ForSets, ...]:
    """Return a decision for the faces of each identity, by number; ``RequestError`` for faces that are in no face set."""
    found, known = facts.find(request.faces), facts.constraints.for_sets
    numbers = {face.face_id: face.identity if request.is_on else known.get(face.face_id) for face in found}
    without = [face_id for face_id, number in numbers.items() if number is None]
    if without:
        raise RequestError(
            f"face {some(without)} is of nobody: say whose it is first, with 'identities move'"
            if request.is_on
            else f"face {some(without)} was not included by hand",
            status=400 if request.is_on else 409,
        )
    parts: dict[int, list[FaceRef]] = {}
    for face in found:
        parts.setdefault(numbers[face.face_id] or 0, []).append(face.ref)
    return tuple(ForSets(tuple(parts[number]), number, is_on=request.is_on) for number in sorted(parts))


def switch_profiles(request: SwitchProfiles, facts: Facts) -> Profiles:
    """Return the profiles that are off then; ``RequestError`` for unknown ones, and where nothing changes."""
    number = facts.identity(request.identity).number
    before = {*facts.constraints.profiles_off.get(number, ())}
    unknown = sorted({*request.off, *request.on} - facts.profiles - before)
    if "fsz" in unknown:
        raise RequestError(
            "the face sets themselves are always written: 'never-export' keeps a person out of every export", status=400
        )
    if unknown:
        raise RequestError(
            f"there is no profile {some(unknown)}; those that can be switched are: {', '.join(sorted(facts.profiles))}",
            status=400,
        )
    after = before - {*request.on} | {*request.off}
    if after == before:
        told = "written for" if request.on else "switched off for"
        raise RequestError(f"{some(sorted({*request.on, *request.off}))}: {told} identity {number} already")
    return Profiles(number, tuple(sorted(after)), before=tuple(sorted(before)))
