"""Face sets and their exports as the API shows them."""

from typing import Annotated

import msgspec

from service.web.library.faces import Face
from service.web.library.identities import Identity, IdentityOrder, Number, PageQuery, Text, WhyNotExported
from service.web.schemas import Instant


class FacesetsQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which directories of the export folder are wanted."""

    identity: Annotated[Number | None, msgspec.Meta(description="of this identity alone")] = None


class LedgerQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entries of the ledger are wanted."""

    identity: Annotated[Number | None, msgspec.Meta(description="of this identity alone")] = None


class ExportedQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which people are wanted, by what of them is in the export folder."""

    q: Annotated[Text, msgspec.Meta(description="a part of a name, or a number")] = ""
    exported: Annotated[bool | None, msgspec.Meta(description="with a face set, or without one")] = None
    profile: Annotated[Text, msgspec.Meta(description="with a directory of this profile, and these alone")] = ""
    sort: Annotated[IdentityOrder, msgspec.Meta(description="most faces and most pictures come first")] = "faces"


class LeftOutQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which faces are wanted that are not in a face set."""

    reason: Annotated[Text, msgspec.Meta(description="left out for this reason alone")] = ""


class Years(msgspec.Struct, frozen=True, kw_only=True, rename={"first": "from", "last": "to"}):
    """The years of an era."""

    first: int | None
    last: int | None


class Faceset(msgspec.Struct, frozen=True, kw_only=True):
    """
    One directory of the export folder: a face set, or an export profile of it for another program.

    ``identity`` is None for a profile of a whole library. ``address`` is that of its description, ``zip`` of all its files.
    """

    directory: str
    profile: str
    identity: int | None
    label: str | None
    era: Years | None
    faces: int
    written_at: Instant
    address: str
    zip: str


class FacesetsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of directories, in the order of their names."""

    facesets: tuple[Faceset, ...]
    next: str | None = None


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a directory."""

    name: str
    bytes: int
    address: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a face set lacks: a code, a sentence, and the figure with its threshold."""

    code: str
    message: str
    value: float
    threshold: float


class Preflight(msgspec.Struct, frozen=True, kw_only=True):
    """
    The shortcomings of a face set, before it is used.

    ``shown``: how many faces each bin of each aspect has. ``left_out``: faces by the reason why they are not in it.
    """

    findings: tuple[Finding, ...]
    shown: dict[str, dict[str, int]]
    events: dict[str, int]
    known: int
    left_out: dict[str, int]


class FacesetAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    One directory with its files and its pre-flight.

    ``preflight`` is None for profiles of other programs. ``is_whole`` is False where files of it are missing.
    """

    faceset: Faceset
    is_whole: bool
    artifacts: tuple[Artifact, ...]
    preflight: Preflight | None = None


class LeftOutFace(msgspec.Struct, frozen=True, kw_only=True):
    """A face that is known of the person, or of the era, and is not in its face set."""

    reason: str
    face: Face


class LeftOutAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A page of faces that are left out, as the face set was written.

    ``total``: how many are left out for this reason. Faces that went to somebody else since are not shown.
    """

    faces: tuple[LeftOutFace, ...]
    total: int
    next: str | None = None


class PlannedSetQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which face set of a person is planned."""

    era: Annotated[Text, msgspec.Meta(description="the name of an era; empty for all years")] = ""


class PlannedSet(msgspec.Struct, frozen=True, kw_only=True):
    """
    A face set of a person as the decisions of now would make it, beside the one that is written.

    ``era``: its name, empty for all years; ``eras``: the names of all that the person has. ``is_thin``: an era with too
    few faces, which is kept apart.
    ``faces``: how many it would have; ``written``: how many it has, None where there is none. ``coming`` faces come in and
    ``going`` go out; ``comes_in`` and ``goes_out`` are the first of them. ``included``: how many faces of it were included
    by hand. ``refused``: those that were, and are left out, each with the reason. ``unchecked``: how many crops no detector
    has seen yet; a look at them may leave faces out. ``left_out``: faces by the reason why they are not in it.
    """

    era: str = ""
    eras: tuple[str, ...] = ()
    is_thin: bool = False
    faces: int
    written: int | None
    coming: int
    going: int
    comes_in: tuple[Face, ...]
    goes_out: tuple[Face, ...]
    included: int
    refused: tuple[LeftOutFace, ...]
    unchecked: int
    left_out: dict[str, int]


class FacesetSummary(msgspec.Struct, frozen=True, kw_only=True):
    """
    One directory at a glance. ``bytes``: of all its files. ``downloads``: the bundles among them.

    ``contact_sheet``: the address of the picture of its faces; None, as ``preflight``, for profiles of other programs.
    """

    faceset: Faceset
    is_whole: bool
    bytes: int
    downloads: tuple[Artifact, ...]
    contact_sheet: str | None = None
    preflight: Preflight | None = None


class ExportedPerson(msgspec.Struct, frozen=True, kw_only=True):
    """
    A person with all directories. ``why_not_exported`` is empty where a face set is there.

    ``profiles_off``: the profiles that are switched off for the person.
    """

    identity: Identity
    why_not_exported: WhyNotExported
    facesets: tuple[FacesetSummary, ...]
    profiles_off: tuple[str, ...] = ()


class ExportedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A page of people with their directories; ``total`` counts all that match.

    ``directories``: how many there are of each profile. ``of_everybody``: those of no single person.
    """

    people: tuple[ExportedPerson, ...]
    total: int
    directories: dict[str, int]
    of_everybody: tuple[Faceset, ...] = ()
    next: str | None = None


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One directory that was written or removed: ``action`` is ``written`` or ``removed``."""

    id: int
    directory: str
    identity: int | None
    profile: str
    action: str
    faces: int
    made_by: str
    made_at: Instant


class LedgerAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the ledger, the latest first."""

    exports: tuple[LedgerEntry, ...]
    next: str | None = None
