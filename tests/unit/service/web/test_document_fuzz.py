"""Every route of the API under values of its own schemas, right and wrong: no 5xx, and no breach of the document."""

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import structlog
from decided_library import served_library
from hostile_requests import HANG_SECONDS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator
from web_scene import BEARER

from immich_facesets.runtime.listen_address import Listen
from service.web.openapi import describe
from service.web.server import ROUTES

DOCUMENT = describe(ROUTES, version="1")
OPERATIONS = [
    (path, method, methods[method])
    for path, methods in sorted(DOCUMENT["paths"].items())
    for method in sorted(methods)
    if path.startswith("/api/") and path != "/api/events"
]
DRAWN = OPERATIONS + [one for one in OPERATIONS if one[1] == "post"] * 2
"""Writes have the most ways to be refused, so they are drawn more often."""

WORDS = (
    "",
    "person 4",
    "7",
    "#2",
    "IMG_0",
    "2014-07",
    "%",
    "_",
    "\\",
    "'",
    "zoe",
    "\x00",
    "\U0001f469",
    "é",
    "x" * 300,
)
NUMBERS = (0, -1, 1, 2, 3, 8, 9, 200, 201, 2**31, 2**53, 2**63, 10**30)


def values_of(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    """Values that a schema allows, and as many that it does not."""
    kinds = schema.get("anyOf", [schema])
    allowed: list[st.SearchStrategy[str]] = []
    for kind in kinds:
        if "enum" in kind:
            allowed.append(st.sampled_from([str(value) for value in kind["enum"]]))
        elif kind.get("type") == "integer":
            allowed.append(st.integers(kind.get("minimum", 0), min(kind.get("maximum", 99), 40)).map(str))
        elif kind.get("type") == "boolean":
            allowed.append(st.sampled_from(["true", "false"]))
        elif kind.get("type") == "string":
            allowed.append(st.sampled_from([word for word in WORDS if len(word) <= kind.get("maxLength", 300)]))
    wrong = st.one_of(st.sampled_from(WORDS), st.sampled_from(NUMBERS).map(str), st.text(max_size=20))
    return st.one_of(*allowed, *allowed, wrong)


def bodies_of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """JSON values that a schema allows; now and then something else."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    wrong: st.SearchStrategy[Any] = st.sampled_from(
        [None, True, -1, 0, 2**31, 2**63, 1.5, 1e308, "", "\x00", "\ud800", "x" * 3000, [], {}, [[[]]]]
    )
    return st.integers(0, 19).flatmap(lambda luck: wrong if luck == 0 else allowed_by(schema))


SIMPLE: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.integers(1, 12) | st.integers(1, 140),
    "number": st.floats(0, 4000),
    "boolean": st.booleans(),
    "string": st.sampled_from(["2010-05-31", "2010-02-31", "Zoe", "person 4", " ", "'", "e\u0301", "ab" * 32]),
    "null": st.none(),
}


def allowed_by(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "anyOf" in schema:
        return st.one_of(*(bodies_of(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "object":
        needed = schema.get("required", ())
        fields = {name: bodies_of(one) for name, one in schema["properties"].items()}
        return st.fixed_dictionaries(
            {name: one for name, one in fields.items() if name in needed},
            optional={name: one for name, one in fields.items() if name not in needed},
        )
    if schema["type"] == "array":
        one = bodies_of(schema.get("items") or schema["prefixItems"][0])
        return st.lists(one, min_size=schema.get("minItems", 0), max_size=3)
    return SIMPLE[schema["type"]]


TEXTS = st.sampled_from(["Zo%C3%AB", "", "%", "%00", "%FF", "x" * 300])

HEADERS = {
    "Facesets-Label": TEXTS,
    "Facesets-Reason": TEXTS,
    "Idempotency-Key": st.sampled_from(["a", "b", "", "a b", "x" * 255, "x" * 256, "\x7f"]),
    "If-Match": st.sampled_from(["*", '"x"', 'W/"x"', "x", '"a", "b"', ""]),
}


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, dict[str, Any], dict[str, str], bytes | None]:
    """A path, the query behind it, the operation of the document, headers, and a body."""
    path, method, operation = draw(st.sampled_from(DRAWN))
    query, told = [], {"method": method.upper()}
    body: bytes | None = None
    if "requestBody" in operation:
        ((kind, content),) = operation["requestBody"]["content"].items()
        told["Content-Type"] = kind if draw(st.integers(0, 19)) else "text/plain"
        if "schema" in content:
            body = json.dumps(draw(bodies_of(content["schema"]))).encode() if draw(st.integers(0, 9)) else b""
        else:
            body = draw(st.binary(max_size=100))
    for parameter in operation.get("parameters", ()):
        name, value = parameter["name"], values_of(parameter["schema"])
        if parameter["in"] == "header":
            if draw(st.integers(0, 3)) == 0:
                told[name] = draw(HEADERS[name])
        elif parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", quote(draw(value), safe="", errors="replace"))
        elif parameter["required"] or draw(st.booleans()):
            query.append((name, draw(value)))
    return path, urlencode(query, errors="replace"), operation, told, body


def ask(listen: Listen, target: str, told: dict[str, str], asked: bytes | None) -> tuple[int, str, bytes, str]:
    """Return status, type, body and the address of the next page of one request."""
    connection = http.client.HTTPConnection(listen.host, listen.port, timeout=HANG_SECONDS)
    try:
        headers = {name: value for name, value in told.items() if name != "method"}
        connection.request(told["method"], target, body=asked, headers=BEARER | headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get_content_type(), answer.read(), answer.headers.get("Location", "")
    finally:
        connection.close()


def check_answer(target: str, operation: dict[str, Any], status: int, kind: str, body: bytes) -> dict[str, Any]:
    """Hold an answer against the document, and return it where it is JSON."""
    assert status < 500, target
    assert str(status) in operation["responses"] or status == 404, (target, status)
    if status == 404 and "404" not in operation["responses"]:
        return {}
    content = operation["responses"][str(status)].get("content", {})
    assert not body or kind in content, (target, kind)
    if not kind.endswith("json"):
        return {}
    told: dict[str, Any] = json.loads(body)
    OAS31Validator({**content[kind]["schema"], "components": DOCUMENT["components"]}).validate(told)
    return told


def check_document(folder: Path, count: int) -> None:
    statuses = set()
    with structlog.testing.capture_logs() as lines, served_library(folder) as listen:

        @settings(max_examples=count, suppress_health_check=list(HealthCheck))
        @given(requests())
        def check(request: tuple[str, str, dict[str, Any], dict[str, str], bytes | None]) -> None:
            path, query, operation, headers, asked = request
            for _ in range(3):  # the page, and the next ones
                target = f"{path}?{query}" if query else path
                status, kind, body, _ = ask(listen, target, headers, asked)
                told = check_answer(target, operation, status, kind, body)
                statuses.add((headers["method"], status))
                if told.get("next") is None or status != 200:
                    break
                kept = [pair for pair in query.split("&") if pair and not pair.startswith("cursor=")]
                query = "&".join([*kept, f"cursor={told['next']}"])

        check()
    assert {(method, status) for method in ("GET", "POST") for status in (200, 400, 404)} <= statuses
    assert {("POST", 409), ("POST", 422)} <= statuses
    assert ("POST", 412) in statuses or count < MANY, "few requests rarely meet one"
    assert not any(name in str(lines).lower() for name in ("person", "zoe", "img_")), "no name in the log"
    assert {line["event"] for line in lines} <= {"malformed_request", "decided", "erased"}


MANY = 5_000


def test_no_answer_breaks_the_document(tmp_path: Path) -> None:
    check_document(tmp_path, 400)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_answer_of_many_breaks_the_document(tmp_path: Path) -> None:
    check_document(tmp_path, MANY)
