"""Reference pictures of people as the API takes and shows them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec

from immich_facesets.errors import RequestError
from immich_facesets.faces import Box
from immich_facesets.moderation.records import Author
from immich_facesets.moderation.requests import NewPerson
from service.web.library.decisions import DecisionsAnswer, Reason, WriteKey
from service.web.library.faces import Edges
from service.web.problems import Problem
from service.web.schemas import Instant

_NUMBER = r"-?[0-9]{1,9}(\.[0-9]{1,20})?(e-[0-9]{1,3})?"

BoxText = Annotated[str, msgspec.Meta(pattern=f"^{_NUMBER}(,{_NUMBER}){{3}}$", examples=["812,300,1010,561"])]


class ReferenceQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a reference picture is added."""

    box: Annotated[
        BoxText | None,
        msgspec.Meta(description="which of several faces: X1,Y1,X2,Y2, in pixels of the upright picture"),
    ] = None
    keep_original: Annotated[bool, msgspec.Meta(description="keep the bytes that are sent, too")] = False


class NewPersonQuery(ReferenceQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a picture of a new person is added."""

    is_namesake: Annotated[bool, msgspec.Meta(description="another person has the same name")] = False


class RemovalQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a reference picture is deleted."""

    reason: Reason = ""


class ReferenceShown(msgspec.Struct, frozen=True, kw_only=True):
    """
    One reference picture. ``sha256`` is that of the picture that was sent, and ``box`` is the face in it.

    ``state``: ``used``; ``waiting`` to be embedded by the next sync; or ``asked``, while a review asks whether it is of
    ``identity`` or of ``rival``. ``display``, ``aligned`` and ``original`` are addresses: ``aligned`` is None before it was
    embedded, and ``original`` where the bytes that were sent were not kept.
    """

    id: int
    identity: int
    rival: int | None
    state: Literal["used", "waiting", "asked"]
    sha256: str
    box: Edges
    display: str
    aligned: str | None
    original: str | None
    made_at: Instant


class ReferencesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The reference pictures of an identity, and those of which a review asks whether they are."""

    references: tuple[ReferenceShown, ...]


class ReferenceAdded(msgspec.Struct, frozen=True, kw_only=True):
    """
    The outcome of a picture that was sent: its id, for whom it is, and the decisions made with it.

    ``rival``: another identity that it resembles as well. Then a review asks whose it is, and it is not used before.
    """

    id: int
    identity: int
    rival: int | None
    done: DecisionsAnswer


class ReferencePreview(msgspec.Struct, frozen=True, kw_only=True):
    """
    The outcome that a picture would have, were it added: for whom it would be, and what would be decided with it.

    ``known``: its id where it is here already, and nothing would change. ``rival``: as of one that is added.
    """

    known: int | None
    identity: int
    rival: int | None
    done: DecisionsAnswer


class FacesProblem(Problem, frozen=True, kw_only=True):
    """A conflict. ``boxes``: the faces of a picture with several, of which the caller did not say which is meant."""

    boxes: tuple[Edges, ...] = ()


class SeveralFacesError(RequestError):
    """The picture has several faces, and the caller does not say which of these ``boxes`` is meant."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        told = "; ".join(f"{box.x1:.0f},{box.y1:.0f},{box.x2:.0f},{box.y2:.0f}" for box in boxes)
        super().__init__(f"say which face of this picture is meant, by its box X1,Y1,X2,Y2. The faces are at: {told}")
        self.boxes = tuple(boxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPicture:
    """A picture that a caller sent for an identity, or for a new person. ``after``: as for decisions."""

    picture: bytes = field(repr=False)
    person: int | NewPerson
    box: Box | None = None
    keeps_original: bool = False
    author: Author
    key: WriteKey | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceCalls:
    """
    The calls behind the routes that add reference pictures. ``preview`` answers what ``add`` would do, and keeps nothing.

    ``add`` returns None when another decision followed the one with the id ``after``; ``last`` returns the latest one.
    """

    add: Callable[[SentPicture], Awaitable[ReferenceAdded | None]]
    preview: Callable[[SentPicture], Awaitable[ReferencePreview]]
    last: Callable[[], Awaitable[int]]


def box_in(text: str | None) -> Box | None:
    """Return the box of a text X1,Y1,X2,Y2; ``RequestError`` (400) where it has no area."""
    if text is None:
        return None
    try:
        x1, y1, x2, y2 = map(float, text.split(","))
    except ValueError:
        x1 = y1 = x2 = y2 = 0.0
    if not (x1 < x2 and y1 < y2):
        raise RequestError(f"{text!r} is no box: it is X1,Y1,X2,Y2 in pixels, with X1 < X2 and Y1 < Y2", status=400)
    return Box(x1, y1, x2, y2)
