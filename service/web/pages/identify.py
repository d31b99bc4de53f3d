"""The page that says whose faces a picture shows. The picture is answered and forgotten: nothing of it is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from immich_facesets.wire import ErrorBody
from service.web.context import CONTEXT
from service.web.library.faces import Edges
from service.web.library.identify import IdentifiedAs, IdentifiedFace, IdentifyAnswer
from service.web.library.identities import Crop
from service.web.pages.shell import render_page
from service.web.routes import Answer, Route
from service.web.uploads import MOST_PICTURE_BYTES, PICTURE_TYPE, TOO_LARGE, UPLOADS
from service.web.viewers import library_of

SHOWN_PEOPLE = 3
_LEAST = 0.01
"""Less probable people are not shown."""
_WORTH_SAYING = 0.05
"""The probability from which a doubtful verdict names somebody."""


@dataclass(frozen=True, slots=True)
class Likely:
    """A person that a face may show, with the cover."""

    person: IdentifiedAs
    cover: Crop | None

    @property
    def name(self) -> str:
        return name_of(self.person)

    @property
    def percent(self) -> int:
        return percent(self.person.confidence)


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face of the picture: its number on the page, the verdict in words, and the people that it may show."""

    number: int
    face: IdentifiedFace
    likely: Sequence[Likely]
    box: Edges

    @property
    def verdict(self) -> str:
        return verdict_of(self.face)


def name_of(person: IdentifiedAs) -> str:
    """Return the name of a person, or the number where there is none."""
    return person.label or f"person {person.number}"


def percent(probability: float) -> int:
    """Return a probability in whole percent, from 1 to 99: none of them is certain."""
    return max(1, min(99, int(100 * probability + 1e-6)))


def verdict_of(face: IdentifiedFace) -> str:
    """Return whom a face shows, as a sentence without its full stop."""
    match face.verdict:
        case "known":
            best = face.identities[0]
            words = f"{name_of(best)}, {percent(best.confidence)} % sure"
        case "nobody":
            words = f"nobody we know, {percent(face.nobody)} % sure"
        case "unsure":
            named = [one for one in face.identities[:SHOWN_PEOPLE] if one.confidence >= _WORTH_SAYING]
            parts = [f"{name_of(one)} {percent(one.confidence)} %" for one in named]
            parts += [f"nobody we know {percent(face.nobody)} %"] if face.nobody >= _WORTH_SAYING else []
            words = f"not sure: {', '.join(parts)}"
    return words[:1].upper() + words[1:]


def found_faces(told: IdentifyAnswer, covers: Mapping[int, Crop]) -> Sequence[FoundFace]:
    """Return the faces of a picture from left to right, with boxes in percent of its sides and within it."""
    ordered = sorted(told.faces, key=lambda face: (face.box.x1, face.box.y1))
    return [
        FoundFace(
            number,
            face,
            [
                Likely(person, covers.get(person.number))
                for person in face.identities[:SHOWN_PEOPLE]
                if person.confidence >= _LEAST
            ],
            _in_percent(face.box, told.width, told.height),
        )
        for number, face in enumerate(ordered, 1)
    ]


def _in_percent(box: Edges, width: int, height: int) -> Edges:
    return Edges(
        x1=_share(box.x1, width), y1=_share(box.y1, height), x2=_share(box.x2, width), y2=_share(box.y2, height)
    )


def _share(place: float, side: int) -> float:
    return round(100 * min(max(place, 0.0), side) / side, 3)


async def show_identify(request: web.Request) -> web.StreamResponse:
    view = {"most_bytes": MOST_PICTURE_BYTES, "too_large": TOO_LARGE, "picture_type": PICTURE_TYPE}
    return await render_page(request, "identify.html", view)


async def identify_picture(request: web.Request) -> web.StreamResponse:
    """Return the part of the page with the faces of the picture in the body."""
    context = request.app[CONTEXT]
    async with request.app[UPLOADS].picture(request) as picture:
        told = await context.identify(picture, SHOWN_PEOPLE)
    covers = await library_of(request).covers({one.number for face in told.faces for one in face.identities})
    view = {"picture": told, "found": found_faces(told, covers)}
    return await render_page(request, "_identified.html", view)


ROUTES = (
    Route(
        method="GET",
        path="/identify",
        handler=show_identify,
        summary="The page that says whose faces a picture shows",
        answers={200: Answer("The page", media_type="text/html"), 303: Answer("To the login", redirects=True)},
    ),
    Route(
        method="POST",
        path="/identify",
        handler=identify_picture,
        summary="Whose faces a picture shows, as a part of the page; nothing is stored",
        upload=PICTURE_TYPE,
        answers={
            200: Answer("The part of the page", media_type="text/html"),
            303: Answer("To the login", redirects=True),
            400: Answer("No body", body=ErrorBody),
            422: Answer("No picture that can be read; the message gives the reason", body=ErrorBody),
            503: Answer("Not available now; the message gives the reason", body=ErrorBody),
        },
    ),
)
