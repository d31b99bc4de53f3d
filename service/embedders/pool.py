"""The pool of embedders: distributes work by outstanding requests, and refuses an embedder of another space."""

import asyncio
import functools
import io
import time
from collections.abc import Sequence
from pathlib import Path

import structlog
from PIL import Image

from immich_facesets import face_requests, wire
from immich_facesets.errors import ItemError, SetupError, TransientError
from service.embedders.client import (
    Embedder,
    EmbedderBusyError,
    EmbedderLostError,
    EmbedderTimeoutError,
    EmbedderUnreachableError,
)
from service.embedders.shared_lock import SharedLock
from service.remote.guard import CircuitOpenError

log = structlog.get_logger(__name__)

WHOLE_PICTURE = face_requests.FacesRequest()

_OF_ONE_PICTURE = ("max_pixels", "max_bytes", "max_memory", "decode_seconds")
"""The limits that a picture can exceed."""

_TEST_TRIES = 3
"""
How often a test picture is sent before the embedder counts as failing.

The work on a picture may go on after its caller left, and one of several embedders may end meanwhile.
"""


@functools.cache
def _test_picture() -> bytes:
    """A small grey picture without a face."""
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(stream, "BMP")
    return stream.getvalue()


class EmbedderFailsError(CircuitOpenError):
    """The embedder answers no picture, not even a test picture, though it answers other requests."""


def _fails(error: EmbedderLostError | EmbedderTimeoutError) -> EmbedderFailsError:
    if isinstance(error, EmbedderLostError):
        return EmbedderFailsError("the embedder crashes on every picture: look at its log")
    return EmbedderFailsError(
        f"{error} to a test picture, although it has no other picture: look at its log, or restart it"
    )


