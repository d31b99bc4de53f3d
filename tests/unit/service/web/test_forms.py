"""Malformed forms and origins: refusals that say why, never a 500, and documented."""

import gzip
import zlib
from dataclasses import replace

import pytest
from raw_http import calling, status_of
from web_scene import ANY_PORT, BEARER, TOKEN, busy_scene, visit

from service.web.forms import FORM_TYPE
from service.web.server import LIMITS, serve_web

FORM = f"token={TOKEN}".encode()
MULTIPART = b'--b\r\nContent-Disposition: form-data; name="token"\r\n\r\nx\r\n--b--\r\n'
MALFORMED = {
    "no such charset": (f"{FORM_TYPE}; charset=utf-99", FORM, 415),
    "a charset that is no text": (f"{FORM_TYPE}; charset=hex", FORM, 415),
    "a charset of one's own": (f"{FORM_TYPE}; charset=utf-16", FORM.decode().encode("utf-16"), 415),
    "not UTF-8": (FORM_TYPE, b"token=\xff\xfe", 400),
    "not UTF-8 in percent-encoding": (FORM_TYPE, b"token=%ff%fe", 400),
    "half a pair of code points": (FORM_TYPE, b"token=%ED%A0%80", 400),
    "many fields": (FORM_TYPE, b"a=b&" * 9 + FORM, 400),
    "multipart": ("multipart/form-data; boundary=b", MULTIPART, 415),
    "multipart without boundary": ("multipart/form-data", MULTIPART, 415),
    "multipart with an empty boundary": ("multipart/form-data; boundary=", MULTIPART, 415),
    "multipart with a long boundary": (f"multipart/form-data; boundary={'b' * 71}", MULTIPART, 415),
    "multipart without end": ("multipart/form-data; boundary=b", MULTIPART[:30], 415),
    "JSON": ("application/json", b"{}", 415),
    "no type at all": ("", FORM, 415),
    "garbage for a type": (";;;", FORM, 415),
}


@pytest.mark.parametrize("path", ["/login", "/sync"])
@pytest.mark.parametrize("trouble", MALFORMED)
async def test_a_malformed_form_is_refused_with_its_reason(path: str, trouble: str) -> None:
    content_type, body, status = MALFORMED[trouble]
    async with visit(busy_scene()) as client:
        headers = {**BEARER, "Content-Type": content_type}
        async with client.post(path, data=body, headers=headers, allow_redirects=False) as answer:
            assert answer.status == status


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "nonsense"])
@pytest.mark.parametrize("path", ["/login", "/sync", "/api/jobs", "/logout"])
async def test_a_packed_body_is_refused(path: str, coding: str) -> None:
    packed = zlib.compress(FORM) if coding == "deflate" else gzip.compress(FORM)
    async with visit(busy_scene()) as client:
        headers = {**BEARER, "Content-Type": FORM_TYPE, "Content-Encoding": coding}
        async with client.post(path, data=packed, headers=headers, allow_redirects=False) as answer:
            assert (answer.status, (await answer.json())["reason"]) == (415, "unsupported")


@pytest.mark.parametrize("path", ["/login", "/sync", "/api/jobs", "/logout"])
@pytest.mark.parametrize("origin", ["http://[", "http://]", "http://[::1", "http://\u2100.test", "//["])
async def test_an_origin_that_is_no_address_is_another_site(path: str, origin: str) -> None:
    async with visit(busy_scene()) as client:
        headers = {"Origin": origin.encode().decode("latin-1")}
        async with client.post(path, headers=headers, allow_redirects=False) as answer:
            assert answer.status == 403


async def test_the_refusals_of_a_form_are_documented() -> None:
    async with visit(busy_scene()) as client, client.get("/api/openapi.json", headers=BEARER) as answer:
        paths = (await answer.json())["paths"]
    for path in ("/login", "/sync", "/api/jobs"):
        assert {"400", "403", "408", "413", "415"} <= paths[path]["post"]["responses"].keys()


@pytest.mark.parametrize("path", ["/login", "/api/jobs"])
async def test_a_body_that_does_not_arrive_is_refused_in_time(path: str) -> None:
    limits = replace(LIMITS, body_seconds=0.5, linger_seconds=0.1)
    async with serve_web(busy_scene().context(), ANY_PORT, limits) as listen, calling(listen) as caller:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: {FORM_TYPE}\r\n"
        await caller.send(head.encode() + b"Content-Length: 1000\r\n\r\ntoken=")
        answer = await caller.rest()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"reason":"too_slow"' in answer
        assert await status_of(listen) == 200
