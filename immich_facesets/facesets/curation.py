"""
Curation: which faces of an identity are exported, and in which order.

``curate`` applies every rule that needs no finished picture, ``choose`` the others. Our own detector checks a finished
crop before it is exported. The programs that read facesets take every face they find in it:

    shortlist = curate(candidates, vectors, rules)
    while (choice := choose(shortlist, checks)).unchecked:
        checks |= check(choice.unchecked)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.facesets.faceset import (
    INTACT,
    LEAST_OF_CROP,
    LEAST_OF_FACE,
    Candidate,
    Check,
    EraYears,
    ExportFace,
    ExportRules,
    Faceset,
    FacesetFolder,
    Omission,
    Reason,
    Verdict,
)
from immich_facesets.near_duplicates.faces import CopyFacts, collapse, near_groups
from immich_facesets.quality.score import quality

_REASON_OF = {Verdict.NONE: Reason.NO_FACE, Verdict.SECOND: Reason.SECOND_FACE, Verdict.FAR: Reason.UNLIKE}


@dataclass(frozen=True, slots=True)
class Shortlist:
    """
    The faces that remain before finished crops are checked.

    ``ranked``: best first; ``groups``: near-duplicates, as positions in ``ranked``; ``centroid``: (d,), unit length,
    the reference of every distance here.
    """

    ranked: tuple[ExportFace, ...]
    groups: tuple[tuple[int, ...], ...]
    omitted: tuple[Omission, ...]
    centroid: NDArray[np.float32] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """
    The members of a faceset, best first. It is final when ``unchecked`` is empty.

    ``unchecked``: the faces whose crops need a check.
    """

    faces: tuple[ExportFace, ...]
    omitted: tuple[Omission, ...]
    unchecked: tuple[ExportFace, ...]

    def without(self, others: Sequence[Omission]) -> Self:
        """Return the same choice, with further faces that were left out before it was made."""
        omitted = sorted((*self.omitted, *others), key=lambda omission: omission.candidate.place_in_order)
        return replace(self, omitted=tuple(omitted))


def curate(candidates: Sequence[Candidate], vectors: NDArray[np.float32], rules: ExportRules) -> Shortlist:
    """
    Apply the gates, but to faces that were included by hand; find near-duplicates and rank. ``vectors``: (n, d), unit length, row i belongs to candidate i.

    The result does not depend on the order of the candidates. The centroid is the normalised mean of the faces that
    pass ``rules.gate``, near-duplicates pooled to one. Without any such face, it is the mean of all.
    """
    if len(candidates) != len(vectors):
        raise ValueError(f"{len(candidates)} candidates, but {len(vectors)} vectors")
    order = sorted(range(len(candidates)), key=lambda row: candidates[row].place_in_order)
    candidates, vectors = [candidates[row] for row in order], vectors[order]
    facts = CopyFacts.of([candidate.phash for candidate in candidates], [candidate.taken for candidate in candidates])
    groups = near_groups(vectors, facts, rules.likeness)
    weighs = [candidate.is_confirmed or rules.gate.admits(candidate.face) for candidate in candidates]
    centroid = _centroid(vectors, groups, weighs)
    distances = 1.0 - (vectors.astype(np.float64) * centroid).sum(axis=1)
    graded: dict[int, ExportFace] = {}
    omitted: list[Omission] = []
    for row, candidate in enumerate(candidates):
        checkpoint()
        is_free = not candidate.is_included
        distance = round(max(0.0, float(distances[row])), 4)
        if is_free and candidate.face.face_short < rules.min_face_short:
            omitted.append(Omission(candidate, Reason.SMALL))
        elif is_free and distance > rules.outlier and not candidate.is_confirmed:
            omitted.append(Omission(candidate, Reason.OUTLIER))
        elif is_free and (candidate.visible.face < LEAST_OF_FACE or candidate.visible.crop < LEAST_OF_CROP):
            omitted.append(Omission(candidate, Reason.OUTSIDE))
        else:
            parts = quality(candidate.face, candidate.details, inside=candidate.visible.crop)
            graded[row] = ExportFace(candidate, parts, distance)
    rows = sorted(graded, key=lambda row: (-graded[row].quality.score, row))
    position = {row: place for place, row in enumerate(rows)}
    remaining = (tuple(sorted(position[row] for row in group if row in position)) for group in groups)
    return Shortlist(
        ranked=tuple(graded[row] for row in rows),
        groups=tuple(sorted(group for group in remaining if group)),
        omitted=tuple(omitted),
        centroid=centroid.astype(np.float32),
    )


def choose(shortlist: Shortlist, checks: Mapping[int, Check]) -> Choice:
    """
    Return the best face of every group of near-duplicates whose crop passed its check; ``checks`` by ``face_id``.

    A crop that is not painted over is better than any painted one, also in rank. One that lies wholly in its picture is
    better than others. When the best of a group fails, the next best takes its place and needs a check in turn. Faces that
    were included by hand come before all others of their group, and each of them is chosen.
    """
    omitted = list(shortlist.omitted)
    places: dict[int, tuple[int, ...]] = {}
    included: set[int] = set()
    for place, face in enumerate(shortlist.ranked):
        check = checks.get(face.candidate.face.face_id)
        if check is None or check.verdict is Verdict.OK:
            is_masked = check is not None and check.is_masked
            is_included = face.candidate.is_included
            places[place] = (not is_included, is_masked, face.candidate.visible.crop < INTACT, place)
            included.update((place,) if is_included else ())
        else:
            omitted.append(Omission(face.candidate, _REASON_OF[check.verdict]))
    chosen = included.union(collapse(shortlist.groups, places))
    omitted += [
        Omission(shortlist.ranked[place].candidate, Reason.NEAR_DUPLICATE) for place in places if place not in chosen
    ]
    ranks = sorted(chosen, key=lambda place: (places[place][1], place))
    faces = tuple(_checked(shortlist.ranked[place], checks) for place in ranks)
    return Choice(
        faces=faces,
        omitted=tuple(sorted(omitted, key=lambda omission: omission.candidate.place_in_order)),
        unchecked=tuple(face for face in faces if face.candidate.face.face_id not in checks),
    )


def provisional(shortlist: Shortlist, checks: Mapping[int, Check]) -> tuple[Choice, frozenset[int]]:
    """
    Return the choice in which crops without a check count as good, and which of its faces have such crops, by face id.

    ``checks``: those that are known, by face id.
    """
    known, assumed = dict(checks), set[int]()
    while (choice := choose(shortlist, known)).unchecked:
        some = {face.candidate.face.face_id for face in choice.unchecked}
        known |= {face_id: Check(Verdict.OK) for face_id in some}
        assumed |= some
    return choice, frozenset(assumed & {face.candidate.face.face_id for face in choice.faces})


def build_faceset(
    choice: Choice,
    *,
    identity: int,
    label: str | None,
    era: EraYears | None = None,
    folder: FacesetFolder = FacesetFolder.MAIN,
    never_export: bool = False,
) -> Faceset | None:
    """Return the faceset of a final choice; None when it is empty, or when the person must not be exported."""
    if choice.unchecked:
        raise ValueError(f"{len(choice.unchecked)} crops of identity {identity} were not checked yet")
    if never_export or not choice.faces:
        return None
    return Faceset(identity=identity, label=label, era=era, folder=folder, faces=choice.faces, omitted=choice.omitted)


def unchecked(
    candidates: Sequence[Candidate], vectors: NDArray[np.float32], centroid: NDArray[np.float32], rules: ExportRules
) -> Choice:
    """
    Return a choice for review by a moderator: ranked and without near-duplicates, but without crop checks and outlier
    gate.

    ``centroid``: of the identity the candidates may belong to; (d,), unit length.
    """
    shortlist = curate(candidates, vectors, replace(rules, outlier=2.0))
    distances = {
        candidate.face.face_id: round(max(0.0, 1.0 - float(vector.astype(np.float64) @ centroid)), 4)
        for candidate, vector in zip(candidates, vectors, strict=True)
    }
    choice = choose(shortlist, {face_id: Check(Verdict.OK) for face_id in distances})
    faces = tuple(replace(face, distance=distances[face.candidate.face.face_id]) for face in choice.faces)
    return Choice(faces, choice.omitted, ())


def _centroid(
    vectors: NDArray[np.float32], groups: Sequence[Sequence[int]], weighs: Sequence[bool]
) -> NDArray[np.float64]:
    if not any(weighs):
        weighs = [True] * len(weighs)
    able = ([row for row in group if weighs[row]] for group in groups)
    pooled = [_unit(vectors[rows].astype(np.float64).mean(axis=0)) for rows in able if rows]
    return _unit(np.mean(pooled, axis=0)) if pooled else np.zeros(vectors.shape[1])


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0.0 else vector


def _checked(face: ExportFace, checks: Mapping[int, Check]) -> ExportFace:
    check = checks.get(face.candidate.face.face_id)
    return face if check is None else replace(face, is_masked=check.is_masked, frame=check.frame)
