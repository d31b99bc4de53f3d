"""Every route of the pages under strange headers and bodies: no 5xx, no bug, and only documented answers."""

from typing import Any

import pytest
import structlog
from hostile_requests import Door, HostileRequest, hostile_requests, in_thread, status_of
from hypothesis import HealthCheck, given, settings
from web_scene import ANY_PORT, TOKEN, busy_scene

from service.web.forms import FORM_TYPE
from service.web.openapi import describe
from service.web.server import LIMITS, ROUTES, serve_web

DOCUMENT = describe(ROUTES, version="1")

EXAMPLES = {
    FORM_TYPE: (b"kind=full", b"token=x&next=/", f"token={TOKEN}&next=/".encode(), b"next=%2F%5B"),
    "application/json": (
        b"{}",
        b'{"kind":"full"}',
        b'{"kind":"faces","source":"anna"}',
        b'{"source":null}',
        b"[]",
        b'{"decisions":[{"action":"lock","identity":3}]}',
        b'{"decisions":[{"x":' + b"[" * 3000,
        b'{"decisions":[{"action":"move","faces":[512],"into":3}],"reason":"he"}',
        b'{"reason":"why","even_if_locked":true}',
        b'{"decisions":[{"action":"label","identity":3,"label":"a\\u0000"}]}',
        b'{"x":' + b"[" * 60_000,
    ),
    "application/octet-stream": (b"", b"\xff\xd8\xff\xe0", b"\0" * 300),
}
OF_HTTP = {0, 100, 404, 405, 417}
"""
No response to a request without end, or only that its body may come; refusals of strange paths, methods and expectations.
"""


def doors() -> list[Door]:
    """Every operation of the OpenAPI document, with bodies of the types that it names."""
    return [
        Door(method.upper(), path, {kind: EXAMPLES[kind] for kind in bodies_of(operation)})
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
    ]


def bodies_of(operation: dict[str, Any]) -> list[str]:
    return list(operation.get("requestBody", {}).get("content", {}))


def documented(path: str) -> set[int]:
    """Return the answers of a path, of all its methods: the method of a request may be a strange one."""
    return {int(status) for operation in DOCUMENT["paths"][path].values() for status in operation["responses"]}


def check_requests(count: int) -> None:
    with (
        structlog.testing.capture_logs() as lines,
        in_thread(serve_web(busy_scene().context(), ANY_PORT, LIMITS)) as listen,
    ):

        @settings(max_examples=count, suppress_health_check=list(HealthCheck))
        @given(hostile_requests(doors(), TOKEN))
        def check(request: HostileRequest) -> None:
            status = status_of(listen, request)
            assert status < 500, request
            assert status in OF_HTTP | documented(request.door.path), request

        check()
    assert {line["event"] for line in lines} <= {"malformed_request", "wrong_token"}


def test_no_request_is_answered_with_a_5xx() -> None:
    check_requests(400)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_request_of_many_is_answered_with_a_5xx() -> None:
    check_requests(10_000)
