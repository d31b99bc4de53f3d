"""Every route of the API under values of its own schemas, right and wrong: no 5xx, and no breach of the document."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import structlog
from browsed_library import SPACE, BrowsedLibrary, fill
from hostile_requests import HANG_SECONDS, in_thread
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator
from web_scene import ANY_PORT, BEARER, busy_scene, invented_thresholds

from immich_facesets.moderation.decisions import Ignore, Label, Lock, Merge, Part, Undo
from immich_facesets.runtime.listen_address import Listen
from service.files.export_tree import ExportTree
from service.files.references import ReferenceFolder
from service.moderation.over_api import ApiDecisions
from service.reports.library import library_reads
from service.settings import Settings
from service.store.database import Store, migrate, open_engine
from service.store.decisions import record_decision
from service.store.named_values import write_thresholds
from service.web.openapi import describe
from service.web.server import ROUTES, serve_web

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
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


HEADERS = {
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


@contextmanager
def library(folder: Path) -> Iterator[Store]:
    """A small library with decisions, in a database of its own."""
    engine = open_engine(f"sqlite:///{folder / 'facesets.db'}")
    migrate(engine)
    store = Store(engine)
    try:
        fill(store, BrowsedLibrary(sizes=(40, 25, 25, 12, 9, 7, 3, 3), strangers=30, named_share=0.5))
        store.write_now(write_thresholds, replace(invented_thresholds(), space=SPACE))
        for decision in (
            Lock(1),
            Label(2, "Zoe"),
            Merge(1, (Part(2),)),
            Ignore(identity=5),
            Merge(4, (Part(6),)),
            Undo(3),
        ):
            store.write_now(record_decision, decision, made_by="anna", now=NOW)
        yield store
    finally:
        store.close()


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
    with library(folder) as store, structlog.testing.capture_logs() as lines:
        scene = busy_scene()
        own = Settings(data_dir=folder, export_dir=folder / "exports")
        scene.library = library_reads(store, own, scene.board)
        own.export_dir.mkdir()
        scene.decisions = ApiDecisions(
            store,
            ExportTree(own.export_dir),
            own.data_dir / "crops",
            ReferenceFolder(own.data_dir / "references"),
            lambda: NOW,
        ).calls()
        statuses = set()
        with in_thread(serve_web(scene.context(), ANY_PORT)) as listen:

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
    check_document(tmp_path, 600)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_answer_of_many_breaks_the_document(tmp_path: Path) -> None:
    check_document(tmp_path, MANY)
