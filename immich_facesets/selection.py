"""Selection: which facesets an identity gives (itself, and the eras of a long life), and which strays may be its faces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from immich_facesets.curation import build_faceset, unchecked
from immich_facesets.eras import NO_YEAR, EraRules, dominant_year, probe, split
from immich_facesets.facesets import Candidate, EraYears, ExportRules, Faceset, Shelf, name_eras
from immich_facesets.identities import FaceTable
from immich_facesets.quality import quality
from immich_facesets.spaces import OperatingPoints

LEAST_THIN = 5
"""A thin era of fewer faces is no era: a burst, or an odd picture."""

LEAST_CANDIDATE = 0.40
"""The score a stray face needs to be shown as a candidate (PRODUCT 3.5)."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A faceset to be: the faces that may be in it, and their unit vectors (n, d), row by row."""

    identity: int
    era: EraYears | None
    shelf: Shelf
    candidates: tuple[Candidate, ...]
    vectors: NDArray[np.float32] = field(repr=False)


def drafts(
    number: int,
    candidates: Sequence[Candidate],
    vectors: NDArray[np.float32],
    *,
    points: OperatingPoints,
    rules: ExportRules,
) -> tuple[Draft, ...]:
    """
    The identity as a whole, and its eras when its faces can be sorted by age (PRODUCT 3.4).

    ``vectors``: (n, d), unit length, row i belongs to candidate i. Work is O(n^2 d) for identities of 40 dated faces
    or more, nothing for the others.
    """
    whole = Draft(number, None, Shelf.MAIN, tuple(candidates), vectors)
    era_rules = EraRules.scaled(points, replace(rules.gate, face_short=rules.min_face_short))
    years = [_year(candidate.taken) for candidate in candidates]
    if sum(year is not None for year in years) < 2 * era_rules.min_anchor:  # there must be two anchors at least
        return (whole,)
    if not probe(vectors, years, era_rules).is_sortable:
        return (whole,)
    row_of = {candidate.face.face_id: row for row, candidate in enumerate(candidates)}
    eras = [
        era for era in split(_table(candidates, vectors), years, rules=era_rules) if len(era.face_ids) >= LEAST_THIN
    ]
    rows = [[row_of[face_id] for face_id in era.face_ids] for era in eras]
    main_years = (_main_year([years[row] for row in some]) for some in rows)
    names = name_eras((era.from_year, main, era.to_year) for era, main in zip(eras, main_years, strict=True))
    return (
        whole,
        *(
            Draft(
                number,
                name,
                Shelf.THIN if era.is_thin else Shelf.MAIN,
                tuple(candidates[row] for row in some),
                vectors[some],
            )
            for era, name, some in zip(eras, names, rows, strict=True)
        ),
    )


def rescue(
    strays: Sequence[Candidate],
    vectors: NDArray[np.float32],
    centroids: Mapping[int, NDArray[np.float32]],
    *,
    labels: Mapping[int, str],
    within: float,
    rules: ExportRules,
) -> tuple[Faceset, ...]:
    """
    Good faces of nobody, each beside its nearest identity, for a person to look at (PRODUCT 3.5).

    ``centroids``: (d,), unit length, by identity; ``within``: a cosine distance.
    """
    numbers = sorted(centroids)
    rows_of: dict[int, list[int]] = {}
    if strays and numbers:
        distances = 1.0 - vectors @ np.stack([centroids[number] for number in numbers]).T
        nearest = distances.argmin(axis=1)
        for row, candidate in enumerate(strays):
            if distances[row, nearest[row]] <= within and quality(candidate.face).score >= LEAST_CANDIDATE:
                rows_of.setdefault(numbers[nearest[row]], []).append(row)
    built = (
        build_faceset(
            unchecked([strays[row] for row in rows], vectors[rows], centroids[number], rules),
            identity=number,
            label=labels.get(number),
            shelf=Shelf.CANDIDATES,
        )
        for number, rows in sorted(rows_of.items())
    )
    return tuple(faceset for faceset in built if faceset is not None)


def _year(taken: str | None) -> int | None:
    """The year of an ISO date, None when there is none."""
    year = (taken or "")[:4]
    return int(year) if year.isdecimal() else None


def _day(taken: str | None) -> float:
    """The days since 1970 of an ISO date, NaN when there is none."""
    return float(np.datetime64(taken[:10], "D").astype(np.int64)) if taken else np.nan


def _main_year(years: Sequence[int | None]) -> int | None:
    return dominant_year(np.array([NO_YEAR if year is None else year for year in years], dtype=np.int64))


def _table(candidates: Sequence[Candidate], vectors: NDArray[np.float32]) -> FaceTable:
    """The candidates as columns."""
    codes: dict[str, int] = {}
    faces = [candidate.face for candidate in candidates]
    return FaceTable(
        face_ids=np.array([face.face_id for face in faces], dtype=np.int64),
        vectors=vectors,
        pictures=np.array([codes.setdefault(face.sha256, len(codes)) for face in faces], dtype=np.int64),
        face_short=np.array([face.face_short for face in faces], dtype=np.float32),
        blur=np.array([face.measures.blur for face in faces], dtype=np.float32),
        det_score=np.array([face.det_score for face in faces], dtype=np.float32),
        taken=np.array([_day(candidate.taken) for candidate in candidates], dtype=np.float64),
        yaw=np.array([face.measures.yaw for face in faces], dtype=np.float32),
        quality=np.array([face.measures.quality for face in faces], dtype=np.float32),
    )
