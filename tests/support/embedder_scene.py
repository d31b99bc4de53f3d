"""A real embedder on a loopback port, with an engine whose answers the test sets."""

import threading
from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import cv2
import httpx
import numpy as np
import structlog
from aiohttp import web
from numpy.typing import NDArray

from embedder.decoding.decoding import DecodingThreads
from embedder.engine import Aligned, Detection, EngineFacts, View
from embedder.enrichment.lanes import NO_ENRICHMENT, EnrichmentModels
from embedder.http import UPLOAD_SECONDS, build_app, connection_limits, stop_accepting
from embedder.images import alignment
from embedder.images.decoder import Decoder
from embedder.metrics import EmbedderMetrics
from embedder.pipeline import Pipeline, PipelineSize
from embedder.settings import EmbedderSettings
from immich_facesets import wire
from immich_facesets.faces import Box
from immich_facesets.runtime.http_server import serve_app
from immich_facesets.runtime.listen_address import Listen
from immich_facesets.spaces import EmbeddingSpace, SpaceRecogniser

Pixels = NDArray[np.uint8]
ANY_PORT = Listen("127.0.0.1", 0)
POINTS = ((138.0, 151.0), (173.0, 151.0), (156.0, 171.0), (141.0, 192.0), (170.0, 192.0))
FACE = Detection(Box(120, 110, 192, 210), POINTS, 0.9)


def face_at(x: float, y: float, score: float = 0.9) -> Detection:
    """A face of 72 x 100 pixels whose box starts at (x, y)."""
    moved = tuple((px + x - 120, py + y - 110) for px, py in POINTS)
    a, b, c, d, e = moved
    return Detection(Box(x, y, x + 72, y + 100), (a, b, c, d, e), score)


def picture(*, width: int = 320, height: int = 240, shade: int = 120) -> bytes:
    """A PNG of one grey shade, whose faces the engine invents."""
    done, encoded = cv2.imencode(".png", np.full((height, width, 3), shade, np.uint8))
    assert done
    return encoded.tobytes()


@dataclass
class ScriptedEngine:
    """
    Detects the faces in ``seen`` in every picture; recognises a face by the shade of its crop.

    ``before_detect`` and ``before_recognise`` run in the lane, for tests that make it wait or fail.
    """

    seen: list[Detection] = field(default_factory=lambda: [FACE])
    before_detect: Callable[[Sequence[View]], None] = lambda _views: None
    before_recognise: Callable[[Sequence[Aligned]], None] = lambda _faces: None
    see: Callable[[View], list[Detection]] | None = None
    looks: list[tuple[Box | None, bool]] = field(default_factory=list)
    can_part: bool = True
    view_side: int = 0
    look_side: int = 0
    least_face: float = 0.0
    flips: bool = False
    kind: Literal["onnx", "synthetic"] = "synthetic"
    closer: list[tuple[Box, float]] = field(default_factory=list)
    parts: list[Box] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def facts(self) -> EngineFacts:
        space = EmbeddingSpace("d", (SpaceRecogniser("r", 127.5, 127.5),), alignment.ALIGNMENT, flip=self.flips)
        facts = EngineFacts(self.kind, space, "synthetic", 4, "scripted", "none", (), "cpu")
        return replace(facts, view_side=self.view_side, look_side=self.look_side, least_face=self.least_face)

    def view(self, pixels: Pixels, area: Box | None = None, *, closely: bool = False) -> View:
        with self.lock:
            self.looks.append((area, closely))
        return View(pixels, left=0 if area is None else round(area.x1), top=0 if area is None else round(area.y1))

    def closer_view(self, pixels: Pixels, area: Box, factor: float) -> View:
        with self.lock:
            self.closer.append((area, factor))
        part = pixels[round(area.y1) : round(area.y2), round(area.x1) : round(area.x2)]
        return View(part, left=round(area.x1), top=round(area.y1))

    def part(self, view: View, box: Box) -> View | None:
        if not self.can_part:
            return None
        with self.lock:
            self.parts.append(box)
        left, top = max(0, round(box.x1)), max(0, round(box.y1))
        return View(view.pixels[top : round(box.y2), left : round(box.x2)], left=left, top=top)

    def detect(self, views: Sequence[View]) -> list[list[Detection]]:
        self.before_detect(views)
        return [list(self.seen) if self.see is None else self.see(view) for view in views]

    def align(self, pixels: Pixels, detection: Detection) -> Aligned:
        return alignment.align(pixels, detection, 112)

    def recognise(self, faces: Sequence[Aligned]) -> NDArray[np.float32]:
        with self.lock:
            self.batches.append(len(faces))
        self.before_recognise(faces)
        angles = np.array([float(face.crop.mean()) / 100 for face in faces])
        rows = np.zeros((len(faces), 4), np.float32)
        rows[:, 0], rows[:, 1] = np.cos(angles), np.sin(angles)
        return rows

    def probe(self) -> Detection:
        return FACE


@dataclass
class Scene:
    """One running embedder and a client of it."""

    client: httpx.AsyncClient
    engine: ScriptedEngine
    pipeline: Pipeline
    metrics: EmbedderMetrics
    app: web.Application
    deaths: list[str]
    logs: list[MutableMapping[str, Any]]

    async def ask(self, data: bytes, **params: str | int) -> httpx.Response:
        return await self.client.post("/v1/faces", content=data, params=params)

    async def answer(self, data: bytes, **params: str | int) -> wire.FacesAnswer:
        response = await self.ask(data, **params)
        assert response.status_code == 200, response.text
        return wire.decode_faces(response.content)

    def stop_accepting(self) -> None:
        stop_accepting(self.app)


@asynccontextmanager
async def running(
    engine: ScriptedEngine | None = None,
    *,
    size: PipelineSize | None = None,
    enrichment: EnrichmentModels = NO_ENRICHMENT,
    body_seconds: float = UPLOAD_SECONDS,
    **settings: object,
) -> AsyncIterator[Scene]:
    """An embedder with these settings and further models; everything is closed again afterwards."""
    engine = engine or ScriptedEngine()
    chosen = EmbedderSettings.model_validate({"max_in_flight": 8, "max_pixels": 1_000_000, **settings})
    size = size or PipelineSize(max_in_flight=chosen.max_in_flight, workers=2)
    metrics, deaths = EmbedderMetrics(), list[str]()
    pipeline = Pipeline(
        engine,
        DecodingThreads(Decoder(chosen.max_pixels)),
        size,
        metrics,
        on_crash=lambda lane, _error: deaths.append(lane),
        enrichment=enrichment,
    )
    app = build_app(chosen, pipeline, metrics)
    limits = replace(connection_limits(chosen), body_seconds=body_seconds)
    try:
        async with serve_app(app, ANY_PORT, limits, setting="FACESETS_EMBEDDER_LISTEN", stop_seconds=2) as listen:
            with structlog.testing.capture_logs() as logs:
                async with httpx.AsyncClient(base_url=f"http://{listen}", timeout=20) as client:
                    yield Scene(client, engine, pipeline, metrics, app, deaths, logs)
    finally:
        pipeline.close(wait_seconds=2)
