"""The picture and the boxes of a request, read from its body or form within limits."""

import re

from aiohttp import hdrs, web

from immich_facesets.errors import RequestError

MOST_BOX_BYTES = 1 << 20
MOST_FORM_BYTES = MOST_BOX_BYTES + (1 << 16)
"""The most a form may hold beside the picture: boxes, headers and boundaries."""

_MOST_HEADER_BYTES = 8190
_BOUNDARY = re.compile(r';\s*boundary=(?:"([ !#-~]{1,70})"|([!#-:<-~]{1,70}))\s*(?:;|$)', re.IGNORECASE)
_PARAMETER = rb';\s*([\w*-]+)=("(?:[^"\\]|\\.)*"|[^\s;"]*)\s*'
_DISPOSITION = re.compile(
    rb"(?:^|\r\n)content-disposition:\s*form-data\s*((?:%s)*)(?:\r\n|$)" % _PARAMETER, re.IGNORECASE
)


async def read_upload(request: web.Request, limit: int) -> tuple[bytes, bytes | None]:
    """
    Return the picture and the boxes of a form.

    A body or part above the limits is a 413; a form that has any other part, or is malformed, is a 400. aiohttp's own
    reader takes any number of parts, and answers some with warnings and failed assertions.
    """
    if request.content_type != "multipart/form-data":
        _check_size(request.content_length or 0, limit)
        body = await request.read()
        _check_size(len(body), limit)
        return body, None
    boundary = _boundary(request.headers[hdrs.CONTENT_TYPE])
    parts = read_form(await _read_form_body(request, limit + MOST_FORM_BYTES), boundary)
    if "image" not in parts:
        raise _malformed("it has no field image")
    _check_size(len(parts["image"]), limit)
    _check_size(len(parts.get("boxes", b"")), MOST_BOX_BYTES)
    return parts["image"], parts.get("boxes")


async def _read_form_body(request: web.Request, limit: int) -> bytearray:
    """Read a body without keeping it in the request, as its parts are copied out of it."""
    _check_size(request.content_length or 0, limit)
    body = bytearray()
    while chunk := await request.content.readany():
        body += chunk
        _check_size(len(body), limit)
    return body


def read_form(body: bytes | bytearray, boundary: bytes) -> dict[str, bytes]:
    """Return the fields ``image`` and ``boxes`` of a form; anything else in it is a ``RequestError``."""
    parts = dict[str, bytes]()
    line = b"--" + boundary
    if not body.startswith(line):
        raise _malformed("it does not begin with its boundary")
    at = len(line)
    while body[at : at + 2] == b"\r\n":
        head_end = body.find(b"\r\n\r\n", at, at + _MOST_HEADER_BYTES)
        end = body.find(b"\r\n" + line, head_end + 2)
        if head_end < 0 or end < head_end + 4:
            raise _malformed("a part of it has no end, or too long headers")
        name = _name(bytes(body[at + 2 : head_end]))
        if name not in {"image", "boxes"} or name in parts:
            raise _malformed("it may have one field image and one field boxes, and no other")
        parts[name] = bytes(memoryview(body)[head_end + 4 : end])
        at = end + 2 + len(line)
    if body[at : at + 2] != b"--":
        raise _malformed("it does not end with its boundary")
    return parts


def _boundary(content_type: str) -> bytes:
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise _malformed("its Content-Type has no boundary, or a strange one")
    return (found[1] or found[2]).encode("ascii")


def _name(head: bytes) -> str:
    """Return the name in the headers of a part, "" for none."""
    disposition = _DISPOSITION.search(head)
    if disposition is None:
        return ""
    values = [value for key, value in re.findall(_PARAMETER, disposition[1]) if key.lower() == b"name"]
    return values[0].strip(b'"').decode("ascii", "replace") if len(values) == 1 else ""


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=size)


def _malformed(why: str) -> RequestError:
    return RequestError(f"the form cannot be read: {why}", status=400)
