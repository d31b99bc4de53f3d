"""The composition root: opens all parts, connects them, serves, and closes them in reverse order."""

import asyncio
from pathlib import Path

import structlog

from embedder.decoding.decoding import HAS_PROCESSES, Decoding, DecodingProcesses, DecodingThreads
from embedder.engine import FaceEngine
from embedder.enrichment.lanes import NO_ENRICHMENT, EnrichmentModels
from embedder.http import build_app, connection_limits, stop_accepting
from embedder.images.decoder import Decoder
from embedder.metrics import EmbedderMetrics
from embedder.models.sessions import Provider
from embedder.pipeline import Pipeline, PipelineSize
from embedder.settings import PREFIX, EmbedderSettings
from immich_facesets.errors import SetupError, TransientError
from immich_facesets.runtime.cpu_count import available_cores
from immich_facesets.runtime.http_server import serve_app
from immich_facesets.runtime.listen_address import Announcement, Listen
from immich_facesets.runtime.shutdown import ExitCode, leave_with_parent, stop_event

log = structlog.get_logger(__name__)

STOP_SECONDS = 9.0
"""How long accepted pictures may take to finish after the signal to stop."""

LINGER_SECONDS = 0.002
"""How long a GPU waits for more faces before it begins; a CPU gains nothing from larger batches."""


async def serve(
    settings: EmbedderSettings,
    engine: FaceEngine,
    *,
    metrics: EmbedderMetrics | None = None,
    enrichment: EnrichmentModels = NO_ENRICHMENT,
    announce: Path | None = None,
    with_parent: bool = False,
) -> int:
    """
    Serve until SIGTERM or SIGINT (or, ``with_parent``, until the parent has ended), then finish accepted pictures.

    Returns the exit code. ``metrics`` are the engine's counters, if it has any; ``enrichment`` holds the further
    models. The bound address is announced as one JSON line on stdout, and in the file ``announce``.
    """
    ends = stop_event()
    if with_parent:
        leave_with_parent(ends)
    loop = asyncio.get_running_loop()
    crashed: list[str] = []

    def on_crash(lane: str, error: BaseException) -> None:
        log.critical("lane_died", lane=lane, error=type(error).__name__, exc_info=error)
        crashed.append(lane)
        loop.call_soon_threadsafe(ends.set)

    metrics = metrics or EmbedderMetrics()
    pipeline = Pipeline(
        engine, open_decoding(settings), pipeline_size(settings), metrics, on_crash=on_crash, enrichment=enrichment
    )
    try:
        await _check_models(pipeline)
        app = build_app(settings, pipeline, metrics)
        limits = connection_limits(settings)
        async with serve_app(
            app, settings.listen, limits, setting=f"{PREFIX}LISTEN", stop_seconds=STOP_SECONDS
        ) as address:
            _announce(address, announce)
            log.info("listening", address=str(address), space=pipeline.space, pack=engine.facts.pack)
            await ends.wait()
            stop_accepting(app)
    finally:
        pipeline.close(wait_seconds=0.5)
    log.info("stopped", dead_lanes=crashed)
    return ExitCode.BUG if crashed else ExitCode.STOPPED


def open_decoding(settings: EmbedderSettings) -> Decoding:
    """Return the decoding in as many processes as the lanes have workers, where such processes are possible."""
    if not HAS_PROCESSES:
        return DecodingThreads(Decoder(settings.max_pixels))
    return DecodingProcesses(settings.max_pixels, settings.decode_seconds, pipeline_size(settings).workers)


def pipeline_size(settings: EmbedderSettings) -> PipelineSize:
    """
    Return the lanes' sizes for the device.

    On a GPU one worker per model runs full batches. On a CPU there are as many workers as cores, one thread each:
    threads that share one picture would block each other.
    """
    cores = settings.threads or available_cores()
    on_gpu = settings.engine == "onnx" and settings.provider is not Provider.CPU
    owners = 1 if on_gpu else cores
    return PipelineSize(
        max_in_flight=settings.max_in_flight,
        workers=cores,
        detectors=owners,
        recognisers=owners,
        batch=settings.batch,
        linger_seconds=LINGER_SECONDS if on_gpu else 0.0,
        threads=threads_per_run(settings),
        memory_bytes=settings.max_memory,
    )


def threads_per_run(settings: EmbedderSettings) -> int:
    """ONNX Runtime's threads for one run of a model: one, where the lanes have a worker for each core."""
    return 1 if settings.provider is Provider.CPU else settings.threads


async def _check_models(pipeline: Pipeline) -> None:
    try:
        await pipeline.self_check()
        await pipeline.look_at_nobody()
    except TransientError as error:
        raise SetupError(
            f"the models do not work here ({error}): check FACESETS_EMBEDDER_PROVIDER and the model pack"
        ) from error


def _announce(address: Listen, path: Path | None) -> None:
    announcement = Announcement.of(address)
    if path is not None:
        announcement.write(path)
    print(announcement.line(), flush=True)  # noqa: T201  the one line on stdout, for the parent
