"""
The pipeline of a picture: permit, decode, detect, align, recognise, answer. Each step runs in a lane of its own.

A request without a permit is refused at once (back-pressure instead of a queue). A caller's disconnect frees its permit
and withdraws the work that was not begun.
"""

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from embedder.decoding.decoding import Decoding
from embedder.engine import Aligned, Detection, FaceEngine, View
from embedder.enrichment.lanes import NO_ENRICHMENT, EnrichmentLanes, EnrichmentModels
from embedder.faces.blank import blank_directions
from embedder.faces.extraction import FaceExtractor, PreparedFace, face_answer
from embedder.faces.search import Finder
from embedder.images.crops import cut_part
from embedder.images.picture import Picture
from embedder.lanes import Lane, LaneSize, WorkerLane
from embedder.memory_budget import MemoryBudget
from embedder.metrics import EmbedderMetrics
from immich_facesets import face_requests, wire
from immich_facesets.errors import FacesetsError, ItemError, TransientError
from immich_facesets.near_duplicates.perceptual_hash import picture_hash

log = structlog.get_logger(__name__)

PROBE_SECONDS = 30.0
"""How long a self-check may wait behind pictures that were accepted before it."""


class BusyError(TransientError):
    """Every permit is taken."""


@dataclass(frozen=True, slots=True)
class PipelineSize:
    """How many requests are accepted, and how many threads each lane has; ``workers`` decode, align and encode."""

    max_in_flight: int = 16
    workers: int = 1
    detectors: int = 1
    recognisers: int = 1
    batch: int = 16
    linger_seconds: float = 0.0
    threads: int = 1
    """CPU threads of one run of a model, 0 for all cores: reported, not used here."""
    memory_bytes: int = 2 << 30
    """Bytes that pictures in progress may take, as files and as pixels."""


