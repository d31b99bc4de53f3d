"""
Run the embedder: read settings, load the models, serve.

Exit codes: 0 stopped, 1 a bug (or a worker thread that ended), 3 the user must change something.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from embedder.app import serve, threads_per_run
from embedder.engine import FaceEngine
from embedder.enrichment.lanes import NO_ENRICHMENT, EnrichmentModels, open_enrichment
from embedder.enrichment.model_discovery import find_enrichment_files, find_further_detectors
from embedder.http import version
from embedder.metrics import EmbedderMetrics
from embedder.models.pack import ModelPack, open_pack
from embedder.models.sessions import Device, check_provider
from embedder.settings import EmbedderSettings, load_settings
from immich_facesets.model_packs import pack_remark
from immich_facesets.runtime.logging import configure_logging
from immich_facesets.runtime.model_folder import EXTRA_FOLDER, list_packs
from immich_facesets.runtime.pack_choice import choose_pack
from immich_facesets.runtime.shutdown import run_reported

log = structlog.get_logger(__name__)


def open_engine(settings: EmbedderSettings, metrics: EmbedderMetrics) -> FaceEngine:
    """Return the engine that the settings name, counting in ``metrics``. Only the imports of that engine are loaded."""
    if settings.engine == "synthetic":
        from embedder.engines.synthetic import SyntheticEngine  # noqa: PLC0415

        return SyntheticEngine()
    from embedder.engines.onnx import OnnxEngine, Tuning  # noqa: PLC0415

    check_provider(settings.provider)
    chosen = choose_pack(settings.models_dir, settings.model_pack)
    pack = open_pack(settings.models_dir, chosen.name, settings.recognisers)
    _log_pack(pack, [one.name for one in list_packs(settings.models_dir) if one.name not in {pack.name, EXTRA_FOLDER}])
    tuning = Tuning(
        provider=settings.provider,
        device=settings.device,
        precision=settings.precision,
        cache_dir=settings.cache_dir,
        threads=threads_per_run(settings),
        detector_side=settings.det_size,
        detector_threshold=settings.det_threshold,
        flip=settings.flip,
    )
    further = find_further_detectors(settings.models_dir, pack.detector)
    return OnnxEngine(pack, tuning, further, on_degenerate=metrics.count_degenerate)


def _open_enrichment(settings: EmbedderSettings) -> EnrichmentModels:
    """Open the further models beside the engine's; there are none for drawn faces."""
    if settings.engine == "synthetic":
        return NO_ENRICHMENT
    files = find_enrichment_files(settings.models_dir, choose_pack(settings.models_dir, settings.model_pack).name)
    threads = threads_per_run(settings)
    device = Device(settings.provider, settings.device, threads, settings.precision, settings.cache_dir)
    log.info("further_models", files=[info.name for info in files.infos()], enrich=list(files.offers))
    return open_enrichment(files, device)


def _log_pack(pack: ModelPack, others: Sequence[str]) -> None:
    log.info(
        "models",
        pack=pack.name,
        licence=pack.licence,
        good_for=pack_remark(pack.name),
        family=pack.family,
        left_alone=pack.left_alone,
        other_packs=others,
        digests="as recorded at install" if pack.recorded else "never recorded",
    )


def run(announce: Path | None, *, with_parent: bool) -> int:
    configure_logging()
    settings = load_settings()
    configure_logging(settings.log_json, settings.log_level)
    metrics = EmbedderMetrics()
    engine = open_engine(settings, metrics)
    enrichment = _open_enrichment(settings)
    return asyncio.run(
        serve(settings, engine, metrics=metrics, enrichment=enrichment, announce=announce, with_parent=with_parent)
    )


def run_bench(folder: Path | None, seconds: float) -> int:
    from embedder.benchmark import run_benchmark  # noqa: PLC0415  a server has no use for it

    configure_logging()
    settings = load_settings()
    configure_logging(settings.log_json, "WARNING")
    return run_benchmark(settings, open_engine, folder, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="immich-facesets-embedder",
        description="Finds and recognises faces; settings come from FACESETS_EMBEDDER_*.",
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("serve", "bench"),
        default="serve",
        help="serve: answer requests (default); bench: measure this machine, and stop",
    )
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="bench: measure with the photos of this folder")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="bench: seconds for each measurement (default: %(default)s)"
    )
    parser.add_argument(
        "--announce", type=Path, metavar="FILE", help="also write the JSON line with the address to this file"
    )
    parser.add_argument(
        "--with-parent", action="store_true", help="stop when standard input closes: when the parent process ended"
    )
    parser.add_argument("--version", action="version", version=version())
    arguments = parser.parse_args()
    if arguments.command == "bench":
        code = run_reported(lambda: run_bench(arguments.pictures, arguments.seconds))
    else:
        code = run_reported(lambda: run(arguments.announce, with_parent=arguments.with_parent))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a decoder or driver that hangs in a thread must not keep the process


if __name__ == "__main__":
    main()
