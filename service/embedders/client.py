"""The HTTP client of one embedder, which turns its answers and failures into results and errors."""

import asyncio
from collections.abc import Callable

import httpx
import msgspec
from pydantic import SecretStr

from immich_facesets import face_requests, wire
from immich_facesets.errors import ItemError, SetupError, TransientError
from service.progress import RemoteState
from service.remote.breaker import Breaker
from service.remote.failure_words import words_of
from service.remote.guard import STUBBORN, Guard
from service.remote.transport import ROUTE, AiohttpTransport, CountRequest

_ADVICE = "Look at the embedder's log, or restart it; the sync goes on where it stopped."
_POLL_SECONDS = 0.5  # between two checks whether a lost embedder is reachable again


class EmbedderLostError(TransientError):
    """
    The connection broke while the embedder had a picture: its process ended, perhaps because of this picture.

    The picture is never sent again together with others: if it is the cause, they would be lost once more.
    """


class EmbedderTimeoutError(TransientError):
    """
    The embedder kept a picture for the whole time that a request may take, and gave no answer.

    The picture may be slow, or have waited behind one that is. It is sent again only when it is alone.
    """


class EmbedderBusyError(TransientError):
    """The embedder has no room for another picture now: those under way take its places or its memory."""


class EmbedderUnreachableError(TransientError):
    """Nothing answers at the embedder's address; no picture was sent."""


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None


def _error_body(response: httpx.Response) -> wire.ErrorBody:
    decode = msgspec.msgpack.decode if wire.MSGPACK in response.headers.get("Content-Type", "") else msgspec.json.decode
    try:
        return decode(response.content, type=wire.ErrorBody)
    except msgspec.DecodeError:
        return wire.ErrorBody(reason="bad_answer", message=f"HTTP {response.status_code} without a reason of ours")


def _check(response: httpx.Response, url: str) -> bytes:
    """Return the body of a good answer; any other becomes an error with the remedy."""
    code = response.status_code
    if code == httpx.codes.OK:
        return response.content
    error = _error_body(response)
    match code:
        case 413 | 422 | 400:
            raise ItemError(f"the embedder cannot use the picture: {error.message}", reason=error.reason)
        case 429:
            message = f"the embedder at {url} is busy: {error.message}"
            raise EmbedderBusyError(message, retry_after=_retry_after(response))
        case 401 | 403:
            raise SetupError(f"the embedder at {url} refuses the token: set FACESETS_EMBEDDER_TOKEN to the embedder's")
        case _ if code in {404, 405} or response.is_redirect:
            raise SetupError(f"what answers at {url} is no embedder: check FACESETS_EMBEDDER_URLS")
        case _:
            raise TransientError(f"the embedder answered {code}: {error.message}", retry_after=_retry_after(response))


class Embedder:
    """The client of one embedder process, with a circuit breaker of its own."""

    def __init__(
        self,
        url: str,
        token: SecretStr | None,
        *,
        failures: int = 12,
        answer_seconds: float = 120.0,
        on_change: Callable[[RemoteState], None] | None = None,
        name: str = "embedder",
        count: CountRequest | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        headers = {"Accept": f"{wire.MSGPACK}, {wire.JSON};q=0.5"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        self.url = url
        self.outstanding = 0
        self.patience_seconds = answer_seconds
        self._http = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=httpx.Timeout(connect=5.0, read=answer_seconds, write=60.0, pool=30.0),
            transport=transport or AiohttpTransport(remote=name, count=count),
        )
        self.guard = Guard(name, Breaker(threshold=failures), self._ask_info, advice=_ADVICE, on_change=on_change)

    async def info(self) -> wire.Info:
        """Return the facts about the embedder: its space, models and limits."""
        return await self.guard.call(self._ask_info, rule=STUBBORN)

    async def _ask_info(self) -> wire.Info:
        body = await self._send("GET", "/v1/info", {"Accept": wire.MSGPACK})
        try:
            return msgspec.msgpack.decode(body, type=wire.Info)
        except msgspec.DecodeError as error:
            raise SetupError(
                f"what answers at {self.url} is no embedder of this program: check FACESETS_EMBEDDER_URLS"
            ) from error

    async def wait_until_back(self) -> wire.Info:
        """Return the facts about the embedder once it answers again, however long that takes."""
        while True:
            try:
                return await self.info()
            except (TransientError, SetupError):  # another server may listen there meanwhile
                await asyncio.sleep(_POLL_SECONDS)

    async def faces(self, picture: bytes, request: face_requests.FacesRequest) -> wire.FacesAnswer:
        """
        Return the faces of one picture.

        An ``EmbedderLostError`` (the connection broke) and an ``EmbedderTimeoutError`` are raised at once, without
        another try: the embedder may still be at work on the picture. ``CircuitOpenError`` when it is down.
        """
        params, options = request.to_http()
        headers = {"Accept": wire.MSGPACK, "Content-Type": "application/octet-stream"} | options

        async def ask() -> wire.FacesAnswer | EmbedderLostError | EmbedderTimeoutError:
            try:
                return wire.decode_faces(await self._send("POST", "/v1/faces", headers, params=params, content=picture))
            except (EmbedderLostError, EmbedderTimeoutError) as error:
                return error  # returned, because the guard retries an error that is raised

        self.outstanding += 1
        try:
            answer = await self.guard.call(ask)
        finally:
            self.outstanding -= 1
        if isinstance(answer, EmbedderTimeoutError):
            await self.guard.doubt(answer)
        if not isinstance(answer, wire.FacesAnswer):
            raise answer
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        params: dict[str, str] | None = None,
        content: bytes = b"",
    ) -> bytes:
        try:
            response = await self._http.request(
                method, path, headers=headers, params=params, content=content, extensions={ROUTE: path}
            )
        except httpx.ReadTimeout as error:
            raise EmbedderTimeoutError(
                f"the embedder at {self.url} gave no answer within {self.patience_seconds:g} seconds"
            ) from error
        except httpx.TimeoutException as error:
            raise TransientError(f"the embedder at {self.url} did not answer in time") from error
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
            raise EmbedderLostError(f"the embedder at {self.url} closed the connection before it answered") from error
        except httpx.TransportError as error:
            raise EmbedderUnreachableError(
                f"the embedder at {self.url} cannot be reached ({words_of(error)})"
            ) from error
        return _check(response, self.url)

    async def close(self) -> None:
        await self._http.aclose()
