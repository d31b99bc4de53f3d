"""Reference pictures: pictures of people that are in no library, added, listed, shown and deleted."""

from dataclasses import replace

import msgspec
from aiohttp import hdrs, web

from immich_facesets.errors import RequestError
from immich_facesets.moderation.requests import Name, NewPerson, RemoveReference
from immich_facesets.wire import ErrorBody
from service.web import examples
from service.web.api.decisions import DECIDED, NOT_DONE, decide_and_answer
from service.web.api.facesets import as_attachment
from service.web.api.identities import NOT_AVAILABLE, OF_ONE, redirect_if_merged
from service.web.api.pictures import OF_PICTURE, no_crop, picture_answer, picture_name
from service.web.context import CONTEXT
from service.web.deciding import author_of, changed_answer, changed_since, seen_by
from service.web.json_bodies import read_json
from service.web.library.decisions import Reason
from service.web.library.faces import Edges
from service.web.library.references import (
    FacesProblem,
    NewPersonQuery,
    ReferenceAdded,
    ReferencePreview,
    ReferenceQuery,
    ReferencesAnswer,
    RemovalQuestion,
    SentPicture,
    SeveralFacesError,
    box_in,
)
from service.web.parameters import header_text, number_in, read_query
from service.web.preconditions import IDEMPOTENCY_KEY, IF_MATCH, key_of
from service.web.problems import PROBLEM_TYPE, problem_of
from service.web.routes import Answer, Header, Route, json_answer
from service.web.uploads import PICTURE_TYPE, UPLOADS
from service.web.viewers import library_of

LABEL = Header(
    "Facesets-Label", "the name of the new person: UTF-8, percent-encoded", is_required=True, example="Zo%C3%AB"
)
REASON = Header("Facesets-Reason", "why: free text that is kept with the decision, UTF-8, percent-encoded")

_JPEG = b"\xff\xd8\xff"


async def get_references(request: web.Request) -> web.StreamResponse:
    number = number_in(request, "number")
    if (merged := await redirect_if_merged(request, number)) is not None:
        return merged
    return json_answer(await library_of(request).references(number))


async def post_reference(request: web.Request) -> web.StreamResponse:
    return await _add(request, number_in(request, "number"), read_query(request, ReferenceQuery))


async def post_new_person(request: web.Request) -> web.StreamResponse:
    query = read_query(request, NewPersonQuery)
    return await _add(request, _new_person(request, query), query)


def _new_person(request: web.Request, query: NewPersonQuery) -> NewPerson:
    return NewPerson(label=header_text(request, LABEL, Name), is_namesake=query.is_namesake)


async def post_reference_preview(request: web.Request) -> web.StreamResponse:
    return await _preview(request, number_in(request, "number"), read_query(request, ReferenceQuery))


async def post_new_person_preview(request: web.Request) -> web.StreamResponse:
    query = read_query(request, NewPersonQuery)
    return await _preview(request, _new_person(request, query), query)


async def _preview(request: web.Request, person: int | NewPerson, query: ReferenceQuery) -> web.StreamResponse:
    box = box_in(query.box)
    async with request.app[UPLOADS].picture(request) as picture:
        sent = SentPicture(picture=picture, person=person, box=box, author=author_of("api"))
        try:
            return json_answer(await request.app[CONTEXT].references.preview(sent))
        except SeveralFacesError as error:
            return _several(error)


async def _add(request: web.Request, person: int | NewPerson, query: ReferenceQuery) -> web.StreamResponse:
    """Add a picture once under its key, and only to an identity that is as the caller saw it."""
    calls, box, seen = request.app[CONTEXT].references, box_in(query.box), seen_by(request)
    reason = header_text(request, REASON, Reason)
    asked = msgspec.json.encode((person, reason, request.rel_url.raw_query_string))
    async with request.app[UPLOADS].picture(request) as picture:
        sent = SentPicture(
            picture=picture,
            person=person,
            box=box,
            keeps_original=query.keep_original,
            author=author_of("api", reason),
            key=await key_of(request, asked + b"\n" + picture),
        )
        while True:  # ends: each further round follows a decision of another caller
            if seen is not None and isinstance(person, int):
                sent = replace(sent, after=await calls.last())
                if changed := await changed_since(request, [person], seen):
                    return changed_answer(changed)
            try:
                added = await calls.add(sent)
            except SeveralFacesError as error:
                return _several(error)
            if added is not None:
                return json_answer(added)


def _several(error: SeveralFacesError) -> web.Response:
    boxes = tuple(Edges(x1=box.x1, y1=box.y1, x2=box.x2, y2=box.y2) for box in error.boxes)
    problem = problem_of(409, str(error), "several_faces")
    body = FacesProblem(**msgspec.structs.asdict(problem), boxes=boxes)
    return web.Response(status=409, body=msgspec.json.encode(body), content_type=PROBLEM_TYPE)


