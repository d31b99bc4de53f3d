"""The OpenAPI 3.1 document, generated from the route table."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from immich_facesets.wire import ErrorBody
from service.web.context import CONTEXT
from service.web.forms import FORM_TYPE
from service.web.problems import PROBLEM_TYPE, Problem
from service.web.routes import Access, Answer, Route

REFERENCE = "#/components/schemas/{name}"

Document = dict[str, Any]

DOCUMENT = web.AppKey("document", bytes)

UNAUTHORIZED = Answer("A token is required", body=ErrorBody)
TO_LOGIN = Answer("To the login, for browsers without a session", redirects=True)

OF_ALL = {
    400: Answer("A malformed request", body=ErrorBody),
    421: Answer("Not a host name of this service", body=ErrorBody),
    503: Answer("Too many connections", body=ErrorBody),
}
OF_POST = {
    403: Answer("Sent by another site", body=ErrorBody),
    408: Answer("The body did not arrive in time", body=ErrorBody),
    413: Answer("A body that is too large", body=ErrorBody),
    415: Answer("A packed body, or one of another type", body=ErrorBody),
}
"""Answers of the checks that come before every handler."""


def _reference(struct: type[msgspec.Struct]) -> Document:
    return {"$ref": REFERENCE.format(name=struct.__name__)}


def _answer(answer: Answer, error: type[msgspec.Struct]) -> Document:
    entry: Document = {"description": answer.meaning}
    if answer.redirects:
        entry["headers"] = {"Location": {"description": "Where to go", "schema": {"type": "string"}}}
    if answer.media_type:
        # OpenAPI 3.1 cannot describe the items of a stream: its events are text, and ``Progress`` is their data.
        schema: Document = {"type": "string"}
        if answer.body is not None:
            schema["contentMediaType"] = "application/json"
            schema["contentSchema"] = _reference(answer.body)
        entry["content"] = {answer.media_type: {"schema": schema}}
    elif answer.body is not None:
        body = error if answer.body is ErrorBody else answer.body
        media_type = PROBLEM_TYPE if body is Problem else "application/json"
        entry["content"] = {media_type: {"schema": _reference(body)}}
    return entry


def _question(route: Route) -> Document | None:
    if route.question is not None:
        return {"required": False, "content": {"application/json": {"schema": _reference(route.question)}}}
    if route.form:
        fields = {name: {"type": "string", "description": meaning} for name, meaning in route.form.items()}
        schema = {"type": "object", "properties": fields}
        return {"required": True, "content": {FORM_TYPE: {"schema": schema}}}
    return None


def _operation(route: Route) -> Document:
    answers = OF_ALL | (OF_POST if route.method == "POST" else {})
    if route.access is Access.TOKEN:
        answers |= {401: UNAUTHORIZED} | ({} if route.path.startswith("/api/") else {303: TO_LOGIN})
    answers |= route.answers
    error = Problem if route.path.startswith("/api/") else ErrorBody
    operation: Document = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "responses": {str(status): _answer(answers[status], error) for status in sorted(answers)},
        "security": [{"bearer": []}, {"session": []}] if route.access is Access.TOKEN else [],
    }
    names = re.findall(r"\{(\w+)\}", route.path)
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
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
        answers={200: Answer("An OpenAPI 3.1 document", media_type="application/json")},
    ),
)
