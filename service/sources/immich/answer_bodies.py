"""The bodies of Immich's answers: read whole within a limit, and parsed."""

from typing import TypeVar

import httpx
import msgspec

from immich_facesets.errors import SetupError
from service.sources.immich.api_errors import ApiErrors, looks_like_html

T = TypeVar("T")

ACCEPTED_CODINGS = "gzip", "deflate"
CODINGS = {"identity", "", *ACCEPTED_CODINGS}

ANSWER_BYTES = 32 * 2**20
"""The most that an answer may take, unpacked: ten times a page of 1000 pictures with many faces."""

ERROR_BODY_BYTES = 64 * 1024
"""The most that is read of an error's body."""


class AnswerBodies:
    """The reader of bodies; its ``errors`` name the source and the server."""

    def __init__(self, errors: ApiErrors) -> None:
        self._errors = errors

    async def whole(self, response: httpx.Response) -> bytes:
        """Return the body of an answer, unpacked; one that is too large raises an ``AnswerError``."""
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in CODINGS:
            raise self._errors.of_coding()
        content = bytearray()
        async for block in response.aiter_bytes():
            content += block
            if len(content) > ANSWER_BYTES:
                raise self._errors.too_large(ANSWER_BYTES)
        return bytes(content)

    async def of_error(self, response: httpx.Response) -> bytes:
        """Return the body of an error, or its beginning."""
        content = b""
        async for block in response.aiter_bytes():
            content += block
            if len(content) > ERROR_BODY_BYTES:
                break
        return content

    def parse(self, kind: type[T], content: bytes, *, about_item: bool) -> T:
        """Return a body as a value; ``about_item``: whether it is about one picture or person, which fails alone."""
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.ValidationError, RecursionError) as error:
            if about_item:
                raise self._errors.impossible(str(error) or "too deeply nested") from error
            raise SetupError(
                f"Immich at {self._errors.place} answers in a way this program does not know ({error}); "
                "is this version of Immich newer than this program?"
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            what = "HTML" if looks_like_html(content) else "something that is not JSON"
            raise self._errors.of_page(what) from error
