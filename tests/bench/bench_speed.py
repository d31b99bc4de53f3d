"""
Pictures per second of the embedder over HTTP against a loop of cv2.imdecode and FaceAnalysis.get.

    python tests/bench/bench_speed.py [--small N] [--large N] [--rounds N] [--in-flight N]

Both have the same models, the same photos and the same cores, in processes of their own and in turns. The loop loads
every model of bench_s, as FaceAnalysis does. Large photos are the small ones enlarged to 12 megapixels. ``clock``
compares wall-clock seconds, ``cpu`` processor seconds. On a busy machine only the latter is meaningful.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx
import msgspec
import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from measured_embedder import measured_embedder, processor_seconds  # noqa: E402  the repository must be found first

from immich_facesets import face_requests, wire  # noqa: E402  the repository must be found first

LARGE_PIXELS = 12_000_000
Boxes = list[list[float]]


@dataclass(frozen=True)
class Photo:
    """A JPEG and the face boxes of the reference."""

    data: bytes
    boxes: Boxes


@dataclass(frozen=True)
class Took:
    """Seconds by the clock and of the processor, and the faces found meanwhile."""

    clock: float
    processor: float
    faces: int


def photos(data: Path, count: int, *, large: bool) -> list[Photo]:
    """JPEGs with faces, spread over the set; ``large`` ones enlarged as a camera would have taken them."""
    reference = np.load(data / "reference_bench_s.npz")
    paths = [path for path in sorted(set(reference["path"].tolist())) if path.endswith(".jpg")]
    chosen = [path for path in paths if "orient" not in path][:: max(1, len(paths) // count)][:count]
    found = []
    for path in chosen:
        jpeg, boxes = (data / path).read_bytes(), reference["bbox"][reference["path"] == path]
        if large:
            pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert pixels is not None
            factor = (LARGE_PIXELS / pixels.shape[0] / pixels.shape[1]) ** 0.5
            pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
            jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
            boxes = boxes * factor
        found.append(Photo(jpeg, boxes.round(1).tolist()))
    return found


def usual_way(models: Path) -> None:
    """Run the loop in a process of its own: photos on standard input, seconds on standard output."""
    from insightface.app import FaceAnalysis  # noqa: PLC0415  only this process has it

    sys.stdout, answers = sys.stderr, sys.stdout.buffer
    app = FaceAnalysis(name="bench_s", root=str(models.parent), providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=-1, det_size=(640, 640))
    app.get(np.zeros((640, 640, 3), np.uint8))
    questions = msgspec.msgpack.Decoder(list[bytes])
    while head := sys.stdin.buffer.read(8):
        jpegs = questions.decode(sys.stdin.buffer.read(int.from_bytes(head)))
        begun, spent, faces = time.perf_counter(), time.process_time(), 0
        for jpeg in jpegs:
            pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            faces += len(app.get(pixels))
        took = (time.perf_counter() - begun, time.process_time() - spent, faces)
        answers.write(msgspec.json.encode(took) + b"\n")
        answers.flush()


def ask_usual_way(process: "subprocess.Popen[bytes]", chosen: Sequence[Photo]) -> Took:
    assert process.stdin is not None
    assert process.stdout is not None
    body = msgspec.msgpack.encode([photo.data for photo in chosen])
    process.stdin.write(len(body).to_bytes(8) + body)
    process.stdin.flush()
    return Took(*msgspec.json.decode(process.stdout.readline(), type=tuple[float, float, int]))


async def ask_embedder(url: str, process: psutil.Process, chosen: Sequence[Photo], mode: str, in_flight: int) -> Took:
    left = list(reversed(chosen))
    faces = 0

    async def call(client: httpx.AsyncClient) -> None:
        nonlocal faces
        while left:
            photo = left.pop()
            headers = (
                {face_requests.BOXES_HEADER: msgspec.json.encode(photo.boxes).decode()} if mode == "guided" else {}
            )
            answer = await client.post("/v1/faces", params={"mode": mode}, headers=headers, content=photo.data)
            answer.raise_for_status()
            faces += len(wire.decode_faces(answer.content).faces)

    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        begun, spent = time.perf_counter(), processor_seconds(process)
        await asyncio.gather(*(call(client) for _ in range(in_flight)))
        return Took(time.perf_counter() - begun, processor_seconds(process) - spent, faces)


@contextmanager
def loop(models: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, __file__, "--usual-way", str(models)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()


def compare(name: str, chosen: Sequence[Photo], models: Path, rounds: int, in_flight: int) -> None:
    """One block of the table: the loop, full and guided, in turns."""
    took: dict[str, list[Took]] = {"loop": [], "full": [], "guided": []}
    with loop(models) as usual, measured_embedder(models) as (url, process):
        for number in range(rounds + 1):
            measured = {"loop": ask_usual_way(usual, chosen)}
            for mode in ("full", "guided"):
                measured[mode] = asyncio.run(ask_embedder(url, process, chosen, mode, in_flight))
            for side, one in measured.items():
                took[side] += [one] * (number > 0)  # the first round is a warm-up
    for side, rows in took.items():
        clock = statistics.median(theirs.clock / ours.clock for theirs, ours in zip(took["loop"], rows, strict=True))
        cpu = statistics.median(
            theirs.processor / ours.processor for theirs, ours in zip(took["loop"], rows, strict=True)
        )
        rate = statistics.median(len(chosen) / row.clock for row in rows)
        print(f"{name:>18} {side:>7} {rate:7.1f} {rows[0].faces:6} {clock:7.2f} {cpu:7.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=60)
    parser.add_argument("--large", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--usual-way", type=Path)
    asked = parser.parse_args()
    if asked.usual_way:
        usual_way(asked.usual_way)
        return
    data = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared") / "data"
    print(f"{'photos':>18} {'way':>7} {'photo/s':>7} {'faces':>6} {'clock':>7} {'cpu':>7}   (times the loop)")
    for name, count, large in (("small", asked.small, False), ("12 megapixels", asked.large, True)):
        if count:
            compare(name, photos(data, count, large=large), data / "models", asked.rounds, asked.in_flight)


if __name__ == "__main__":
    main()
