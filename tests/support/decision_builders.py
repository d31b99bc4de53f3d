"""Decisions of moderators, one of each kind."""

from immich_facesets.faces import Box
from immich_facesets.moderation.decisions import (
    AllowTogether,
    BirthDate,
    Confirm,
    Cover,
    Decision,
    EraFace,
    Eras,
    Erased,
    FaceRef,
    Forget,
    ForgottenFace,
    ForSets,
    Ignore,
    KeepApart,
    Label,
    Later,
    Lock,
    Merge,
    Minor,
    Move,
    NeverExport,
    NotAFace,
    NotForSets,
    OfAge,
    Part,
    Profiles,
    ReferencePicture,
    Reject,
    Seen,
    Split,
    Undo,
    Unlock,
)
from immich_facesets.moderation.era_pins import EraPlace, EraSpan


def face(number: int) -> FaceRef:
    return FaceRef(f"{number:064x}", Box(1.5, 2, 30, 40))


ONE_OF_EACH: list[Decision] = [
    Merge(into=1, parts=(Part(2, (face(3),), (("anna", "p1"),)),)),
    Split(identity=1, faces=(face(1), face(2)), number=7),
    Move(faces=(face(1),), into=2, origin=1),
    Confirm(faces=(face(2),), identity=2, origin=2),
    Reject(faces=(face(1),), identity=2),
    KeepApart(identity=1, other=2),
    Lock(identity=1),
    Unlock(identity=1),
    Label(identity=1, label="Ada"),
    Ignore(faces=(face(1),), origin=4),
    NotAFace(faces=(face(1),), origin=4),
    Later(identity=1, other=2, seen=Seen("merge", 0.5, (1, 2), (9, 4))),
    NotForSets(faces=(face(1),)),
    ForSets(faces=(face(1),), identity=1),
    AllowTogether(faces=(face(1),)),
    Forget(1, (2,), "salt", (ForgottenFace("0" * 64, Box(1, 2, 3, 4)),), ("1" * 64,)),
    Erased(),
    NeverExport(identity=1),
    Profiles(identity=1, off=("kohya", "xmp")),
    OfAge(faces=(face(1),)),
    BirthDate(identity=1, birth_date="2010-05-01"),
    Minor(identity=1),
    Cover(identity=1, face=face(1)),
    ReferencePicture("2" * 64, face(1), identity=1),
    Eras(
        identity=1,
        change="rename",
        spans=(EraSpan("2011", "years", 2009, 2011, 2014), EraSpan("School", "years", 2009, 2011, 2014)),
        placed=(EraFace(face(1), EraPlace(0, is_founder=True), EraPlace(1, is_founder=True)),),
        eras=("2011",),
        name="School",
    ),
    Undo(decision=1),
]
