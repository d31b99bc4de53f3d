"""Prometheus counters of the embedder, in a registry of their own."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class EmbedderMetrics:
    """The embedder's counters. Labels are few and fixed: none identifies a picture, person or caller."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.pictures = Counter(
            "facesets_embedder_pictures", "Pictures answered, by outcome.", ["outcome"], registry=self.registry
        )
        self.faces = Counter("facesets_embedder_faces", "Faces answered.", registry=self.registry)
        self.lost_faces = Counter(
            "facesets_embedder_lost_faces",
            "Faces that could not be recognised and were left out.",
            registry=self.registry,
        )
        self.degenerate = Counter(
            "facesets_embedder_degenerate_outputs",
            "Faces for which a recognition model gave no direction: not a number, no length or no variance.",
            ["model"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "facesets_embedder_picture_seconds",
            "Seconds from permit to answer.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.lane_seconds = Histogram(
            "facesets_embedder_lane_seconds", "Seconds a lane worked on a batch.", ["lane"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.lane_batch = Histogram(
            "facesets_embedder_lane_batch", "Items in a batch.", ["lane"], buckets=_SIZES, registry=self.registry
        )
        self.in_flight = Gauge("facesets_embedder_in_flight", "Requests that hold a permit.", registry=self.registry)
        self.waiting = Gauge("facesets_embedder_waiting", "Items queued in a lane.", ["lane"], registry=self.registry)
        self._engine = Info("facesets_embedder_engine", "What is served.", registry=self.registry)

    def describe(self, *, space: str, family: str, provider: str) -> None:
        self._engine.info({"space": space, "family": family, "provider": provider})

    def count_degenerate(self, model: str, faces: int) -> None:
        self.degenerate.labels(model).inc(faces)

    def watch_queue(self, lane: str, waiting: Callable[[], int]) -> None:
        self.waiting.labels(lane).set_function(waiting)

    def count_batch(self, lane: str, size: int, seconds: float) -> None:
        self.lane_batch.labels(lane).observe(size)
        self.lane_seconds.labels(lane).observe(seconds)

    def page(self) -> tuple[bytes, str]:
        """The exposition and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
