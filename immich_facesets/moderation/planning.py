"""The decisions that a request amounts to, or a ``RequestError`` with what to do. Nothing here knows a database."""

from collections.abc import Callable, Iterable
from typing import Any, assert_never

from immich_facesets.dates import read_date
from immich_facesets.errors import NameTakenError, RequestError
from immich_facesets.moderation.active_decisions import pair_of
from immich_facesets.moderation.decisions import (
    AllowTogether,
    BirthDate,
    Confirm,
    Cover,
    Decision,
    FaceRef,
    Forget,
    Ignore,
    KeepApart,
    Label,
    Later,
    Lock,
    Minor,
    Move,
    NeverExport,
    NotAFace,
    NotForSets,
    OfAge,
    ReferencePicture,
    Reject,
    Split,
    Unlock,
)
from immich_facesets.moderation.facts import Facts, KnownFace, refs, some
from immich_facesets.moderation.merging import merge
from immich_facesets.moderation.requests import (
    AllowTwice,
    AssignReference,
    ChooseCover,
    ConfirmFaces,
    ForgetPerson,
    HoldFromSets,
    IgnoreOthers,
    IgnoreStrangers,
    IncludeInSets,
    KeepTwoApart,
    LockIdentity,
    MarkMinor,
    MarkNotAFace,
    MarkOfAge,
    MergePeople,
    MoveFaces,
    NameIdentity,
    NeverExportIdentity,
    NewPerson,
    PutOff,
    RedoDecision,
    RejectFaces,
    RemoveReference,
    Request,
    SplitPerson,
    StateBirthDate,
    SwitchProfiles,
    UndoDecision,
)
from immich_facesets.moderation.set_choices import include_in_sets, switch_profiles
from immich_facesets.moderation.undoing import redo, undo
from immich_facesets.names import name_key


def decisions_of(request: Request, facts: Facts) -> tuple[Decision, ...]:  # noqa: C901, PLR0911, PLR0912 one flat arm for each kind
    """Return the decisions to append for a request; ``RequestError`` where it asks for the impossible, or changes nothing."""
    match request:
        case MergePeople():
            return (merge(request, facts),)
        case SplitPerson():
            return (_split(request, facts),)
        case MoveFaces():
            return _move(request, facts)
        case ConfirmFaces():
            return _confirm(request, facts)
        case RejectFaces():
            return _reject(request, facts)
        case IgnoreStrangers():
            return _ignore(request, facts)
        case IgnoreOthers():
            return _ignore_others(request, facts)
        case MarkNotAFace():
            return _by_origin(facts.find(request.faces), NotAFace)
        case PutOff():
            return (_put_off(request, facts),)
        case HoldFromSets():
            return (NotForSets(refs(facts.find(request.faces)), is_on=request.is_on),)
        case IncludeInSets():
            return include_in_sets(request, facts)
        case SwitchProfiles():
            return (switch_profiles(request, facts),)
        case LockIdentity() | NeverExportIdentity() | MarkMinor():
            return (_switch(request, facts),)
        case ForgetPerson():
            return (_forget(request, facts),)
        case NameIdentity():
            return (_label(request, facts),)
        case ChooseCover():
            return (_cover(request, facts),)
        case KeepTwoApart():
            return (_keep_apart(request, facts),)
        case AllowTwice():
            return (AllowTogether(refs(facts.find(request.faces))),)
        case StateBirthDate():
            return (_birth_date(request, facts),)
        case MarkOfAge():
            return (OfAge(refs(facts.find(request.faces)), _subject(request.faces, request.identity, facts)),)
        case NewPerson():
            return (Label(facts.next_number, _name(request.label, request, facts)),)
        case AssignReference():
            return (_assign_reference(request, facts),)
        case RemoveReference():
            known = facts.reference(request.reference)
            number = facts.constraints.references.get(known.digest, known.sent_for)
            return (ReferencePicture(known.digest, known.face, number, is_on=False),)
        case UndoDecision():
            return undo(request.decision, facts)
        case RedoDecision():
            return redo(request.decision, facts)
        case _:
            assert_never(request)


