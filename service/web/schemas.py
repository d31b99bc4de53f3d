"""The values of the status page and the API: the composition root fills them, this package only shows them."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from immich_facesets.calibration.thresholds import PointsInUse
from service.progress import JobKind, Progress

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""An aware datetime; ISO 8601 on the wire."""

"""The result of a sync request: a sync was started, or one is already running and the request has no effect."""


class SourceCounts(msgspec.Struct, frozen=True, kw_only=True):
    """
    The counts of one source. ``wanted`` assets have a face worth fetching; ``embedded`` of them are done.

    ``unavailable`` ones are shown as they last were: offline now, or changed and not fetched yet. ``videos`` are left alone,
    and so is the moving part of ``motion_photos``, whose still pictures are assets.
    """

    name: str
    kind: str
    assets: int = 0
    wanted: int = 0
    embedded: int = 0
    unavailable: int = 0
    videos: int = 0
    motion_photos: int = 0
    full_listing_at: Instant | None = None


class LibraryCounts(msgspec.Struct, frozen=True, kw_only=True):
    """
    The counts over all sources.

    ``contents`` and ``embedded`` count different pictures (byte-identical assets once), ``facesets`` those on disk.
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
    """
    One item that failed and will be tried again.

    ``name`` is what a user knows it by: the file's name in Immich, or the path below a folder. ``path`` is the source's
    own path. ``item`` is the internal key. ``reason`` is the stable code, ``message`` its explanation.
    """

    stage: str
    source: str
    name: str
    item: str
    reason: str
    message: str
    tries: int
    retry_at: Instant
    path: str | None = None


class ReasonCount(msgspec.Struct, frozen=True, kw_only=True):
    """The number of items that fail for one reason."""

    reason: str
    count: int


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The model in use, its licence, the execution provider it runs on, and what it is good for, where that is known."""

    space: str
    pack: str
    family: str
    licence: str
    provider: str
    remark: str = ""


class Reembedding(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of filling another space: ``done`` of ``total`` pictures. Shown results change once all are done."""

    space: str
    done: int
    total: int


class StatusFacts(msgspec.Struct, frozen=True, kw_only=True):
    """
    The current facts from the store and the disk.

    ``runs`` and ``failures`` are the latest, newest first; ``failures_by_reason`` counts every failure, most frequent
    first. ``guardrails`` are warnings: what looks wrong, and what to change, or what only a user can answer.
    ``nearly_there`` are sentences about people who were nearly found, ``left_alone`` those about
    videos. ``thresholds`` is None before the first grouping.
    """

    library: LibraryCounts = LibraryCounts()
    runs: tuple[Run, ...] = ()
    failures: tuple[Failure, ...] = ()
    failures_by_reason: tuple[ReasonCount, ...] = ()
    guardrails: tuple[str, ...] = ()
    nearly_there: tuple[str, ...] = ()
    left_alone: tuple[str, ...] = ()
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
    """A reason why the service is not ready, and what a user can do about it."""

    message: str
    advice: str = ""


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """The readiness of the service: ready when there are no objections."""

    objections: tuple[Objection, ...] = ()


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The response of ``/healthz``."""

    status: Literal["alive"] = "alive"


class ReadinessAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The response of ``/readyz``; only callers with the token see the objections."""

    status: Literal["ready", "not ready"]
    objections: tuple[Objection, ...] = ()


class StatusAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The response of ``/api/status``: the complete content of the status page."""

    version: str
    ready: bool
    objections: tuple[Objection, ...]
    progress: Progress
    facts: StatusFacts


class FailuresAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of failures, latest first. ``total`` counts those that were asked for, ``by_reason`` all."""

    total: int
    by_reason: tuple[ReasonCount, ...]
    failures: tuple[Failure, ...]
    next: str | None = None


class JobQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A request for a sync of one source, or of all when ``source`` is None, or for an export.

    ``incremental`` lists what changed. ``faces`` also reads the faces of all pictures again. ``full`` lists the whole
    library, which finds deleted pictures, and reads all faces too. ``export`` brings the face sets up to date with the
    decisions, without any listing; it has no source. ``people``: the numbers of those whose face sets alone are written;
    none for everybody. Forms of whole libraries then stay as they are.
    """

    kind: JobKind = "incremental"
    source: str | None = None
    people: Annotated[tuple[Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)], ...], msgspec.Meta(max_length=100)] = ()


class JobAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A job that was started. ``id``: its number, as in ``/api/jobs/{job}``.

    It is null where the job has not begun within some seconds, because the service waits for a source or the database.
    """

    result: Literal["accepted"] = "accepted"
    id: int | None = None


class CancelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A job that ends soon: between two items, or a few seconds later. Nothing that is done is lost."""

    cancelling: int
