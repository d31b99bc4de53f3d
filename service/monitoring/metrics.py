"""Prometheus metrics: one object with its own registry, passed to all code that counts."""

from collections.abc import Iterable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.progress import ProgressBoard

STAGE_BUCKETS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600)
REQUEST_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

CIRCUITS = ("closed", "probing", "open")


class BoardCollector(Collector):
    """Collector of the board's state, read at each scrape: circuits, the running sync, its stages."""

    def __init__(self, board: ProgressBoard) -> None:
        self._board = board

    def describe(self) -> Iterable[Metric]:
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        progress = self._board.now
        circuit = GaugeMetricFamily(
            "facesets_circuit_state", "1 for the state a remote's circuit is in", labels=("remote", "state")
        )
        for remote in progress.remotes:
            for state in CIRCUITS:
                circuit.add_metric((remote.name, state), float(remote.circuit == state))
        yield circuit
        yield GaugeMetricFamily(
            "facesets_sync_running", "1 while a sync runs", value=float(progress.run_id is not None)
        )
        done = GaugeMetricFamily(
            "facesets_stage_items_done", "Items done in the current or last sync", labels=("stage",)
        )
        failed = GaugeMetricFamily(
            "facesets_stage_items_failed", "Items failed in the current or last sync", labels=("stage",)
        )
        for stage in progress.stages:
            done.add_metric((stage.stage,), stage.done)
            failed.add_metric((stage.stage,), stage.failed)
        yield done
        yield failed


class Metrics:
    """
    All metrics of the service; their names begin with ``facesets_``.

    Labels have few values: remotes and sources are configured, routes are templates (never with ids in them), and
    reasons are the stable codes of ``ItemError``.
    """

    def __init__(self, board: ProgressBoard, *, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        registry.register(BoardCollector(board))
        Info("facesets_build", "The version that runs", registry=registry).info({"version": version})

        self.sync_runs = Counter("facesets_sync_runs", "Syncs that ended", ("kind", "outcome"), registry=registry)
        self.last_sync = Gauge(
            "facesets_last_sync_timestamp_seconds", "When the last sync ended this way", ("outcome",), registry=registry
        )
        self.stage_seconds = Histogram(
            "facesets_stage_seconds", "How long stages take", ("stage",), buckets=STAGE_BUCKETS, registry=registry
        )
        self.requests = Counter(
            "facesets_requests",
            "Requests to remotes; status is the HTTP status or the kind of failure",
            ("remote", "route", "status"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "facesets_request_seconds",
            "How long remotes take to answer",
            ("remote", "route"),
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.downloads = Counter("facesets_downloads", "Pictures fetched", ("source",), registry=registry)
        self.download_bytes = Counter(
            "facesets_download_bytes", "Bytes of pictures fetched", ("source",), registry=registry
        )
        self.embedded_contents = Counter("facesets_embedded_contents", "Pictures embedded", registry=registry)
        self.faces = Counter("facesets_faces", "Faces recorded", registry=registry)
        self.failures = Counter("facesets_failures", "Items that failed", ("stage", "reason"), registry=registry)
        self.loop_lag = Histogram(
            "facesets_loop_lag_seconds", "How late the event loop wakes up", buckets=LAG_BUCKETS, registry=registry
        )
        self.loop_lag_longest = Gauge(
            "facesets_loop_lag_longest_seconds", "The longest lag since the start", registry=registry
        )
        self._longest_lag = 0.0

    def count_run(self, *, kind: str, outcome: str, ended_at: float) -> None:
        """Count a finished job; ``ended_at`` in seconds since the epoch. An export is no sync."""
        self.sync_runs.labels(kind, outcome).inc()
        if kind != "export":
            self.last_sync.labels(outcome).set(ended_at)

    def count_request(self, *, remote: str, route: str, status: str, seconds: float) -> None:
        self.requests.labels(remote, route, status).inc()
        self.request_seconds.labels(remote, route).observe(seconds)

    def count_download(self, *, source: str, size_bytes: int) -> None:
        self.downloads.labels(source).inc()
        self.download_bytes.labels(source).inc(size_bytes)

    def count_embedded(self, *, faces: int) -> None:
        """Count one embedded content and its recorded faces."""
        self.embedded_contents.inc()
        self.faces.inc(faces)

    def count_failure(self, *, stage: str, reason: str) -> None:
        self.failures.labels(stage, reason).inc()

    def observe_lag(self, seconds: float) -> None:
        """Record a lag in seconds; the callback for ``EventLoopWatch``."""
        self.loop_lag.observe(seconds)
        if seconds > self._longest_lag:
            self._longest_lag = seconds
            self.loop_lag_longest.set(seconds)
