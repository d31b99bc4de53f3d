"""The commands below ``identities`` that decide: merge, split, move, and what else a moderator can say of people and faces."""

from typing import Annotated

import typer

from immich_facesets.errors import RequestError
from immich_facesets.moderation.requests import (
    AllowTwice,
    ChooseCover,
    ConfirmFaces,
    ForgetPerson,
    IgnoreOthers,
    IgnoreStrangers,
    KeepTwoApart,
    LockIdentity,
    MarkMinor,
    MarkNotAFace,
    MarkOfAge,
    MergePeople,
    MoveFaces,
    NameIdentity,
    NeverExportIdentity,
    PutOff,
    RejectFaces,
    SplitPerson,
    StateBirthDate,
)
from service.cli.deciding import DryRun, EvenIfLocked, FaceNames, Json, Reason, decide, faces_of
from service.cli.deciding import forget as forget_person
from service.cli.status import identities

__all__ = ["identities"]

Identity = Annotated[int, typer.Argument(min=1, help="The number of an identity.")]
Off = Annotated[bool, typer.Option("--off", help="Take this back.")]
OfIdentity = Annotated[int | None, typer.Option("--identity", min=1, help="The number of an identity.")]
SomeFaces = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FACE...]", help="Ids of faces ('identities show N --json'), or SHA256:X1,Y1,X2,Y2."),
]


