"""The calls that answer questions about the library."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from service.web.library.decisions import DecisionsPage, DecisionsQuery
from service.web.library.faces import FaceAnswer, FacesAnswer, SearchAnswer, SearchQuery
from service.web.library.facesets import (
    ExportedAnswer,
    ExportedQuery,
    FacesetAnswer,
    FacesetsAnswer,
    FacesetsQuery,
    FacesetSummary,
    LedgerAnswer,
    LedgerQuery,
    LeftOutAnswer,
    LeftOutQuery,
    PlannedSet,
    PlannedSetQuery,
)
from service.web.library.identities import (
    Crop,
    ErasAnswer,
    FacesQuery,
    FiguresAnswer,
    HistoryAnswer,
    IdentitiesAnswer,
    IdentitiesQuery,
    IdentityAnswer,
    MadeDecision,
    NearestAnswer,
    NearestQuery,
    PageQuery,
    TogetherAnswer,
)
from service.web.library.proposals import PartsAnswer, SimilarAnswer, SimilarQuery
from service.web.library.references import ReferencesAnswer
from service.web.library.review import ReviewPage, ReviewQuery
from service.web.library.service import (
    FailuresQuery,
    Job,
    JobsAnswer,
    JobsQuery,
    SettingsAnswer,
    SourcesAnswer,
    StorageAnswer,
)
from service.web.schemas import FailuresAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryReads:
    """
    The calls behind the reading routes.

    ``labels(numbers)`` returns the names of those of these identities that have one, and ``covers(numbers)`` the covers.
    ``survivor(number)`` returns the number that leads to an identity now: itself, that of a merge, or None for one that
    never was. The calls with a number expect such a survivor. ``faceset_archive`` returns the parts of a zip archive, each
    of which blocks. ``facesets_of`` returns the directories of one identity, and ``planned_set`` its face set as it would be
    written now.
    ``has_picture(sha256)`` is whether a picture with a face may be shown whole; the administrator may see all of them.
    ``identities_file`` returns the bytes of ``identities.json``, with those who are never exported.
    """

    identities: Callable[[IdentitiesQuery], Awaitable[IdentitiesAnswer]]
    labels: Callable[[Collection[int]], Awaitable[Mapping[int, str]]]
    covers: Callable[[Collection[int]], Awaitable[Mapping[int, Crop]]]
    survivor: Callable[[int], Awaitable[int | None]]
    identity: Callable[[int], Awaitable[IdentityAnswer | None]]
    faces: Callable[[int, FacesQuery], Awaitable[FacesAnswer]]
    eras: Callable[[int], Awaitable[ErasAnswer]]
    nearest: Callable[[int, NearestQuery], Awaitable[NearestAnswer]]
    identities_file: Callable[[], Awaitable[bytes]]
    figures: Callable[[int], Awaitable[FiguresAnswer]]
    together: Callable[[int, PageQuery], Awaitable[TogetherAnswer]]
    similar: Callable[[int, SimilarQuery], Awaitable[SimilarAnswer]]
    parts: Callable[[int], Awaitable[PartsAnswer]]
    references: Callable[[int], Awaitable[ReferencesAnswer]]
    reference_picture: Callable[[str], Awaitable[bytes | None]]
    reference_original: Callable[[int], Awaitable[bytes | None]]
    history: Callable[[int, PageQuery], Awaitable[HistoryAnswer]]
    decisions: Callable[[DecisionsQuery], Awaitable[DecisionsPage]]
    decision: Callable[[int], Awaitable[MadeDecision | None]]
    review: Callable[[ReviewQuery], Awaitable[ReviewPage]]
    face: Callable[[int], Awaitable[FaceAnswer | None]]
    search: Callable[[SearchQuery], Awaitable[SearchAnswer]]
    crop: Callable[[str], Awaitable[bytes | None]]
    thumbnail: Callable[[str, int], Awaitable[bytes | None]]
    has_picture: Callable[[str], Awaitable[bool]]
    facesets: Callable[[FacesetsQuery], Awaitable[FacesetsAnswer]]
    faceset: Callable[[str], Awaitable[FacesetAnswer | None]]
    faceset_file: Callable[[str, str], Awaitable[Path | None]]
    faceset_archive: Callable[[str], Awaitable[Iterator[bytes] | None]]
    left_out: Callable[[str, LeftOutQuery], Awaitable[LeftOutAnswer | None]]
    exported: Callable[[ExportedQuery], Awaitable[ExportedAnswer]]
    facesets_of: Callable[[int], Awaitable[tuple[FacesetSummary, ...]]]
    planned_set: Callable[[int, PlannedSetQuery], Awaitable[PlannedSet]]
    ledger: Callable[[LedgerQuery], Awaitable[LedgerAnswer]]
    sources: Callable[[], Awaitable[SourcesAnswer]]
    source_names: Callable[[], Awaitable[tuple[str, ...]]]
    settings: Callable[[], Awaitable[SettingsAnswer]]
    storage: Callable[[], Awaitable[StorageAnswer]]
    failures: Callable[[FailuresQuery], Awaitable[FailuresAnswer]]
    jobs: Callable[[JobsQuery], Awaitable[JobsAnswer]]
    job: Callable[[int], Awaitable[Job | None]]
