"""The OpenAPI 3.1 document, generated from the route table."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from immich_facesets.wire import ErrorBody
from service.web.context import CONTEXT
from service.web.forms import FORM_TYPE
from service.web.parameters import PATH_PARAMETERS
from service.web.problems import PROBLEM_TYPE, Problem, problem_of
from service.web.routes import Access, Answer, Route

REFERENCE = "#/components/schemas/{name}"

Document = dict[str, Any]

_JSON = "application/json"

DOCUMENT = web.AppKey("document", bytes)

UNAUTHORIZED = Answer("A token or a session is required", body=ErrorBody)
FORBIDDEN = Answer("Of the administrator alone", body=ErrorBody)
TO_LOGIN = Answer("To the login, for browsers without a session", redirects=True)

OF_ALL = {
    400: Answer("A malformed request", body=ErrorBody),
    421: Answer("Not a host name of this service", body=ErrorBody),
    503: Answer("Too many connections", body=ErrorBody),
}
OF_POST = {
    403: Answer("Sent by another site, or not by the administrator", body=ErrorBody),
    408: Answer("The body did not arrive in time", body=ErrorBody),
    413: Answer("A body that is too large", body=ErrorBody),
    415: Answer("A packed body, or one of another type", body=ErrorBody),
}
"""Answers of the checks that come before every handler."""


def _reference(struct: type[msgspec.Struct]) -> Document:
    return {"$ref": REFERENCE.format(name=struct.__name__)}


def _answer(status: int, answer: Answer, error: type[msgspec.Struct]) -> Document:
    entry: Document = {"description": answer.meaning}
    if answer.redirects:
        entry["headers"] = {"Location": {"description": "Where to go", "schema": {"type": "string"}}}
    if answer.media_type:
        entry["content"] = {answer.media_type: _other_content(answer)}
    elif answer.body is not None:
        body = error if answer.body is ErrorBody else answer.body
        media_type = PROBLEM_TYPE if issubclass(body, Problem) else _JSON
        content: Document = {"schema": _reference(body)}
        example = problem_of(status, answer.meaning) if body is Problem else answer.example
        if example is not None:
            content["example"] = msgspec.to_builtins(example)
        entry["content"] = {media_type: content}
        if status == 400:  # of what is no HTTP, and of a line or header that is too long
            entry["content"]["text/plain"] = {"schema": {"type": "string"}}
    return entry


def _other_content(answer: Answer) -> Document:
    """Return the content of an answer that is no JSON struct: text, a stream of events, a JSON object, or bytes."""
    if answer.media_type == _JSON:
        return {"schema": {"type": "object"}}
    if not answer.media_type.startswith("text/"):
        return {}  # bytes have no schema in OpenAPI 3.1
    # OpenAPI 3.1 cannot describe the items of a stream: its events are text, and ``Progress`` is their data.
    schema: Document = {"type": "string"}
    if answer.body is not None:
        schema |= {"contentMediaType": _JSON, "contentSchema": _reference(answer.body)}
    return {"schema": schema}


def _parameters(route: Route) -> list[Document]:
    """Return the parameters in the path and behind it."""
    found: list[Document] = [
        {"name": name, "in": "path", "required": True, "schema": PATH_PARAMETERS.get(name, {"type": "string"})}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    if route.query is not None:
        _, schemas = msgspec.json.schema_components([route.query])
        schema = schemas[route.query.__name__]
        required = schema.get("required", ())
        found += [
            {
                "name": name,
                "in": "query",
                "required": name in required,
                "description": told.pop("description", ""),
                "schema": told,
            }
            for name, told in schema["properties"].items()
        ]
    found += [
        {
            "name": header.name,
            "in": "header",
            "required": header.is_required,
            "description": header.meaning,
            "schema": {"type": "string"} | ({"examples": [header.example]} if header.example else {}),
        }
        for header in route.headers
    ]
    return found


def _question(route: Route) -> Document | None:
    if route.question is not None:
        is_required = any(one.required for one in msgspec.structs.fields(route.question))
        return {"required": is_required, "content": {"application/json": {"schema": _reference(route.question)}}}
    if route.upload:
        return {"required": True, "content": {route.upload: {}}}  # bytes have no schema in OpenAPI 3.1
    if route.form:
        fields = {name: {"type": "string", "description": meaning} for name, meaning in route.form.items()}
        schema = {"type": "object", "properties": fields}
        return {"required": True, "content": {FORM_TYPE: {"schema": schema}}}
    return None


def _has_tag(route: Route) -> bool:
    """Return whether answers of a route have an ETag: those of the API that are JSON."""
    is_json = route.answers[200].media_type in {"", _JSON} if 200 in route.answers else False
    return route.method == "GET" and route.path.startswith("/api/") and is_json


def _operation(route: Route) -> Document:
    answers = OF_ALL | (OF_POST if route.method == "POST" else {})
    if route.access is Access.ADMINISTRATOR:
        answers = {403: FORBIDDEN} | answers
    if route.access is not Access.EVERYBODY:
        answers |= {401: UNAUTHORIZED} | ({} if route.path.startswith("/api/") else {303: TO_LOGIN})
    if _has_tag(route):
        answers |= {304: Answer("Not changed since the caller had it, by `If-None-Match`")}
    answers |= route.answers
    error = Problem if route.path.startswith("/api/") else ErrorBody
    responses = {str(status): _answer(status, answers[status], error) for status in sorted(answers)}
    if _has_tag(route):
        responses["200"]["headers"] = {"ETag": {"description": "Of these bytes", "schema": {"type": "string"}}}
    operation: Document = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "responses": responses,
        "security": [] if route.access is Access.EVERYBODY else [{"bearer": []}, {"session": []}],
    }
    parameters = _parameters(route)
    if parameters:
        operation["parameters"] = parameters
    question = _question(route)
    if question is not None:
        operation["requestBody"] = question
    return operation


def describe(routes: Sequence[Route], *, version: str, base_path: str = "") -> Document:
    """Return the OpenAPI document of all routes, whose paths continue the base path."""
    structs = {answer.body for route in routes for answer in route.answers.values() if answer.body is not None}
    structs |= {route.question for route in routes if route.question is not None} | {ErrorBody, Problem}
    _, schemas = msgspec.json.schema_components(
        sorted(structs, key=lambda struct: struct.__name__), ref_template=REFERENCE
    )
    paths: dict[str, Document] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "immich-facesets",
            "version": version,
            "description": "Curated, ranked face sets of the people in an Immich library.",
            "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
        },
        "servers": [{"url": base_path or "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "facesets_session"},
            },
        },
    }


async def get_document(request: web.Request) -> web.StreamResponse:
    return web.Response(body=request.app[DOCUMENT], content_type="application/json")


def install_document(app: web.Application, routes: Sequence[Route]) -> None:
    context = app[CONTEXT]
    app[DOCUMENT] = msgspec.json.encode(describe(routes, version=context.version, base_path=context.base_path))


ROUTES = (
    Route(
        method="GET",
        path="/api/openapi.json",
        handler=get_document,
        summary="This document",
        access=Access.USER,
        answers={200: Answer("An OpenAPI 3.1 document", media_type="application/json")},
    ),
)
