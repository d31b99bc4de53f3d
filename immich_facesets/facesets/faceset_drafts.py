"""Drafts of face sets: those of an identity (itself, and its eras), and unassigned faces that may belong to it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.blocked_products import row_blocks
from immich_facesets.dates import day_of, read_date
from immich_facesets.eras import EraRules, KeptEra
from immich_facesets.facesets.curation import build_faceset, unchecked
from immich_facesets.facesets.faceset import Candidate, EraYears, ExportRules, Faceset, FacesetFolder
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.quality.score import quality

LEAST_CANDIDATE = 0.40
"""The least score of an unassigned face that is shown as a candidate (docs/exports.md)."""


@dataclass(frozen=True, slots=True)
class FacesetDraft:
    """
    A faceset before curation: its possible faces, and their unit vectors (n, d), row by row.

    Its folder follows from the faces that are left: an era is thin when these are few.
    """

    identity: int
    era: EraYears | None
    candidates: tuple[Candidate, ...]
    vectors: NDArray[np.float32] = field(repr=False)


def drafts(
    number: int,
    candidates: Sequence[Candidate],
    vectors: NDArray[np.float32],
    eras: Sequence[KeptEra],
) -> tuple[FacesetDraft, ...]:
    """
    Return drafts of the identity as a whole, and of its eras, earliest first.

    ``vectors``: (n, d), unit length, row i belongs to candidate i. The years of an era are those of its current faces.
    A candidate placed in it by similarity carries the confidence.
    """
    row_of = {candidate.face.face_id: row for row, candidate in enumerate(candidates)}
    parts = [_era_draft(number, era, candidates, vectors, row_of) for era in eras]
    found = sorted((part for part in parts if part.candidates), key=_first_year)
    return (FacesetDraft(number, None, tuple(candidates), vectors), *found)


def _era_draft(
    number: int,
    era: KeptEra,
    candidates: Sequence[Candidate],
    vectors: NDArray[np.float32],
    row_of: Mapping[int, int],
) -> FacesetDraft:
    rows = sorted(row_of[face] for face in era.face_ids if face in row_of)
    members = [candidates[row] for row in rows]
    years = sorted(day.year for member in members if (day := read_date(member.taken)) is not None)
    first, last = (years[0], years[-1]) if years else (era.from_year, era.to_year)
    return FacesetDraft(
        number,
        EraYears(era.name, first, last),
        tuple(replace(member, era_confidence=era.joined.get(member.face.face_id)) for member in members),
        vectors[rows],
    )


def folder_of(draft: FacesetDraft, faces: int, rules: EraRules) -> FacesetFolder:
    """Return the folder of a face set of so many exported faces: near-duplicates and poor crops make no era."""
    is_thin = draft.era is not None and faces < rules.min_anchor
    return FacesetFolder.THIN if is_thin else FacesetFolder.MAIN


def rescue(
    strays: Sequence[Candidate],
    vectors: NDArray[np.float32],
    centroids: Mapping[int, NDArray[np.float32]],
    *,
    labels: Mapping[int, str],
    within: float,
    rules: ExportRules,
    barred: Collection[tuple[int, int]] = (),
) -> tuple[Faceset, ...]:
    """
    Return good unassigned faces, each beside its nearest identity, for review by a moderator (docs/exports.md).

    ``centroids``: (d,), unit length, by identity; ``within``: a cosine distance; ``barred``: cannot-link constraints as
    (face id, identity).
    """
    numbers = sorted(centroids)
    rows_of: dict[int, list[int]] = {}
    if strays and numbers:
        face_ids = [candidate.face.face_id for candidate in strays]
        nearest, distances = _nearest(face_ids, vectors, numbers, centroids, barred)
        for row, candidate in enumerate(strays):
            if distances[row] <= within and _score(candidate) >= LEAST_CANDIDATE:
                rows_of.setdefault(numbers[nearest[row]], []).append(row)
    built = (
        build_faceset(
            unchecked([strays[row] for row in rows], vectors[rows], centroids[number], rules),
            identity=number,
            label=labels.get(number),
            folder=FacesetFolder.CANDIDATES,
        )
        for number, rows in sorted(rows_of.items())
    )
    return tuple(faceset for faceset in built if faceset is not None)


def _score(candidate: Candidate) -> float:
    return quality(candidate.face, inside=candidate.visible.crop).score


def _nearest(
    face_ids: Sequence[int],
    vectors: NDArray[np.float32],
    numbers: Sequence[int],
    centroids: Mapping[int, NDArray[np.float32]],
    barred: Collection[tuple[int, int]],
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the place in ``numbers`` of the nearest identity that each face may join, and its distance."""
    matrix = np.stack([centroids[number] for number in numbers])
    column_of = {number: column for column, number in enumerate(numbers)}
    barred_columns: dict[int, list[int]] = {}
    for face_id, number in barred:
        if number in column_of:
            barred_columns.setdefault(face_id, []).append(column_of[number])
    nearest, least = np.empty(len(face_ids), dtype=np.intp), np.empty(len(face_ids), dtype=np.float32)
    for rows in row_blocks(len(face_ids), len(numbers)):
        distances = 1.0 - vectors[rows] @ matrix.T
        for here, face_id in enumerate(face_ids[rows]):
            distances[here, barred_columns.get(face_id, [])] = np.inf
        nearest[rows], least[rows] = distances.argmin(axis=1), distances.min(axis=1)
    return nearest, least


def _first_year(draft: FacesetDraft) -> float:
    """Return a sort key that places undated eras last."""
    return np.inf if draft.era is None or draft.era.first is None else draft.era.first


def era_face_table(candidates: Sequence[Candidate], vectors: NDArray[np.float32]) -> FaceTable:
    """Return the candidates as columns; the day of a face is its local day."""
    codes: dict[str, int] = {}
    faces = [candidate.face for candidate in candidates]
    return FaceTable(
        face_ids=np.array([face.face_id for face in faces], dtype=np.int64),
        vectors=vectors,
        pictures=np.array([codes.setdefault(face.sha256, len(codes)) for face in faces], dtype=np.int64),
        face_short=np.array([face.face_short for face in faces], dtype=np.float32),
        blur=np.array([face.measures.blur for face in faces], dtype=np.float32),
        det_score=np.array([face.det_score for face in faces], dtype=np.float32),
        light=np.array([face.measures.light for face in faces], dtype=np.float32),
        taken=np.array([day_of(candidate.taken) for candidate in candidates], dtype=np.float64),  # NaN where unknown
        yaw=np.array([face.measures.yaw for face in faces], dtype=np.float32),
        quality=np.array([face.measures.quality for face in faces], dtype=np.float32),
    )