class EmbedderPool:
    """Several embedders of one space, used like one."""

    def __init__(self, embedders: Sequence[Embedder]) -> None:
        self._embedders = tuple(embedders)
        self._usable: dict[Embedder, wire.Limits] = {}
        self._info: wire.Info | None = None
        self._lock = SharedLock()
        self._away: dict[Embedder, asyncio.Task[None]] = {}
        self._returned = asyncio.Event()

    @property
    def info(self) -> wire.Info:
        """The facts about the pool's embedders; known once it was opened."""
        if self._info is None:
            raise SetupError("the embedder has not been asked yet")
        return self._info

    @property
    def is_open(self) -> bool:
        return self._info is not None

    async def open(self) -> wire.Info:
        """
        Query every embedder's facts and return those of the pool.

        One that is down is left out until it is reachable; two spaces are a ``SetupError``.
        """
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
            spaces = ", ".join(f"{embedder.url} serves {info.space} ({info.pack})" for embedder, info in infos.items())
            raise SetupError(
                "the embedders of FACESETS_EMBEDDER_URLS serve different spaces, whose vectors cannot be compared: "
                f"{spaces}. Give all of them the same models and options"
            )
        self._usable = {embedder: info.limits for embedder, info in infos.items()}
        self._info = next(iter(infos.values()))
        for embedder in self._embedders:
            if embedder in infos:
                self._stop_watching(embedder)
            else:
                self._lose(embedder)
        return self._info

    @property
    def capacity(self) -> int:
        """The number of pictures that may be in progress at once without a refusal."""
        return max(1, sum(limits.max_in_flight for limits in self._usable.values()))

    @property
    def limits(self) -> dict[str, float]:
        """The largest limit of any usable embedder for one picture, by name."""
        usable = self._usable.values()
        return {name: max((getattr(limits, name) for limits in usable), default=0) for name in _OF_ONE_PICTURE}

    async def faces(
        self, picture: bytes | Path, request: face_requests.FacesRequest = WHOLE_PICTURE, *, alone: bool = False
    ) -> wire.FacesAnswer:
        """
        Return the faces of one picture from the least busy embedder that is reachable.

        A picture on disk that is too large for every embedder is not even read.

        ``EmbedderLostError``: an embedder was lost while it had the picture; ``EmbedderTimeoutError``: it kept it too
        long. Send it ``alone`` then, while no other picture is in progress, to find out whether it is the cause. While
        no embedder is reachable or has room, the call waits for one.
        """
        if isinstance(picture, Path):
            self._candidates((await asyncio.to_thread(picture.stat)).st_size)
            picture = await asyncio.to_thread(picture.read_bytes)
        busy_since: float | None = None
        while True:
            await self._wait_until_back()
            losses = len(self._away)
            try:
                return await (self._ask_alone(picture, request) if alone else self._ask_beside_others(picture, request))
            except (EmbedderLostError, EmbedderTimeoutError, EmbedderFailsError):
                raise
            except EmbedderBusyError as error:
                busy_since = time.monotonic() if busy_since is None else busy_since
                if time.monotonic() - busy_since > self._patience_seconds:
                    raise EmbedderFailsError(f"{error}, for a long time") if alone else error from None
            except TransientError:
                if len(self._away) == losses:
                    raise

    async def check_alive(self) -> None:
        """Raise ``EmbedderFailsError`` if the embedder fails with any picture; to call before one is blamed for it."""
        try:
            await self.faces(_test_picture(), alone=True)
        except (EmbedderLostError, EmbedderTimeoutError) as error:
            raise _fails(error) from error

    async def _ask_beside_others(self, picture: bytes, request: face_requests.FacesRequest) -> wire.FacesAnswer:
        async with self._lock.shared():
            return await self._ask(picture, request)

    async def _ask_alone(self, picture: bytes, request: face_requests.FacesRequest) -> wire.FacesAnswer:
        """Ask while no other picture is in progress, and after a test picture was answered: what came before is over."""
        async with self._lock.exclusive():
            for tries_left in reversed(range(_TEST_TRIES)):
                try:
                    await self._ask(_test_picture(), WHOLE_PICTURE, alone=True)
                    break
                except (EmbedderLostError, EmbedderTimeoutError) as error:
                    if not tries_left:
                        raise _fails(error) from error
                    await self._wait_until_back()
            return await self._ask(picture, request, alone=True)

    @property
    def _patience_seconds(self) -> float:
        return max(embedder.patience_seconds for embedder in self._embedders)

    def _lose(self, embedder: Embedder) -> None:
        """Stop using this embedder until it answers again."""
        if embedder not in self._away:
            log.warning("embedder_lost", address=embedder.url)
            self._usable.pop(embedder, None)
            self._away[embedder] = asyncio.create_task(self._watch(embedder))

    async def _watch(self, embedder: Embedder) -> None:
        self._take_back(embedder, await embedder.wait_until_back())

    def _take_back(self, embedder: Embedder, info: wire.Info) -> None:
        self._away.pop(embedder, None)
        if info.space == self.info.space:
            log.info("embedder_back", address=embedder.url)
            self._usable[embedder] = info.limits
        else:
            log.error("embedder_of_another_space", address=embedder.url, space=info.space, expected=self.info.space)
        self._returned.set()

    def _stop_watching(self, embedder: Embedder) -> None:
        if watch := self._away.pop(embedder, None):
            watch.cancel()

    async def _wait_until_back(self) -> None:
        """Return as soon as any embedder is reachable, or raise when that takes too long."""
        while self._away and not self._usable:
            self._returned.clear()
            patience = max(embedder.patience_seconds for embedder in self._away)
            try:
                async with asyncio.timeout(patience):
                    await self._returned.wait()
            except TimeoutError:
                await self._try_lost_embedders()

    async def _try_lost_embedders(self) -> None:
        """Use the first lost embedder that answers now, ahead of its watch task; ``CircuitOpenError`` if none does."""
        last = TransientError("no embedder can be reached")
        for embedder, watch in tuple(self._away.items()):
            try:
                info = await embedder.info()
            except TransientError as error:
                last = error
            else:
                watch.cancel()
                self._take_back(embedder, info)
                return
        raise CircuitOpenError(str(last)) from last

    async def _ask(
        self, picture: bytes, request: face_requests.FacesRequest, *, alone: bool = False
    ) -> wire.FacesAnswer:
        """
        Query the embedders, the least busy first. If all fail, raise preferably the error of one that is not down.

        A picture that one embedder kept too long goes to another only when it is ``alone``: it might occupy that, too.
        """
        last: TransientError | None = None
        for embedder in self._candidates(len(picture)):
            try:
                answer = await embedder.faces(picture, request)
            except EmbedderLostError:
                self._lose(embedder)
                raise
            except TransientError as error:
                if isinstance(error, EmbedderTimeoutError) and not alone:
                    raise
                if isinstance(error, CircuitOpenError | EmbedderUnreachableError):
                    self._lose(embedder)
                last = error if last is None or isinstance(last, CircuitOpenError) else last
                continue
            if answer.space != self.info.space:
                raise SetupError(
                    f"the embedder at {embedder.url} now serves another space than at the start of this sync: "
                    "start the sync again"
                )
            return answer
        raise last or TransientError("no embedder can be reached")

    def _candidates(self, size_bytes: int) -> list[Embedder]:
        """Return the usable embedders that accept this size, the least busy first; ``ItemError`` if it exceeds all limits."""
        most = max((limits.max_bytes for limits in self._usable.values()), default=size_bytes)
        if size_bytes > most:
            raise ItemError(
                f"the picture has {size_bytes} bytes, more than the {most} the embedder takes "
                "(FACESETS_EMBEDDER_MAX_BYTES)",
                reason="too_large",
            )
        candidates = [(embedder, limits) for embedder, limits in self._usable.items() if limits.max_bytes >= size_bytes]
        candidates.sort(key=lambda candidate: candidate[0].outstanding / max(1, candidate[1].max_in_flight))
        return [embedder for embedder, _ in candidates]

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
            self._stop_watching(embedder)
            await embedder.close()
