"""
Throughput of the whole service: pictures fetched, embedded and recorded, against the bare ONNX Runtime calls.

The benchmark takes the labelled photos and the models of bench_s. A fake Immich runs in a process of its own, and the
embedder is a child process, as users run it. Run: python tests/bench/bench_end_to_end.py. The seconds are those of the
embed stage. ``ratio`` compares wall-clock seconds and needs an idle machine.
"""

import asyncio
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support"), str(ROOT / "tests")]

import msgspec  # noqa: E402
from bench import bench_embedder  # noqa: E402 - the repository must be found first
from real_library import ENVIRONMENT, labelled_photos  # noqa: E402

from service.app import open_app  # noqa: E402
from service.settings import load_settings  # noqa: E402
from service.users import load_users  # noqa: E402

STAGES = ("discover", "embed", "group", "publish")


def write_library(folder: Path, data: Path) -> int:
    """Describe the photos for a fake Immich in another process; returns how many there are."""
    photos = labelled_photos(data)
    taken = datetime(2010, 1, 1, tzinfo=UTC).isoformat()
    library = {
        "users": [{"name": "anna", "api_key": "bench-key-of-anna"}],
        "assets": [
            {
                "owner": "anna",
                "file": str(photo.path),
                "file_name": photo.path.name,
                "width": photo.size[0],
                "height": photo.size[1],
                "taken_at": taken,
                "created_at": taken,
                "faces": [
                    {
                        "box": [round(edge) for edge in (box.x1, box.y1, box.x2, box.y2)],
                        "image_width": photo.size[0],
                        "image_height": photo.size[1],
                    }
                    for box in photo.boxes
                ],
            }
            for photo in photos
        ],
    }
    (folder / "library.json").write_bytes(msgspec.json.encode(library))
    return len(photos)


async def sync() -> dict[str, float]:
    """One whole sync in this process; returns the seconds of its stages."""
    settings = load_settings()
    async with open_app(settings, load_users(settings), asyncio.Event()) as app:
        await app.pool.open()
        result = await app.runner.run("full")
        if result.outcome != "done":
            raise SystemExit(f"the sync ended with {result.outcome}: {result.message}")
        registry = app.metrics.registry
        seconds = {
            stage: registry.get_sample_value("facesets_stage_seconds_sum", {"stage": stage}) or 0.0 for stage in STAGES
        }
        return {**seconds, "pictures": result.counts["embed_embedded"]}


async def main() -> None:
    data = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared")
    if not (data / "data" / "labels.csv").is_file():
        print("end to end: skipped, there is no shared test data (FACESETS_TEST_DATA)")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "library").mkdir()
        write_library(folder / "library", data)
        immich = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "service.demo.immich", "--library", str(folder / "library"),
            stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        try:
            assert immich.stdout is not None
            url = msgspec.json.decode(await immich.stdout.readline())["url"]
            os.environ.update(
                {
                    **ENVIRONMENT,
                    "IMMICH_URL": url,
                    "IMMICH_API_KEY": "bench-key-of-anna",
                    "FACESETS_DATA_DIR": str(folder / "data"),
                    "FACESETS_MODELS_DIR": str(data / "data" / "models"),
                    "PYTHONPATH": str(ROOT),
                }
            )
            took = await sync()
        finally:
            immich.terminate()
            await immich.wait()
    pictures = [photo.path.read_bytes() for photo in labelled_photos(data)]
    bare = bench_embedder.bare(data / "data" / "models", "bench_s", pictures, 0, spinning=False)
    rate, bare_rate = took["pictures"] / took["embed"], len(pictures) / bare.clock
    print(
        f"end to end: {took['pictures']:.0f} pictures, {rate:.1f}/s through the service, {bare_rate:.1f}/s in bare ONNX "
        f"Runtime calls, ratio {rate / bare_rate:.2f} (aim 0.7); seconds of the stages: "
        + ", ".join(f"{stage} {took[stage]:.1f}" for stage in STAGES)
    )


if __name__ == "__main__":
    asyncio.run(main())
