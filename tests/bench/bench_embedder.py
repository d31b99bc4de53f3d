"""
Overhead of the embedder: pictures per second over HTTP against the bare ONNX Runtime calls.

    python tests/bench/bench_embedder.py [--pictures N] [--threads N] [--in-flight N] [--rounds N]

The bare figure runs the same models on the same tensors, one after the other. These are one detection and one batch of
faces for each picture, without decoding, alignment or HTTP. A ratio of 1.0 would mean that all the rest is free. It is
measured twice: with the small models of the shared data, and with random models of buffalo_l's size. ``ratio`` compares
wall-clock seconds against ONNX Runtime with its defaults, whose threads spin while they wait. It is meaningful on an
idle machine only. ``cpu_ratio`` compares processor seconds against threads that do not spin. It is meaningful on a busy
machine, too.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from large_models import write_pack  # noqa: E402  the repository must be found first
from measured_embedder import Took, measured_embedder, served  # noqa: E402  the repository must be found first

from embedder.engines import scrfd  # noqa: E402  the repository must be found first
from embedder.engines.onnx import OnnxEngine, Tuning  # noqa: E402  the repository must be found first
from embedder.images.decoder import Decoder  # noqa: E402  the repository must be found first
from embedder.models.pack import open_pack  # noqa: E402  the repository must be found first


def photos(data: Path, count: int) -> list[bytes]:
    paths = sorted(set(np.load(data / "reference_bench_s.npz")["path"].tolist()))
    chosen = [paths[number % len(paths)] for number in range(0, count * 7, 7)]
    return [(data / path).read_bytes() for path in chosen]


def bare(models: Path, name: str, pictures: list[bytes], threads: int, *, spinning: bool) -> Took:
    """Measure only the runs of the models."""
    pack = open_pack(models, name)
    engine = OnnxEngine(pack, Tuning(threads=threads))
    decoder = Decoder(150_000_000)
    work: list[tuple[np.ndarray, np.ndarray | None]] = []
    for data in pictures:
        picture = decoder.decode(data)
        view = engine.view(picture.pixels)
        crops = [engine.align(picture.pixels, face).crop for face in engine.detect([view])[0]]
        batch = ((np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 127.5) if crops else None
        work.append((scrfd.tensor(view.pixels), batch))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    detector, recogniser = (
        onnxruntime.InferenceSession(file.path, options, providers=["CPUExecutionProvider"])
        for file in (pack.detector, pack.recognisers[0].file)
    )
    names = detector.get_inputs()[0].name, recogniser.get_inputs()[0].name
    detector.run(None, {names[0]: work[0][0]})
    begun, spent = time.perf_counter(), time.process_time()
    for tensor, batch in work:
        detector.run(None, {names[0]: tensor})
        if batch is not None:
            recogniser.run(None, {names[1]: batch})
    faces = sum(0 if batch is None else len(batch) for _, batch in work)
    return Took(time.perf_counter() - begun, time.process_time() - spent, faces)


def compare(name: str, models: Path, pack: str, pictures: list[bytes], asked: argparse.Namespace) -> None:
    """Measure one row: the same pictures over HTTP and as bare runs, in turns."""
    ratios, cpu_ratios, rates = [], [], []
    with measured_embedder(models, pack, threads=asked.threads) as (url, process):
        for _ in range(asked.rounds):
            ours = asyncio.run(served(url, process, pictures, asked.in_flight))
            plain = bare(models, pack, pictures, asked.threads, spinning=True)
            patient = bare(models, pack, pictures, asked.threads, spinning=False)
            if ours.faces != plain.faces:
                raise SystemExit(f"{ours.faces} faces served, {plain.faces} by the bare calls: not the same work")
            ratios.append(plain.clock / ours.clock)
            cpu_ratios.append(patient.processor / ours.processor)
            rates.append(len(pictures) / ours.clock)
    print(
        f"{name:>18} {statistics.median(rates):9.1f} {ours.faces:6} {statistics.median(ratios):6.2f} "
        f"{statistics.median(cpu_ratios):9.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--large", type=int, default=16)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    data = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared") / "data"
    print(f"{'models':>18} {'picture/s':>9} {'faces':>6} {'ratio':>6} {'cpu_ratio':>9}   (bare calls to ours)")
    if asked.pictures:
        compare("bench_s", data / "models", "bench_s", photos(data, asked.pictures), asked)
    if asked.large:
        with tempfile.TemporaryDirectory() as folder:
            write_pack(Path(folder))
            compare("buffalo_l-shaped", Path(folder), "buffalo_l", photos(data, asked.large), asked)


if __name__ == "__main__":
    main()
