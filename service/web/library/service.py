"""Sources, settings and jobs as the API shows them."""

from typing import Annotated, Literal

import msgspec

from service.progress import StageProgress
from service.web.library.identities import PageQuery, Text
from service.web.schemas import Instant, SourceCounts


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One source with its counts. ``root`` and ``mode`` are those of a folder."""

    counts: SourceCounts
    root: str | None
    mode: str | None


class SourcesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where pictures come from."""

    sources: tuple[Source, ...]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """
    One setting in force. ``value`` is None where it is empty, and of every secret; ``is_set`` tells of both.

    A name and password before the host of an address are not shown.
    """

    name: str
    value: str | None
    is_set: bool
    is_default: bool
    is_secret: bool
    description: str


class SettingsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the service, in the order of the documents."""

    settings: tuple[Setting, ...]


StoredPart = Literal["database", "crops", "staging", "previews", "references", "facesets", "other"]


class StoredSize(msgspec.Struct, frozen=True, kw_only=True):
    """
    One part of what is stored. ``files`` is None for the database.

    ``crops`` are of faces, ``staging`` and ``previews`` pictures that are in work, and ``other`` all else in the data folder.
    """

    part: StoredPart
    files: int | None
    bytes: int


class StorageAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    The sizes of everything that is stored, as they were at ``measured_at``; None while they are measured first.

    Free room is that of the disks of the data folder and of the exports.
    """

    parts: tuple[StoredSize, ...]
    data_free_bytes: int | None
    export_free_bytes: int | None
    measured_at: Instant | None


class FailuresQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which failures are wanted."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200, description="the most entries of a page")] = 200
    reason: Annotated[Text, msgspec.Meta(description="of this reason alone, such as `corrupt`")] = ""


class JobsQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which jobs are wanted."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200, description="the most entries of a page")] = 20


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """
    One sync. ``outcome`` is None while it runs, else one of done, outage, setup, stopped, bug, killed.

    ``stages`` are there while it runs; ``/api/events`` sends each change of them.
    """

    id: int
    kind: str
    sources: tuple[str, ...]
    started_at: Instant
    ended_at: Instant | None
    outcome: str | None
    message: str
    counts: dict[str, int]
    stages: tuple[StageProgress, ...] = ()


class JobsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the jobs, newest first. ``next_sync_at``: when the schedule starts the next sync."""

    jobs: tuple[Job, ...]
    next_sync_at: Instant | None = None
    next: str | None = None
