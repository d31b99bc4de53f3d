"""The embedder as users run it: a process of its own with real models, called over HTTP."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import msgspec
from testdata import ROOT

from embedder.decoding.decoding import DecodingThreads
from embedder.engine import FaceEngine
from embedder.images.decoder import Decoder
from embedder.metrics import EmbedderMetrics
from embedder.pipeline import Pipeline, PipelineSize
from immich_facesets import face_requests, wire
from immich_facesets.faces import Box
from immich_facesets.runtime.listen_address import Announcement


class RealEmbedder:
    """A client of a running embedder; with ``boxes`` a request is guided, unless it names another mode."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def faces(
        self, photo: bytes, boxes: Sequence[Box] = (), mode: face_requests.Mode | None = None
    ) -> wire.FacesAnswer:
        mode = mode or (face_requests.Mode.GUIDED if boxes else face_requests.Mode.FULL)
        rows = msgspec.json.encode([(box.x1, box.y1, box.x2, box.y2) for box in boxes]).decode()
        headers = {face_requests.BOXES_HEADER: rows} if boxes else {}
        response = self._client.post("/v1/faces", content=photo, params={"mode": mode}, headers=headers)
        response.raise_for_status()
        return wire.decode_faces(response.content)

    def faces_of_all(self, photos: Sequence[bytes]) -> list[wire.FacesAnswer]:
        with ThreadPoolExecutor(4) as callers:
            return list(callers.map(self.faces, photos))

    def guided_of_all(self, photos: Sequence[bytes], boxes: Sequence[Sequence[Box]]) -> list[wire.FacesAnswer]:
        with ThreadPoolExecutor(4) as callers:
            return list(callers.map(self.faces, photos, boxes))


@contextmanager
def real_embedder(models: Path, pack: str, **settings: str) -> Iterator[RealEmbedder]:
    """An embedder with the models of ``pack`` and these further settings (``flip="true"``)."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FACESETS_")}
    environment = {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "FACESETS_EMBEDDER_LISTEN": "127.0.0.1:0",
        "FACESETS_MODELS_DIR": str(models),
        "FACESETS_MODEL_PACK": pack,
        "FACESETS_EMBEDDER_LOG_LEVEL": "ERROR",
        **{f"FACESETS_EMBEDDER_{name.upper()}": value for name, value in settings.items()},
    }
    process = subprocess.Popen([sys.executable, "-m", "embedder"], env=environment, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = Announcement.read(process.stdout.readline()).url
        with httpx.Client(base_url=url, timeout=60) as client:
            yield RealEmbedder(client)
    finally:
        process.terminate()
        process.communicate(timeout=30)


@asynccontextmanager
async def pipeline_of(engine: FaceEngine) -> AsyncIterator[Pipeline]:
    """The embedder without its HTTP server, for engines that no setting selects."""
    deaths: list[str] = []
    pipeline = Pipeline(
        engine,
        DecodingThreads(Decoder(150_000_000)),
        PipelineSize(),
        EmbedderMetrics(),
        on_crash=lambda lane, _error: deaths.append(lane),
    )
    try:
        yield pipeline
    finally:
        pipeline.close(wait_seconds=2)
    assert deaths == []
