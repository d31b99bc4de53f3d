"""The pool of embedders: spreads work by what is outstanding, and refuses one that serves another space."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec
import structlog
from pydantic import SecretStr

from immich_facesets import wire
from immich_facesets.errors import ItemError, SetupError, TransientError
from immich_facesets.faces import Box
from service.progress import RemoteState
from service.remote.breaker import Breaker
from service.remote.guard import STUBBORN, CircuitOpenError, Guard
from service.remote.transport import AiohttpTransport
from service.turns import Turns

log = structlog.get_logger(__name__)

_ADVICE = "Look at the embedder's log, or restart it; the sync goes on where it stopped."
_LOOK_SECONDS = 0.5  # between two looks whether an embedder that went away is back


class EmbedderLostError(TransientError):
    """
    The connection broke while the embedder had a picture: it ended, perhaps of this very picture.

    Nobody sends the picture again beside others: it would take them with it once more.
    """


@dataclass(frozen=True, slots=True)
class CropWish:
    """Ask for the square around every face that is big enough. ``min_short`` in pixels, ``padding`` of the box."""

    size: int
    min_short: float
    padding: float

    def query(self) -> dict[str, str]:
        return {"crops": str(self.size), "crop_min_short": f"{self.min_short:g}", "pad_ratio": f"{self.padding:g}"}


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None


def _trouble(response: httpx.Response) -> wire.Trouble:
    decode = msgspec.msgpack.decode if wire.MSGPACK in response.headers.get("Content-Type", "") else msgspec.json.decode
    try:
        return decode(response.content, type=wire.Trouble)
    except msgspec.DecodeError:
        return wire.Trouble(reason="bad_answer", message=f"HTTP {response.status_code} without a reason of ours")


def _check(response: httpx.Response, url: str) -> bytes:
    """The body of a good answer; everything else becomes the error that says who should do what."""
    code = response.status_code
    if code == httpx.codes.OK:
        return response.content
    trouble = _trouble(response)
    match code:
        case 413 | 422 | 400:
            raise ItemError(f"the embedder cannot use the picture: {trouble.message}", reason=trouble.reason)
        case 401 | 403:
            raise SetupError(f"the embedder at {url} refuses the token: set FACESETS_EMBEDDER_TOKEN to the embedder's")
        case _ if code in {404, 405} or response.is_redirect:
            raise SetupError(f"what answers at {url} is no embedder: check FACESETS_EMBEDDER_URLS")
        case _:
            raise TransientError(f"the embedder answered {code}: {trouble.message}", retry_after=_retry_after(response))


class Embedder:
    """One embedder process. Its failures are counted by a circuit of its own."""

    def __init__(
        self,
        url: str,
        token: SecretStr | None,
        *,
        failures: int = 12,
        answer_seconds: float = 120.0,
        on_change: Callable[[RemoteState], None] | None = None,
        name: str = "embedder",
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
            transport=transport or AiohttpTransport(),
        )
        self.guard = Guard(name, Breaker(threshold=failures), self._ask_info, advice=_ADVICE, on_change=on_change)

    async def info(self) -> wire.Info:
        """What it serves."""
        return await self.guard.call(self._ask_info, rule=STUBBORN)

    async def _ask_info(self) -> wire.Info:
        body = await self._send("GET", "/v1/info", {"Accept": wire.MSGPACK})
        try:
            return msgspec.msgpack.decode(body, type=wire.Info)
        except msgspec.DecodeError as error:
            raise SetupError(
                f"what answers at {self.url} is no embedder of ours: check FACESETS_EMBEDDER_URLS"
            ) from error

    async def wait_until_back(self) -> None:
        """Return once it answers again; after as long as it is given for an answer, what was in the way is raised."""
        loop = asyncio.get_running_loop()
        enough = loop.time() + self.patience_seconds
        while True:
            try:
                await self.info()
            except TransientError:
                if loop.time() >= enough:
                    raise
            else:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def faces(self, picture: bytes, boxes: Sequence[Box] | None, crops: CropWish | None) -> wire.FacesAnswer:
        """
        The faces of one picture; ``boxes`` (upright original pixels) makes it look only around them.

        ``EmbedderLostError`` at once, and without another try, when the embedder goes away meanwhile.
        """
        params = {"mode": wire.Mode.FULL.value if boxes is None else wire.Mode.GUIDED.value}
        headers = {"Accept": wire.MSGPACK, "Content-Type": "application/octet-stream"}
        if boxes is not None:
            places = [[round(side, 1) for side in (box.x1, box.y1, box.x2, box.y2)] for box in boxes]
            headers[wire.BOXES_HEADER] = msgspec.json.encode(places).decode()
        if crops is not None:
            params |= crops.query()

        async def ask() -> wire.FacesAnswer | EmbedderLostError:
            try:
                return wire.decode_faces(await self._send("POST", "/v1/faces", headers, params=params, content=picture))
            except EmbedderLostError as error:
                return error  # what is raised here, the guard tries again

        self.outstanding += 1
        try:
            answer = await self.guard.call(ask)
        finally:
            self.outstanding -= 1
        if isinstance(answer, EmbedderLostError):
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
            response = await self._http.request(method, path, headers=headers, params=params, content=content)
        except httpx.TimeoutException as error:
            raise TransientError(f"the embedder at {self.url} did not answer in time") from error
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
            raise EmbedderLostError(f"the embedder at {self.url} broke the connection off") from error
        except httpx.TransportError as error:
            raise TransientError(f"the embedder at {self.url} cannot be reached ({type(error).__name__})") from error
        return _check(response, self.url)

    async def close(self) -> None:
        await self._http.aclose()


class EmbedderPool:
    """Several embedders of one space, seen as one."""

    def __init__(self, embedders: Sequence[Embedder]) -> None:
        self._embedders = tuple(embedders)
        self._usable: dict[Embedder, wire.Limits] = {}
        self._info: wire.Info | None = None
        self._turns = Turns()
        self._losses = 0
        self._returns = 0
        self._returning = asyncio.Lock()

    @property
    def info(self) -> wire.Info:
        """What the pool serves; known once it was opened."""
        if self._info is None:
            raise SetupError("the embedder has not been asked yet")
        return self._info

    @property
    def is_open(self) -> bool:
        return self._info is not None

    async def open(self) -> wire.Info:
        """Ask every embedder what it serves. One that is down is left out for now; two spaces are a ``SetupError``."""
        answers = await asyncio.gather(*(item.info() for item in self._embedders), return_exceptions=True)
        infos: dict[Embedder, wire.Info] = {}
        down: TransientError | None = None
        for embedder, answer in zip(self._embedders, answers, strict=True):
            if isinstance(answer, TransientError):
                down = answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                infos[embedder] = answer
        if down is not None and not infos:
            raise down
        if len({info.space for info in infos.values()}) > 1:
            told = ", ".join(f"{embedder.url} serves {info.space} ({info.pack})" for embedder, info in infos.items())
            raise SetupError(
                "the embedders of FACESETS_EMBEDDER_URLS serve different spaces, whose vectors cannot be compared: "
                f"{told}. Give all of them the same models and options"
            )
        self._usable = {embedder: info.limits for embedder, info in infos.items()}
        self._info = next(iter(infos.values()))
        self._returns = self._losses
        return self._info

    @property
    def capacity(self) -> int:
        """How many pictures may be under way at once without being refused."""
        return max(1, sum(limits.max_in_flight for limits in self._usable.values()))

    async def faces(
        self, picture: Path, boxes: Sequence[Box] | None, crops: CropWish | None, *, alone: bool = False
    ) -> wire.FacesAnswer:
        """``faces_of`` for a picture on disk."""
        self._takers((await asyncio.to_thread(picture.stat)).st_size)
        return await self.faces_of(await asyncio.to_thread(picture.read_bytes), boxes, crops, alone=alone)

    async def faces_of(
        self,
        picture: bytes,
        boxes: Sequence[Box] | None = None,
        crops: CropWish | None = None,
        *,
        alone: bool = False,
    ) -> wire.FacesAnswer:
        """
        The faces of one picture, asked of the least busy embedder that is in reach.

        ``EmbedderLostError``: an embedder went away with it. Ask for it ``alone`` then, while no other picture is under
        way, to see whether it is the one. Whoever else meets the embedder that is away waits here until it is back.
        """
        while True:
            await self._wait_until_back()
            losses = self._losses
            async with self._turns.alone() if alone else self._turns.together():
                try:
                    return await self._ask(picture, boxes, crops)
                except EmbedderLostError:
                    self._losses += 1
                    raise
                except TransientError:
                    if self._losses == losses:
                        raise

    async def _wait_until_back(self) -> None:
        """Return at once unless an embedder was lost; then when one answers, or raise what is in the way."""
        async with self._returning:
            if self._returns == self._losses:
                return
            losses, last = self._losses, TransientError("no embedder is in reach")
            log.warning("embedder_lost")
            waits = [asyncio.ensure_future(embedder.wait_until_back()) for embedder in self._usable]
            try:
                for wait in asyncio.as_completed(waits):
                    try:
                        await wait
                    except TransientError as error:
                        last = error
                    else:
                        self._returns = losses
                        log.info("embedder_back")
                        return
                raise CircuitOpenError(str(last)) from last
            finally:
                for wait in waits:
                    wait.cancel()
                await asyncio.gather(*waits, return_exceptions=True)

    async def _ask(self, picture: bytes, boxes: Sequence[Box] | None, crops: CropWish | None) -> wire.FacesAnswer:
        """Ask the least busy embedder; when it cannot, the next. When none can: what hindered one that is not down."""
        last: TransientError | None = None
        for embedder in self._takers(len(picture)):
            try:
                answer = await embedder.faces(picture, boxes, crops)
            except EmbedderLostError:
                raise
            except TransientError as error:
                last = error if last is None or isinstance(last, CircuitOpenError) else last
                continue
            if answer.space != self.info.space:
                raise SetupError(
                    f"the embedder at {embedder.url} now serves another space than at the start of this sync: "
                    "start the sync again"
                )
            return answer
        raise last or TransientError("no embedder is in reach")

    def _takers(self, size_bytes: int) -> list[Embedder]:
        """Who takes a picture of this size, the least busy first; nobody is an ``ItemError``."""
        most = max((limits.max_bytes for limits in self._usable.values()), default=size_bytes)
        if size_bytes > most:
            raise ItemError(
                f"the picture has {size_bytes} bytes, more than the {most} the embedder takes "
                "(FACESETS_EMBEDDER_MAX_BYTES)",
                reason="too_large",
            )
        takers = [(embedder, limits) for embedder, limits in self._usable.items() if limits.max_bytes >= size_bytes]
        takers.sort(key=lambda taker: taker[0].outstanding / max(1, taker[1].max_in_flight))
        return [embedder for embedder, _ in takers]

    async def wait_until_usable(self) -> None:
        """Return once at least one embedder answers again."""
        waits = [asyncio.ensure_future(item.guard.wait_until_closed()) for item in self._embedders]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def close(self) -> None:
        for embedder in self._embedders:
            await embedder.close()
