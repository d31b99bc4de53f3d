"""The ``immich-facesets-embedder bench`` command: a table of measured speeds and the settings for this machine."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from embedder.app import open_decoding, pipeline_size
from embedder.engine import FaceEngine
from embedder.metrics import EmbedderMetrics
from embedder.pipeline import Pipeline
from embedder.settings import EmbedderSettings
from immich_facesets.errors import ItemError, SetupError
from immich_facesets.face_requests import FacesRequest

MADE = 12
ROUNDS = 2
FACES_PER_PICTURE = 2
"""Faces per picture assumed in the recommendation when no folder of photos is given."""

OpenEngine = Callable[[EmbedderSettings, EmbedderMetrics], FaceEngine]


@dataclass(frozen=True, slots=True)
class Speed:
    """Pictures searched and faces recognised per second, under these settings."""

    threads: int
    batch: int
    pictures: float
    faces: float

    @property
    def library(self) -> float:
        """Pictures per second for a library with this many faces in each picture."""
        return 1 / (1 / self.pictures + FACES_PER_PICTURE / self.faces)

    def better_of(self, other: "Speed") -> "Speed":
        """Return the faster of two measurements, because other work on the machine can only slow one down."""
        return Speed(self.threads, self.batch, max(self.pictures, other.pictures), max(self.faces, other.faces))


def read_pictures(folder: Path | None) -> list[bytes]:
    """Return every file of a folder, or generated pictures of the size that phones take."""
    if folder is None:
        return [_made(number) for number in range(MADE)]
    if not folder.is_dir():
        raise SetupError(f"{folder} is no folder: name one with photos, or leave --pictures away")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise SetupError(f"{folder} holds no files: name a folder with photos, or leave --pictures away")
    return [path.read_bytes() for path in files[:200]]


def run_benchmark(settings: EmbedderSettings, open_engine: OpenEngine, folder: Path | None, seconds: float) -> int:
    """Measure every sensible setting for about ``seconds`` each and print what came of it."""
    pictures = read_pictures(folder)
    best: dict[tuple[int, int], Speed] = {}
    facts = None
    for _ in range(ROUNDS):
        for tried in _settings_to_try(settings):
            metrics = EmbedderMetrics()
            engine = open_engine(tried, metrics)
            facts = engine.facts
            looked = asyncio.run(_pictures_a_second(tried, engine, metrics, pictures, seconds))
            speed = Speed(tried.threads, tried.batch, looked, _faces_a_second(tried, engine, seconds))
            key = tried.threads, tried.batch
            best[key] = speed.better_of(best.get(key, speed))
    assert facts is not None  # noqa: S101  there is always something to try
    _print(
        f"{facts.pack} on {facts.provider}, {len(pictures)} pictures {_origin(folder)}; the better of {ROUNDS} rounds"
    )
    _print(f"{'threads':>8} {'batch':>6} {'pictures/s':>11} {'faces/s':>8} {'library pictures/s':>19}")
    for speed in best.values():
        numbers = f"{speed.pictures:11.1f} {speed.faces:8.1f} {speed.library:19.1f}"
        _print(f"{speed.threads:8} {speed.batch:6} {numbers}")
    fastest = max(best.values(), key=lambda speed: speed.library)
    _print(f"A library with {FACES_PER_PICTURE} faces a picture goes fastest with")
    _print(f"FACESETS_EMBEDDER_THREADS={fastest.threads}\nFACESETS_EMBEDDER_BATCH={fastest.batch}")
    return 0


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _origin(folder: Path | None) -> str:
    return "of 12 megapixels, made up" if folder is None else "of your own"


def _settings_to_try(settings: EmbedderSettings) -> Iterator[EmbedderSettings]:
    """On a CPU all cores and half of them; on a GPU batches of several sizes."""
    size = pipeline_size(settings)
    on_gpu = size.linger_seconds > 0
    for threads in (size.workers,) if on_gpu else sorted({size.workers, max(1, size.workers // 2)}):
        for batch in (1, 4, 16, 32) if on_gpu else (1, 16):
            yield settings.model_copy(update={"threads": threads, "batch": batch})


async def _pictures_a_second(
    settings: EmbedderSettings, engine: FaceEngine, metrics: EmbedderMetrics, pictures: Sequence[bytes], seconds: float
) -> float:
    """Measure the whole pipeline with as many pictures at once as it accepts; unreadable files are skipped."""
    crashed: list[BaseException] = []
    size = pipeline_size(settings)
    pipeline = Pipeline(
        engine, open_decoding(settings), size, metrics, on_crash=lambda _lane, error: crashed.append(error)
    )
    done, number = 0, 0
    ends = float("inf")

    async def caller() -> None:
        nonlocal done, number
        while time.perf_counter() < ends:
            picture = pictures[number % len(pictures)]
            number += 1
            try:
                await pipeline.answer(picture, FacesRequest())
            except ItemError:
                continue
            done += 1

    try:
        await pipeline.self_check()
        begun = time.perf_counter()
        ends = begun + seconds
        await asyncio.gather(*(caller() for _ in range(size.max_in_flight)))
        took = time.perf_counter() - begun
    finally:
        pipeline.close(wait_seconds=1)
    if not done:
        raise SetupError("none of the files could be read as a picture: name a folder with photos")
    return done / took


def _faces_a_second(settings: EmbedderSettings, engine: FaceEngine, seconds: float) -> float:
    """Measure the recogniser alone, with as many threads and faces per batch as the lanes would use."""
    size = pipeline_size(settings)
    pixels = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    faces = [engine.align(pixels, engine.probe())] * size.batch
    engine.recognise(faces)
    begun = time.perf_counter()

    def owner(_: int) -> int:
        done = 0
        while time.perf_counter() < begun + seconds:
            done += len(engine.recognise(faces))
        return done

    with ThreadPoolExecutor(size.recognisers) as pool:
        total = sum(pool.map(owner, range(size.recognisers)))
    return total / (time.perf_counter() - begun)


def _made(number: int) -> bytes:
    """A generated 12-megapixel JPEG with about the detail of a photo and no face."""
    random = np.random.default_rng(number)
    layers = [
        cv2.resize(random.normal(0, spread, (3000 // step, 4000 // step, 3)), (4000, 3000))
        for step, spread in ((300, 50.0), (30, 20.0), (4, 6.0))
    ]
    pixels = np.clip(128 + np.sum(layers, axis=0), 0, 255).astype(np.uint8)
    done, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not done:
        raise RuntimeError("the made-up picture could not be encoded")
    return encoded.tobytes()