async def get_reference_picture(request: web.Request) -> web.StreamResponse:
    name = picture_name(request)
    image = await library_of(request).reference_picture(name)
    if image is None:
        raise no_crop()
    return picture_answer(request, image, name)


async def get_original(request: web.Request) -> web.StreamResponse:
    """Answer with the bytes that were sent, for saving: the service does not decode them, and no browser shows them."""
    reference = number_in(request, "reference")
    image = await library_of(request).reference_original(reference)
    if image is None:
        raise RequestError(
            f"there is no original of reference picture {reference}: it is kept only where `keep_original` asked for it",
            status=404,
        )
    name = f"reference_{reference}{'.jpg' if image.startswith(_JPEG) else ''}"
    headers = {hdrs.CONTENT_DISPOSITION: as_attachment(name)}
    return web.Response(body=image, content_type=PICTURE_TYPE, headers=headers)


async def post_removal(request: web.Request) -> web.StreamResponse:
    reference, question = number_in(request, "reference"), await read_json(request, RemovalQuestion)
    return await decide_and_answer(request, [RemoveReference(reference=reference)], question.reason)


_ADDED = NOT_DONE | {
    200: Answer("The picture is added", body=ReferenceAdded, example=examples.REFERENCE_ADDED),
    404: Answer("No such identity", body=ErrorBody),
    409: Answer(
        "Several faces, somebody else's name, or a picture that is of another person already",
        body=FacesProblem,
        example=examples.SEVERAL_FACES,
    ),
    410: Answer("The data of this person was erased", body=ErrorBody),
    422: Answer("No picture that can be read, none with a face, or the key was used for another", body=ErrorBody),
}
_PREVIEWED = {status: answer for status, answer in _ADDED.items() if status not in {412, 423}} | {
    200: Answer("What would be added", body=ReferencePreview, example=examples.REFERENCE_PREVIEW)
}

ROUTES = (
    Route(
        method="GET",
        path="/api/identities/{number}/references",
        handler=get_references,
        summary="The reference pictures of an identity, which are in no library",
        answers=OF_ONE | {200: Answer("The reference pictures", body=ReferencesAnswer, example=examples.REFERENCES)},
    ),
    Route(
        method="POST",
        path="/api/identities/{number}/references",
        handler=post_reference,
        summary="Add a reference picture of an identity: it counts as a confirmed face, and is exported nowhere",
        query=ReferenceQuery,
        upload=PICTURE_TYPE,
        headers=(REASON, IDEMPOTENCY_KEY, IF_MATCH),
        answers=_ADDED,
    ),
    Route(
        method="POST",
        path="/api/references",
        handler=post_new_person,
        summary="Add a reference picture of a person who is in no library yet, with a name",
        query=NewPersonQuery,
        upload=PICTURE_TYPE,
        headers=(LABEL, REASON, IDEMPOTENCY_KEY),
        answers={status: answer for status, answer in _ADDED.items() if status != 412},
    ),
    Route(
        method="POST",
        path="/api/identities/{number}/references/preview",
        handler=post_reference_preview,
        summary="What adding a reference picture of an identity would do; nothing is kept",
        query=ReferenceQuery,
        upload=PICTURE_TYPE,
        answers=_PREVIEWED,
    ),
    Route(
        method="POST",
        path="/api/references/preview",
        handler=post_new_person_preview,
        summary="What adding a reference picture of a new person would do; nothing is kept",
        query=NewPersonQuery,
        upload=PICTURE_TYPE,
        headers=(LABEL,),
        answers=_PREVIEWED,
    ),
    Route(
        method="GET",
        path="/api/references/{reference}/original",
        handler=get_original,
        summary="The bytes of a reference picture as they were sent, where they were kept",
        answers={
            200: Answer("The bytes, to be saved", media_type=PICTURE_TYPE),
            404: Answer("No such picture, or its original was not kept", body=ErrorBody),
            503: NOT_AVAILABLE,
        },
    ),
    Route(
        method="GET",
        path="/api/reference-pictures/{crop}",
        handler=get_reference_picture,
        summary="A reference picture, as a square around the face or aligned",
        answers=OF_PICTURE,
    ),
    Route(
        method="POST",
        path="/api/references/{reference}/remove",
        handler=post_removal,
        summary="Delete a reference picture: it counts no more, and nothing brings it back",
        question=RemovalQuestion,
        headers=(IDEMPOTENCY_KEY, IF_MATCH),
        answers=NOT_DONE | {200: DECIDED},
    ),
)
