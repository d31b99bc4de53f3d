"""Identities as the API shows them."""

from datetime import date
from typing import Annotated, Any, Literal

import msgspec

from immich_facesets.moderation.requests import Day, Distance, FaceSelection
from service.web.schemas import Instant

IdentityOrder = Literal["number", "name", "faces", "pictures"]
FaceOrder = Literal["distance", "doubt", "quality", "time"]
WhyNotExported = Literal["", "never_export", "no_faces", "no_face_large_enough", "nothing_exported_yet", "not_yet"]

_PLAIN = r"^[^\x00-\x1f\x7f]*$"  # no control characters, which no name has

Text = Annotated[str, msgspec.Meta(max_length=200, pattern=_PLAIN)]
Cursor = Annotated[
    str,
    msgspec.Meta(
        max_length=2000, pattern="^[A-Za-z0-9_-]*$", description="`next` of the page before; empty: the first page"
    ),
]
Limit = Annotated[int, msgspec.Meta(ge=1, le=200, description="the most entries of a page")]
Reverse = Annotated[bool, msgspec.Meta(description="the other way round")]
Number = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1, description="the number of an identity")]


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of a long list."""

    limit: Limit = 50
    cursor: Cursor = ""


class IdentitiesQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which identities a list has, and in which order."""

    q: Annotated[Text, msgspec.Meta(description="a part of a name, or a number")] = ""
    named: Annotated[bool | None, msgspec.Meta(description="with a name, or without one")] = None
    locked: Annotated[bool | None, msgspec.Meta(description="locked, or not")] = None
    never_export: Annotated[bool | None, msgspec.Meta(description="never exported, or not")] = None
    birth: Annotated[
        Literal["known", "unknown"] | None,
        msgspec.Meta(
            description="`unknown`: no birth date is known, so that the minors' rule cannot protect a childhood"
        ),
    ] = None
    minor: Annotated[bool | None, msgspec.Meta(description="marked as a minor or under age today, or not")] = None
    questions: Annotated[bool | None, msgspec.Meta(description="with questions in the review queue, or without")] = None
    found_since: Annotated[date | None, msgspec.Meta(description="the identity is not older than this day")] = None
    min_pictures: Annotated[int, msgspec.Meta(ge=0, le=10**9, description="in at least so many pictures")] = 0
    source: Annotated[Text, msgspec.Meta(description="seen in a picture of this user or folder")] = ""
    sort: Annotated[IdentityOrder, msgspec.Meta(description="most faces and most pictures come first")] = "faces"
    reverse: Reverse = False


class FacesQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which faces of an identity are wanted, within the limits of a selection, and in which order they come."""

    sort: Annotated[
        FaceOrder, msgspec.Meta(description="the nearest, the most doubtful, the best, or the oldest come first")
    ] = "distance"
    reverse: Reverse = False
    farther_than: Annotated[Distance | None, msgspec.Meta(description="farther from the centroid")] = None
    nearer_than: Annotated[Distance | None, msgspec.Meta(description="nearer to the centroid")] = None
    taken_since: Annotated[Day | None, msgspec.Meta(description="taken then or later: a year, a month or a day")] = None
    taken_before: Annotated[Day | None, msgspec.Meta(description="taken before: a year, a month or a day")] = None
    source: Annotated[Text | None, msgspec.Meta(description="in a picture of this user or folder")] = None

    def selection(self, number: int) -> FaceSelection:
        """Return the limits as a selection among the faces of an identity."""
        return FaceSelection(
            identity=number,
            farther_than=self.farther_than,
            nearer_than=self.nearer_than,
            taken_since=self.taken_since,
            taken_before=self.taken_before,
            source=self.source,
        )


class NearestQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many other identities are wanted."""

    limit: Limit = 20


