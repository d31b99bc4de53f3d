"""What the status page and the API tell: values that the composition root fills and the web part only shows."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from immich_facesets.calibration.thresholds import PointsInUse
from service.progress import Progress

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""An aware moment; ISO 8601 on the wire."""

SyncRequest = Literal["accepted", "already_running"]
"""What becomes of a wish for a sync: a sync was started, or one is running and this wish adds nothing."""

SyncKind = Literal["incremental", "full"]


class SourceCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one source. ``wanted`` assets have a face worth fetching; ``embedded`` of them are done."""

    name: str
    kind: str
    assets: int = 0
    wanted: int = 0
    embedded: int = 0
    full_listing_at: Instant | None = None


class LibraryCounts(msgspec.Struct, frozen=True, kw_only=True):
    """
    How much there is over all sources.

    ``contents`` and ``embedded`` count different pictures (byte-identical assets once), ``facesets`` what is on disk.
    """

    assets: int = 0
    wanted: int = 0
    contents: int = 0
    embedded: int = 0
    faces: int = 0
    identities: int = 0
    facesets: int = 0
    sources: tuple[SourceCounts, ...] = ()


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One sync. ``outcome`` is None while it runs, else one of done, outage, setup, stopped, bug, killed."""

    id: int
    kind: str
    started_at: Instant
    ended_at: Instant | None = None
    outcome: str | None = None
    message: str = ""
    sources: tuple[str, ...] = ()
    counts: dict[str, int] = {}


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One item that failed and will be tried again. ``reason`` is the stable code, ``message`` the sentence."""

    stage: str
    source: str
    item: str
    reason: str
    message: str
    tries: int
    retry_at: Instant


class ReasonCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many items fail for one reason."""

    reason: str
    count: int


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The model in force, its licence, and where it runs (``provider``)."""

    space: str
    pack: str
    family: str
    licence: str
    provider: str


class Reembedding(msgspec.Struct, frozen=True, kw_only=True):
    """Another space is being filled: ``done`` of ``total`` pictures. What is shown stays as it is until all are done."""

    space: str
    done: int
    total: int


class StatusFacts(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the store and the disk say now.

    ``runs`` and ``failures`` are the latest, newest first; ``failures_by_reason`` counts every failure, most frequent
    first. ``guardrails`` are sentences that say what looks wrong and what to change.
    ``thresholds`` is None before the first grouping.
    """

    library: LibraryCounts = LibraryCounts()
    runs: tuple[Run, ...] = ()
    failures: tuple[Failure, ...] = ()
    failures_by_reason: tuple[ReasonCount, ...] = ()
    guardrails: tuple[str, ...] = ()
    reembedding: Reembedding | None = None
    model: ModelFacts | None = None
    thresholds: PointsInUse | None = None
    database: str = ""
    export_dir: str = ""
    disk_free_bytes: int | None = None

    @property
    def failure_count(self) -> int:
        return sum(entry.count for entry in self.failures_by_reason)


class Objection(msgspec.Struct, frozen=True, kw_only=True):
    """Why the service is not ready, and what a person can do about it."""

    message: str
    advice: str = ""


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Ready when nothing objects."""

    objections: tuple[Objection, ...] = ()


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of ``/healthz``."""

    status: Literal["alive"] = "alive"


class ReadinessAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer of ``/readyz``; only callers with the token see the objections."""

    status: Literal["ready", "not ready"]
    objections: tuple[Objection, ...] = ()


class StatusAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of ``/api/status``: everything the status page shows."""

    version: str
    ready: bool
    objections: tuple[Objection, ...]
    progress: Progress
    facts: StatusFacts


class RunsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The latest runs, newest first."""

    runs: tuple[Run, ...]


class FailuresAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The latest failures, newest first; ``total`` counts all of them."""

    total: int
    by_reason: tuple[ReasonCount, ...]
    failures: tuple[Failure, ...]


class SyncQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The wish for a sync: of one source, or of all."""

    kind: SyncKind = "incremental"
    source: str | None = None


class SyncAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the wish."""

    result: SyncRequest