def _split(request: SplitPerson, facts: Facts) -> Split:
    found = facts.find(request.faces)
    origins = {face.identity for face in found}
    (number, *others) = sorted(one or 0 for one in origins)
    if others or number == 0:
        raise RequestError(
            "only faces of one person can be split from that person: these are of "
            f"{some([one or 'nobody' for one in sorted(o or 0 for o in origins)])}. Move them instead"
        )
    if len(found) == len(facts.members(number)):
        raise RequestError(f"these are all faces of identity {number}: nothing would be left of it")
    return Split(number, refs(found), facts.next_number)


def _move(request: MoveFaces, facts: Facts) -> tuple[Decision, ...]:
    into = facts.next_number if request.into is None else facts.identity(request.into).number
    found = tuple(face for face in facts.find(request.faces) if face.identity != into)
    if not found:
        raise RequestError(f"these faces are in identity {into} already: 'confirm' keeps them there for good")
    return _by_origin(found, lambda faces, origin: Move(faces, into, origin))


def _confirm(request: ConfirmFaces, facts: Facts) -> tuple[Decision, ...]:
    found = facts.find(request.faces)
    if request.identity is not None:
        number = facts.identity(request.identity).number
        return _by_origin(found, lambda faces, origin: Confirm(faces, number, origin))
    _all_members(found)
    return _by_origin(found, lambda faces, origin: Confirm(faces, origin, origin))


def _reject(request: RejectFaces, facts: Facts) -> tuple[Decision, ...]:
    found = facts.find(request.faces)
    if request.identity is None:
        _all_members(found)
        return _by_origin(found, Reject)
    number = facts.identity(request.identity).number
    inside = tuple(face for face in found if face.identity == number)
    outside = tuple(face for face in found if face.identity != number)
    made = (Reject(refs(inside), number), Reject(refs(outside), number, was_member=False))
    return tuple(one for one in made if one.faces)


def _ignore(request: IgnoreStrangers, facts: Facts) -> tuple[Decision, ...]:
    number = _subject(request.faces, request.identity, facts)
    whole = () if number is None else (Ignore(identity=number),)
    return (*whole, *_by_origin(facts.find(request.faces), lambda faces, origin: Ignore(faces, origin=origin)))


def _ignore_others(request: IgnoreOthers, facts: Facts) -> tuple[Decision, ...]:
    kept = facts.find(request.faces)
    ids, pictures = {face.face_id for face in kept}, {face.ref.sha256 for face in kept}
    others = tuple(
        face
        for face_id, face in sorted(facts.faces.items())
        if face.ref.sha256 in pictures and face_id not in ids and face_id not in facts.constraints.ignored
    )
    if not others:
        raise RequestError("nobody else is in this picture, or everybody else is ignored already")
    return _by_origin(others, lambda faces, origin: Ignore(faces, origin=origin))


def _put_off(request: PutOff, facts: Facts) -> Later:
    number = _subject(request.faces, request.identity, facts)
    other = None if request.other is None else facts.identity(request.other).number
    if other is not None and (number is None or other == number):
        raise RequestError("a pair that is put off has two different identities", status=400)
    return Later(refs(facts.find(request.faces)), number, other, request.seen)


def _switch(request: LockIdentity | NeverExportIdentity | MarkMinor, facts: Facts) -> Decision:
    known = facts.identity(request.identity)
    match request:
        case LockIdentity():
            if known.is_locked == request.is_on:
                raise RequestError(f"identity {known.number} is {'' if request.is_on else 'not '}locked already")
            return Lock(known.number) if request.is_on else Unlock(known.number)
        case NeverExportIdentity():
            if known.is_hidden == request.is_on:
                raise RequestError(
                    f"identity {known.number} {'is never' if request.is_on else 'may be'} exported already"
                )
            return NeverExport(known.number, is_on=request.is_on)
        case MarkMinor():
            if facts.constraints.minors.get(known.number, False) == request.is_on:
                raise RequestError(
                    f"identity {known.number} is {'' if request.is_on else 'not '}marked as a minor already"
                )
            return Minor(known.number, is_on=request.is_on)