class Crop(msgspec.Struct, frozen=True, kw_only=True):
    """A face with the addresses of its stored crop, and of a thumbnail of it; these never change."""

    face: int
    crop: str
    thumbnail: str


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """
    One identity. ``cover``: the face that represents it, None while no face has a crop.

    ``origin``: whether a source named it first (``asserted``), or clustering found it (``discovered``). ``facesets``:
    the addresses of its exported face sets. ``first_date`` and ``last_date`` are those that its pictures state.
    ``questions``: how many the review queue has about it.
    """

    number: int
    label: str | None
    origin: str
    is_locked: bool
    is_never_exported: bool
    faces: int
    pictures: int
    cover: Crop | None = None
    facesets: tuple[str, ...] = ()
    first_date: str | None = None
    last_date: str | None = None
    questions: int = 0


class IdentitiesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of identities. ``total`` counts all that match; ``next``: the cursor of the next page, None at the end."""

    identities: tuple[Identity, ...]
    total: int
    next: str | None = None


class GivenLabel(msgspec.Struct, frozen=True, kw_only=True):
    """A name that a source gives to an identity; ``is_shown``: it is the label, unless a person gave another."""

    source: str
    name: str
    is_shown: bool


class IdentityAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    One identity with all that is known of it.

    ``is_minor``: a moderator marked it as such. ``how`` its faces joined it, with counts; a face in several sources counts
    in each of ``sources``. ``profiles_off``: the export profiles that are not written for it. ``why_not_exported`` is empty where a face set of it is there.
    """

    identity: Identity
    names: tuple[GivenLabel, ...]
    created_at: Instant
    birth_date: str | None
    is_minor: bool
    how: dict[str, int]
    sources: dict[str, int]
    is_stranger: bool
    why_not_exported: WhyNotExported = ""
    profiles_off: tuple[str, ...] = ()


class MergedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A number that was merged: its faces are at another number, and an undo would bring it back."""

    number: int
    leads_to: int


class Era(msgspec.Struct, frozen=True, kw_only=True):
    """
    One period of a life, from ``from_year`` to ``to_year``.

    ``faces`` are its members; ``placed`` of them have no date of their own. ``examples``: a few of them.
    """

    name: str
    kind: str
    from_year: int | None
    main_year: int | None
    to_year: int | None
    faces: int
    placed: int
    examples: tuple[Crop, ...] = ()


class ErasAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The eras of an identity, earliest first."""

    eras: tuple[Era, ...]


class YearCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many faces of an identity are of pictures of a year."""

    year: int
    faces: int


class FiguresAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    How the faces of an identity are spread. ``undated``: those without a year.

    ``distances``: how many lie in each bin of ``bin_width`` of the cosine distance to the centroid, from 0 on; the last bin
    has all beyond. ``cut``: the distance up to which grouping matches faces to the identity.
    """

    years: tuple[YearCount, ...]
    undated: int
    distances: tuple[int, ...]
    bin_width: float
    cut: float


class NearIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Another identity, and the cosine distance between the two means of all vectors, or of a face's vector to it."""

    number: int
    label: str | None
    distance: float


class NearestAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The other identities, nearest first."""

    identities: tuple[NearIdentity, ...]


class Companion(msgspec.Struct, frozen=True, kw_only=True):
    """Another identity, with the number of pictures that show both."""

    number: int
    label: str | None
    pictures: int


class TogetherAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The identities in the same pictures, those of most pictures first."""

    identities: tuple[Companion, ...]
    next: str | None = None


class MadeDecision(msgspec.Struct, frozen=True, kw_only=True):
    """
    One decision of a person. ``body``: what was decided, with faces by content and box.

    ``made_from``: page, api, command or import; ``reason``: why, as free text. ``is_undone``: it has no effect now.
    """

    id: int
    kind: str
    body: dict[str, Any]
    made_by: str
    made_from: str
    made_at: Instant
    reason: str
    is_undone: bool


class HistoryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The decisions about an identity, newest first."""

    decisions: tuple[MadeDecision, ...]
    next: str | None = None