@identities.command("merge")
def merge(
    numbers: Annotated[list[int], typer.Argument(min=1, metavar="N...", help="Identities that are the same person.")],
    into: Annotated[int, typer.Option("--into", min=1, help="The identity that stays.")],
    label: Annotated[str | None, typer.Option("--label", help="The name that stays, where several have one.")] = None,
    *,
    even_if_locked: EvenIfLocked = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make several identities one person. The old numbers lead to it, and are never given again."""
    request = MergePeople(numbers=tuple(numbers), into=into, label=label, even_if_locked=even_if_locked)
    decide(request, reason=reason, dry_run=dry_run, json=json)


@identities.command("split")
def split(
    faces: FaceNames,
    *,
    even_if_locked: EvenIfLocked = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make these faces of a person another, new person. The two are never joined again."""
    request = SplitPerson(faces=faces_of(faces), even_if_locked=even_if_locked)
    decide(request, reason=reason, dry_run=dry_run, json=json)


@identities.command("move")
def move(
    faces: FaceNames,
    into: Annotated[int | None, typer.Option("--into", min=1, help="The identity to which they belong.")] = None,
    *,
    new: Annotated[bool, typer.Option("--new", help="They are a new person.")] = False,
    even_if_locked: EvenIfLocked = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Move faces to another person, or to a new one."""
    if (into is None) != new:
        raise RequestError("say --into N, or --new: one of them, not both", status=400)
    request = MoveFaces(faces=faces_of(faces), into=into, even_if_locked=even_if_locked)
    decide(request, reason=reason, dry_run=dry_run, json=json)


@identities.command("confirm")
def confirm(
    faces: FaceNames,
    identity: OfIdentity = None,
    *,
    even_if_locked: EvenIfLocked = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Confirm that faces show their person, or the person of --identity. They stay, and weigh in the person's centroid."""
    request = ConfirmFaces(faces=faces_of(faces), identity=identity, even_if_locked=even_if_locked)
    decide(request, reason=reason, dry_run=dry_run, json=json)


@identities.command("reject")
def reject(
    faces: FaceNames,
    identity: OfIdentity = None,
    *,
    even_if_locked: EvenIfLocked = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Reject faces that do not show their person, or the person of --identity. They never come back to that person."""
    request = RejectFaces(faces=faces_of(faces), identity=identity, even_if_locked=even_if_locked)
    decide(request, reason=reason, dry_run=dry_run, json=json)


@identities.command("ignore")
def ignore(
    faces: SomeFaces = None,
    identity: OfIdentity = None,
    *,
    others: Annotated[bool, typer.Option("--others", help="Everybody in their pictures but these faces.")] = False,
    even_if_locked: EvenIfLocked = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Ignore strangers for good: faces, a whole identity, or everybody else in a picture."""
    chosen = faces_of(faces or [])
    if others and (identity is not None or not chosen):
        raise RequestError("--others goes with the faces that are kept, and without --identity", status=400)
    request = (
        IgnoreOthers(faces=chosen, even_if_locked=even_if_locked)
        if others
        else IgnoreStrangers(faces=chosen, identity=identity, even_if_locked=even_if_locked)
    )
    decide(request, reason=reason, dry_run=dry_run, json=json)


@identities.command("not-a-face")
def not_a_face(
    faces: FaceNames,
    *,
    even_if_locked: EvenIfLocked = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """State that boxes show no person: a statue, a pet, a poster. They are left out with every model."""
    request = MarkNotAFace(faces=faces_of(faces), even_if_locked=even_if_locked)
    decide(request, reason=reason, dry_run=dry_run, json=json)


@identities.command("later")
def later(
    faces: SomeFaces = None,
    identity: OfIdentity = None,
    other: Annotated[int | None, typer.Option("--other", min=1, help="The second of a pair.")] = None,
    *,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Put off faces or an identity that cannot be judged yet: reviews show them last."""
    request = PutOff(faces=faces_of(faces or []), identity=identity, other=other)
    decide(request, reason=reason, dry_run=dry_run, json=json)


@identities.command("label")
def label(
    number: Identity,
    name: Annotated[str | None, typer.Argument(help="The name.")] = None,
    *,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the name; the one that a source gives is shown again.")
    ] = False,
    namesake: Annotated[bool, typer.Option("--namesake", help="Another person has the same name.")] = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Name an identity."""
    if (name is None) != remove:
        raise RequestError("give a name, or say --remove: one of them, not both", status=400)
    request = NameIdentity(identity=number, label=name, is_namesake=namesake)
    decide(request, reason=reason, dry_run=dry_run, json=json)


@identities.command("lock")
def lock(number: Identity, *, reason: Reason = "", dry_run: DryRun = False, json: Json = False) -> None:
    """Lock an identity: grouping adds no face to it, and removes none."""
    decide(LockIdentity(identity=number), reason=reason, dry_run=dry_run, json=json)


@identities.command("unlock")
def unlock(number: Identity, *, reason: Reason = "", dry_run: DryRun = False, json: Json = False) -> None:
    """Unlock an identity."""
    decide(LockIdentity(identity=number, is_on=False), reason=reason, dry_run=dry_run, json=json)


@identities.command("cover")
def cover(
    face: Annotated[str, typer.Argument(help="The face.")],
    *,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Choose the cover: the face that represents its person."""
    decide(ChooseCover(face=faces_of([face])[0]), reason=reason, dry_run=dry_run, json=json)


@identities.command("never-export")
def never_export(
    number: Identity, *, off: Off = False, reason: Reason = "", dry_run: DryRun = False, json: Json = False
) -> None:
    """Never export an identity again. Its directories in the export folder are removed at once."""
    decide(NeverExportIdentity(identity=number, is_on=not off), reason=reason, dry_run=dry_run, json=json)


@identities.command("forget")
def forget(
    number: Identity,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for the number again.")] = False,
    even_if_locked: EvenIfLocked = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Erase all data of a person for good: faces, crops, exports, names. Only digests stay, so that no sync takes the person in again."""
    request = ForgetPerson(identity=number, confirm=number, even_if_locked=even_if_locked)
    if dry_run:
        decide(request, reason=reason, dry_run=True, json=json)
    else:
        forget_person(request, is_sure=yes, reason=reason, json=json)


@identities.command("keep-apart")
def keep_apart(
    number: Identity, other: Identity, *, reason: Reason = "", dry_run: DryRun = False, json: Json = False
) -> None:
    """State that two identities are two people: their merge is never suggested again."""
    decide(KeepTwoApart(identity=number, other=other), reason=reason, dry_run=dry_run, json=json)


@identities.command("allow-twice")
def allow_twice(faces: FaceNames, *, reason: Reason = "", dry_run: DryRun = False, json: Json = False) -> None:
    """Allow one person twice in the pictures of these faces: a mirror, a collage."""
    decide(AllowTwice(faces=faces_of(faces)), reason=reason, dry_run=dry_run, json=json)


@identities.command("birth-date")
def birth_date(
    number: Identity,
    born: Annotated[str | None, typer.Argument(help="The date, such as 2010-05-31.")] = None,
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the date.")] = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """State when a person was born, where Immich does not know it."""
    if (born is None) != remove:
        raise RequestError("give a date, or say --remove: one of them, not both", status=400)
    decide(StateBirthDate(identity=number, birth_date=born), reason=reason, dry_run=dry_run, json=json)


@identities.command("minor")
def minor(
    number: Identity, *, off: Off = False, reason: Reason = "", dry_run: DryRun = False, json: Json = False
) -> None:
    """State that an identity shows a minor, at every date: it enters no bundle for face swapping."""
    decide(MarkMinor(identity=number, is_on=not off), reason=reason, dry_run=dry_run, json=json)


@identities.command("of-age")
def of_age(
    faces: SomeFaces = None,
    identity: OfIdentity = None,
    *,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """State that faces, or all of an identity, show an adult."""
    request = MarkOfAge(faces=faces_of(faces or []), identity=identity)
    decide(request, reason=reason, dry_run=dry_run, json=json)