class Pipeline:
    """Answers questions about pictures. Make it, use it and close it on one event loop."""

    def __init__(
        self,
        engine: FaceEngine,
        decoding: Decoding,
        size: PipelineSize,
        metrics: EmbedderMetrics,
        *,
        on_crash: Callable[[str, BaseException], None],
        enrichment: EnrichmentModels = NO_ENRICHMENT,
    ) -> None:
        self.engine = engine
        self.enrichment = enrichment
        self.size = size
        self.space = engine.facts.space.name
        self.blank: tuple[tuple[float, ...], ...] = ()
        self._decoding = decoding
        self._metrics = metrics
        self._taken = 0
        self._moved_at = time.monotonic()
        self._memory = MemoryBudget(size.memory_bytes)
        capacity = max(size.max_in_flight, 4) * 2
        self._workers = WorkerLane(size.workers, capacity, on_crash=on_crash, on_batch=metrics.count_batch)
        self._detect: Lane[View, list[Detection]] = Lane(
            "detect",
            engine.detect,
            LaneSize(workers=size.detectors, capacity=capacity),
            on_crash=on_crash,
            on_batch=metrics.count_batch,
        )
        for_faces = LaneSize(size.recognisers, size.batch, size.linger_seconds, max(64, 4 * size.batch))
        self._recognise: Lane[Aligned, NDArray[np.float32]] = Lane(
            "recognise",
            lambda faces: list(engine.recognise(faces)),
            for_faces,
            on_crash=on_crash,
            on_batch=metrics.count_batch,
        )
        self._enrichment_lanes = EnrichmentLanes(enrichment, for_faces, on_crash=on_crash, on_batch=metrics.count_batch)
        self._extractor = FaceExtractor(engine, has_quality_model=enrichment.quality is not None)
        self._finder = Finder(engine, self._workers, self._detect)
        metrics.describe(space=self.space, family=engine.facts.family, provider=engine.facts.provider)
        for name, waiting in self._queues():
            metrics.watch_queue(name, waiting)

    @contextlib.contextmanager
    def permit(self, size_bytes: int = 0) -> Iterator[None]:
        """Hold a permit for a file of this size, or raise ``BusyError``."""
        if self._taken >= self.size.max_in_flight:
            self._metrics.pictures.labels("busy").inc()
            raise BusyError(f"all {self.size.max_in_flight} places are taken", retry_after=1.0)
        if not self._memory.has_for(size_bytes):
            self._metrics.pictures.labels("busy").inc()
            raise BusyError("the pictures in work take all memory of FACESETS_EMBEDDER_MAX_MEMORY", retry_after=1.0)
        if not self._taken:
            self._moved_at = time.monotonic()
        self._taken += 1
        self._metrics.in_flight.set(self._taken)
        try:
            with self._memory.file(size_bytes):
                yield
        finally:
            self._moved_at = time.monotonic()
            self._taken -= 1
            self._metrics.in_flight.set(self._taken)

    @property
    def standstill_seconds(self) -> float:
        """For how long no picture has left, though some are in progress."""
        return time.monotonic() - self._moved_at if self._taken else 0.0

    async def answer(self, data: bytes, request: face_requests.FacesRequest) -> wire.FacesAnswer:
        """The faces in a picture; ``ItemError`` when the picture is at fault, ``TransientError`` when the embedder is."""
        begun = time.perf_counter()
        outcome = "failed"
        try:
            answer = await self._answer(data, request)
            outcome = "answered"
        except ItemError as error:
            outcome = error.reason
            raise
        except asyncio.CancelledError:
            outcome = "left"
            raise
        finally:
            self._metrics.pictures.labels(outcome).inc()
            self._metrics.seconds.observe(time.perf_counter() - begun)
        self._metrics.faces.inc(len(answer.faces))
        self._metrics.lost_faces.inc(answer.lost_faces)
        return answer

    async def self_check(self) -> None:
        """Send a test picture through every lane; ``TransientError`` when the result is not a valid embedding."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                pixels = _test_picture()
                await self._detect.run(await self._workers.run(functools.partial(self.engine.view, pixels)))
                aligned = await self._workers.run(functools.partial(self.engine.align, pixels, self.engine.probe()))
                vector = await self._recognise.run(aligned)
        except TimeoutError:
            raise TransientError(f"a test picture took more than {PROBE_SECONDS:g} seconds", retry_after=10) from None
        except FacesetsError:
            raise
        except Exception as error:
            log.exception("self_check_failed")
            raise TransientError("the models fail on a test picture: the log says more", retry_after=10) from error
        length = float(np.linalg.norm(vector))
        if not (0.0 < length < np.inf):
            raise TransientError("the models give vectors without a direction", retry_after=10)

    async def look_at_nobody(self) -> None:
        """Find the directions of crops that show nobody (``blank``), at a start; drawn faces have none."""
        if self.engine.facts.kind != "synthetic":
            found = await asyncio.to_thread(blank_directions, self.engine)
            self.blank = tuple(tuple(row) for row in found.round(4).tolist())

    def close(self, *, wait_seconds: float = 0.0) -> None:
        self._decoding.close()
        for lane in (self._workers.lane, self._detect, self._recognise):
            lane.close(wait_seconds=wait_seconds)
        self._enrichment_lanes.close(wait_seconds=wait_seconds)

    async def _answer(self, data: bytes, request: face_requests.FacesRequest) -> wire.FacesAnswer:
        with self._memory.room() as room:
            picture = await self._decoding.decode(data, self._extractor.allowed(request), room, self._workers)
            view, phash = await self._workers.run(functools.partial(self._show, picture))
            width, height, orientation, missing = picture.width, picture.height, picture.orientation, picture.missing
            detections = await self._find(picture, view, request)
            suspects = await self._suspects(picture, view, detections) if request.suspects else ()
            del view
            outside = [picture.outside(one) for one in detections]
            finer = self._extractor.finer(picture, outside, request, self._decoding.least_reduction(width, height))
            if finer is not None:
                del picture
                room.keep(0)
                picture = await self._decoding.decode(data, lambda _width, _height: finer, room, self._workers)
            prepared = await self._workers.run(functools.partial(self._extractor.take, picture, outside, request))
            cut = await self._cut(picture, request)
            del picture  # counted as gone from here on
        outcomes = await self._recognise.run_many([face.aligned for face in prepared])
        kept = [
            (face, outcome)
            for face, outcome in zip(prepared, outcomes, strict=True)
            if not isinstance(outcome, Exception) and np.isfinite(outcome).all()
        ]
        if detections and not kept:
            errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
            raise await self._blame(errors[0] if errors else None)
        faces = await self._faces(kept)
        return wire.FacesAnswer(
            space=self.space,
            width=width,
            height=height,
            faces=tuple(faces),
            lost_faces=len(detections) - len(faces),
            orientation=orientation,
            phash=phash,
            missing=missing,
            suspects=suspects,
            cut=cut,
        )

    async def _cut(self, picture: Picture, request: face_requests.FacesRequest) -> wire.CutAnswer | None:
        """Return the part of the picture that the request wants, None without any."""
        if request.cut is None:
            return None
        return await self._workers.run(functools.partial(cut_part, picture, request.cut))

    async def _suspects(
        self, picture: Picture, view: View, detections: Sequence[Detection]
    ) -> tuple[wire.Suspect, ...]:
        """Return what other detectors may take for further faces, in upright original pixels."""
        try:
            found = await self._finder.suspects(view, detections)
        except FacesetsError:
            raise
        except Exception as error:  # as below: ``_blame`` determines the cause
            raise await self._blame(error) from error
        outside = [picture.outside(one) for one in found]
        return tuple(wire.Suspect(box=(b.x1, b.y1, b.x2, b.y2), score=one.score) for one in outside for b in (one.box,))

    async def _find(self, picture: Picture, view: View, request: face_requests.FacesRequest) -> list[Detection]:
        """Return the faces in decoded pixels, but for those that reach into a missing part."""
        try:
            detections = await self._finder.find(picture, view, request)
        except FacesetsError:
            raise
        except Exception as error:  # a model's errors have no common class; ``_blame`` determines the cause
            raise await self._blame(error) from error
        return [one for one in detections if picture.holds(one)]

    async def _faces(self, kept: Sequence[tuple[PreparedFace, NDArray[np.float32]]]) -> list[wire.FaceAnswer]:
        """Return the answer for each face that has a vector, with the results of the further models."""
        scores = await self._enrichment_lanes.score([face.quality_crop for face, _ in kept])
        try:
            enriched = await self._enrichment_lanes.enrich([face.landmark_crop for face, _ in kept])
        except FacesetsError:
            raise
        except Exception as error:  # as above: ``_blame`` determines the cause
            raise await self._blame(error) from error
        answers = zip(kept, scores, enriched, strict=True)
        return [face_answer(face, vector, score, more) for (face, vector), score, more in answers]

    def _show(self, picture: Picture) -> tuple[View, str]:
        return self.engine.view(picture.pixels), picture_hash(picture.pixels)

    async def _blame(self, error: Exception | None) -> FacesetsError:
        """Return the error for a failed inference: the picture is at fault if a test picture passes, else the embedder."""
        try:
            await self.self_check()
        except TransientError as failure:
            return failure
        log.warning("inference_failed", error=type(error).__name__ if error else "no_direction", exc_info=error)
        return ItemError("the models fail on this picture, but not on others", reason="inference_failed")

    def _queues(self) -> Iterator[tuple[str, Callable[[], int]]]:
        yield "hands", lambda: self._workers.lane.waiting
        yield "detect", lambda: self._detect.waiting
        yield "recognise", lambda: self._recognise.waiting
        yield from self._enrichment_lanes.queues()


@functools.cache
def _test_picture() -> NDArray[np.uint8]:
    """A test picture without a face: soft colours and a disc."""
    rows, columns = np.mgrid[:240, :320].astype(np.float32)
    disc = 120.0 * ((rows - 110) ** 2 / 2 + (columns - 160) ** 2 < 4000)
    picture = np.stack([rows / 2 + disc, columns / 3 + disc, (rows + columns) / 5], axis=-1)
    return picture.clip(0, 255).astype(np.uint8)
