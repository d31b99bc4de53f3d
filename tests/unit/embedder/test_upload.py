"""Bodies and forms of hostile callers: refused before they are read, and never a 500."""

import asyncio
import gzip
import time
import zlib

import aiohttp
import msgspec
import pytest
from embedder_scene import picture, running
from raw_http import calling

from embedder.upload import read_form
from immich_facesets import wire
from immich_facesets.runtime.listen_address import Listen

DISPOSITION = b'Content-Disposition: form-data; name="image"'
FORM = "multipart/form-data; boundary=b"


def part(*headers: bytes, body: bytes = b"x") -> bytes:
    return b"--b\r\n" + b"\r\n".join(headers) + b"\r\n\r\n" + body + b"\r\n"


MALFORMED = {
    "no boundary": ("multipart/form-data", part(DISPOSITION)),
    "an empty boundary": ("multipart/form-data; boundary=", part(DISPOSITION)),
    "a long boundary": (f"multipart/form-data; boundary={'b' * 71}", part(DISPOSITION)),
    "a boundary that is not ASCII": ("multipart/form-data; boundary=b\u00e9", part(DISPOSITION)),
    "nothing": (FORM, b""),
    "another boundary": (FORM, b"--c\r\n\r\n"),
    "no end": (FORM, b"--b\r\n" + DISPOSITION),
    "no end of its data": (FORM, b"--b\r\n" + DISPOSITION + b"\r\n\r\nabc"),
    "no name": (FORM, part(b"Content-Disposition: form-data")),
    "no headers": (FORM, part()),
    "a header without colon": (FORM, part(b"Content-Disposition")),
    "a header without name": (FORM, part(b": form-data")),
    "a header with NUL": (FORM, part(DISPOSITION + b"\0")),
    "a bad disposition": (FORM, part(b'Content-Disposition: ;;;=="\\')),
    "a name in a strange charset": (FORM, part(b"Content-Disposition: form-data; name*=utf-99''%ff%fe")),
    "a charset that is no text": (FORM, part(b'Content-Disposition: form-data; name="_charset_"', body=b"\xff")),
    "a long charset": (FORM, part(b'Content-Disposition: form-data; name="_charset_"', body=b"x" * 99)),
    "an endless header": (FORM, b"--b\r\nX: " + b"x" * 1_000_000),
    "many headers": (FORM, part(*(b"X-%d: x" % number for number in range(1000)), DISPOSITION)),
    "a form in the form": (FORM, part(DISPOSITION, b"Content-Type: multipart/mixed; boundary=c", body=b"--c\r\n\r\n")),
    "a form in the form without boundary": (FORM, part(DISPOSITION, b"Content-Type: multipart/mixed")),
    "the picture twice": (FORM, part(DISPOSITION) * 2 + b"--b--\r\n"),
    "another field": (FORM, part(DISPOSITION) + part(b'Content-Disposition: form-data; name="other"') + b"--b--\r\n"),
    "100,000 parts": (FORM, part(b'Content-Disposition: form-data; name="other"') * 100_000 + b"--b--\r\n"),
    "100,000 boundaries": (FORM, b"--b\r\n" * 100_000),
}


@pytest.mark.parametrize("trouble", MALFORMED)
async def test_a_malformed_form_is_a_400_and_soon(trouble: str) -> None:
    content_type, body = MALFORMED[trouble]
    async with running() as scene:
        started = time.monotonic()
        headers = {b"Content-Type": content_type.encode("latin-1")}
        response = await scene.client.post("/v1/faces", content=body, headers=headers)
        assert (response.status_code, msgspec.json.decode(response.content)["reason"]) == (400, "bad_question")
        assert time.monotonic() - started < 5  # 100,000 parts took 46 s
        assert scene.logs == []
        assert (await scene.ask(picture())).status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
async def test_a_packed_body_is_refused_before_it_is_unpacked(coding: str) -> None:
    packed = zlib.compress(bytes(50 << 20)) if coding == "deflate" else gzip.compress(bytes(50 << 20))
    async with running() as scene:
        response = await scene.client.post("/v1/faces", content=packed, headers={"Content-Encoding": coding})
        assert response.status_code == 415
        assert "without a Content-Encoding" in msgspec.json.decode(response.content, type=wire.ErrorBody).message
        assert scene.metrics.registry.get_sample_value("facesets_embedder_in_flight") == 0


async def test_a_part_that_names_an_encoding_is_taken_as_it_is() -> None:
    packed = gzip.compress(bytes(50 << 20))
    async with running() as scene:
        for header in (b"Content-Encoding: gzip", b"Content-Transfer-Encoding: base64"):
            body = part(DISPOSITION, header, body=packed) + b"--b--\r\n"
            response = await scene.client.post("/v1/faces", content=body, headers={"Content-Type": FORM})
            assert (response.status_code, msgspec.json.decode(response.content)["reason"]) == (422, "unsupported")


async def test_boxes_and_pictures_of_a_form_have_limits_of_their_own() -> None:
    async with running(max_bytes=5000) as scene:
        for image, boxes, status in ((5000, 1 << 20, 400), (5001, 1, 413), (1, (1 << 20) + 1, 413)):
            form = part(DISPOSITION, body=b"x" * image) + part(
                DISPOSITION.replace(b"image", b"boxes"), body=b"[" * boxes
            )
            response = await scene.client.post("/v1/faces", content=form + b"--b--\r\n", headers={"Content-Type": FORM})
            assert response.status_code == status, (image, boxes)


async def test_a_form_of_another_client_is_read() -> None:
    form = aiohttp.FormData()
    form.add_field("boxes", "[[120, 110, 192, 210]]", content_type="application/json")
    form.add_field("image", picture(), filename='a "strange"; name=boxes \\ name.png', content_type="image/png")
    async with running() as scene, aiohttp.ClientSession() as client:
        address = scene.client.base_url.join("/v1/faces?mode=guided")
        async with client.post(str(address), data=form) as response:
            assert response.status == 200
            assert len(wire.decode_faces(await response.read()).faces) == 1


def test_the_parts_of_a_form_are_taken_to_the_byte() -> None:
    image, boxes = b"\r\n--\r\n--b\r\n\r\n", b""
    form = (
        b'--bb\r\nContent-Type: a/b\r\ncontent-disposition: form-data; filename="x\\"; name=boxes"; name=image\r\n\r\n'
    )
    form += image + b'\r\n--bb\r\nContent-Disposition:form-data;name="boxes"\r\n\r\n' + boxes + b"\r\n--bb--"
    assert read_form(form, b"bb") == {"image": image, "boxes": boxes}


@pytest.mark.slow
async def test_a_picture_that_does_not_arrive_frees_its_place() -> None:
    async with running(max_in_flight=1, body_seconds=0.5) as scene:
        listen = Listen("127.0.0.1", scene.client.base_url.port or 0)
        async with calling(listen) as caller:
            await caller.send(b"POST /v1/faces HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + picture()[:60])
            answer = await caller.rest()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert (await scene.ask(picture())).status_code == 200


async def test_a_large_body_arrives_whole() -> None:
    data = picture() + bytes(30 << 20)
    async with running(max_memory=1 << 30) as scene:
        answers = await asyncio.gather(*(scene.ask(data) for _ in range(4)))
        assert [answer.status_code for answer in answers] == [200] * 4