def _forget(request: ForgetPerson, facts: Facts) -> Forget:
    """Return the bare decision; the store adds what keeps the person from coming back."""
    if request.confirm != request.identity:
        raise RequestError("'confirm' must repeat the number of the identity: its data is erased for good", status=400)
    number = facts.identity(request.identity).number
    if number != request.identity:
        raise RequestError(
            f"identity {request.identity} was merged into {number}: to erase everything of that person, name {number}"
        )
    merged = facts.constraints.merged
    return Forget(number, tuple(sorted(old for old, into in merged.items() if into == number)))


def _label(request: NameIdentity, facts: Facts) -> Label:
    known = facts.identity(request.identity)
    label = None if request.label is None else _name(request.label, request, facts, known.number)
    if label == known.own_label:
        raise RequestError(
            f"identity {known.number} has {'no name of its own' if label is None else 'this name'} already"
        )
    return Label(known.number, label, known.own_label)


def _name(text: str, request: NameIdentity | NewPerson, facts: Facts, number: int | None = None) -> str:
    """Return the name that a request gives an identity; ``number`` None: a new one."""
    label = " ".join(text.split())
    if label == "":
        raise RequestError("a name has at least one character that is not blank", status=400)
    others = [one for one in facts.named.get(name_key(label), ()) if one != number]
    if others and not request.is_namesake:
        same = f"name {others[0]} instead" if number is None else f"merge {number} into {others[0]}"
        raise NameTakenError(
            f"identity {some(others)} has this name: if it is the same person, {same}; if both "
            "have one name, repeat this for a namesake (--namesake)",
            numbers=tuple(others),
        )
    return label


def _assign_reference(request: AssignReference, facts: Facts) -> ReferencePicture:
    known, number = facts.reference(request.reference), facts.identity(request.identity).number
    if facts.constraints.references.get(known.digest) == number:
        raise RequestError(f"reference picture {known.reference_id} is of identity {number} already")
    return ReferencePicture(known.digest, known.face, number)


def _cover(request: ChooseCover, facts: Facts) -> Cover:
    (face,) = facts.find([request.face])
    _all_members((face,))
    return Cover(face.identity or 0, face.ref)


def _keep_apart(request: KeepTwoApart, facts: Facts) -> KeepApart:
    one, two = facts.identity(request.identity).number, facts.identity(request.other).number
    if one == two:
        raise RequestError(f"{request.identity} and {request.other} are one identity: split it first")
    if pair_of(one, two) in facts.constraints.apart:
        raise RequestError(f"identities {one} and {two} are kept apart already")
    return KeepApart(one, two)


def _birth_date(request: StateBirthDate, facts: Facts) -> BirthDate:
    known = facts.identity(request.identity)
    if request.birth_date is not None and read_date(request.birth_date) is None:
        raise RequestError(
            f"{request.birth_date} is no day of the calendar: a birth date looks like 2010-05-31", status=400
        )
    return BirthDate(known.number, request.birth_date)


def _subject(faces: Iterable[Any], identity: int | None, facts: Facts) -> int | None:
    if not tuple(faces) and identity is None:
        raise RequestError("name faces, or an identity", status=400)
    return None if identity is None else facts.identity(identity).number


def _all_members(found: Iterable[KnownFace]) -> None:
    strays = [face.face_id for face in found if face.identity is None]
    if strays:
        raise RequestError(f"face {some(strays)} is of nobody: say whose it is or is not", status=400)


def _by_origin(
    found: Iterable[KnownFace], make: Callable[[tuple[FaceRef, ...], Any], Decision]
) -> tuple[Decision, ...]:
    """Return a decision for the faces of each identity, by number; faces of nobody come last."""
    parts: dict[int | None, list[FaceRef]] = {}
    for face in found:
        parts.setdefault(face.identity, []).append(face.ref)
    order = sorted(parts, key=lambda number: (number is None, number or 0))
    return tuple(make(tuple(parts[number]), number) for number in order)
