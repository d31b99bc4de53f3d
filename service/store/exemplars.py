"""The members of identities that identification compares a face with, and the names of these identities."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, and_, func, select

from immich_facesets.calibration.thresholds import PointsInUse
from immich_facesets.faces import Gate, light_of
from immich_facesets.identification.exemplars import Members
from immich_facesets.moderation.constraints import constraints
from immich_facesets.moderation.decisions import Undo, faces_in
from service.store.browsing.identity_lists import shown_labels
from service.store.browsing.standing import standing
from service.store.browsing.summaries import signature_of, signatures
from service.store.chunks import chunks
from service.store.decisions import Finder, all_decisions, last_id
from service.store.reference_pictures import embedded_references
from service.store.spaces import grouped_points
from service.store.tables import era_faces, faces, identities, memberships, reference_vectors, vectors

Version = tuple[object, ...]
"""Everything that the exemplars of an identity depend on, condensed; other members, eras or confirmations have another."""


@dataclass(frozen=True, slots=True)
class MembersVersion:
    """How many faces an identity has, and their version."""

    faces: int
    version: Version


@dataclass(frozen=True, slots=True)
class KnownPeople:
    """
    The distances in use, and the names and versions of identities.

    ``hidden``: strangers and erased people, who are not named. ``never_exported``: people who are known all the same.
    """

    used: PointsInUse
    placed: "PlacedFaces"
    labels: Mapping[int, str]
    hidden: frozenset[int]
    never_exported: frozenset[int]
    versions: Mapping[int, MembersVersion]


@dataclass(frozen=True, slots=True)
class PlacedFaces:
    """
    The faces that a user placed in an identity, or confirmed there; ``references``: the identity of each reference picture.

    They stay the same while the last decision does, and no face or reference picture is added: ``basis``.
    """

    faces: frozenset[int]
    references: Mapping[int, int]
    basis: tuple[int, ...]


def known_people(tx: Connection, before: KnownPeople | None = None) -> KnownPeople:
    """Return the names and versions of all identities; ``SetupError`` before the first grouping."""
    state, used = standing(tx), grouped_points(tx)
    is_same_space = before is not None and before.used.space == used.space
    placed = _placed(tx, used.space, before.placed if before is not None and is_same_space else None)
    rows = tx.execute(select(identities.c.number, identities.c.never_export))
    return KnownPeople(
        used=used,
        placed=placed,
        labels=shown_labels(tx),
        hidden=state.hidden,
        never_exported=frozenset(row.number for row in rows if state.is_never_exported(row)),
        versions=_versions(tx, placed),
    )


def members_for_exemplars(
    tx: Connection, numbers: Collection[int], space: str, gate: Gate, placed: PlacedFaces
) -> dict[int, Members]:
    """
    Return the faces of these identities with their vectors, in order of face id, and their reference pictures.

    The ``placed`` faces are confirmed. A face is in an era only while it is in the identity.
    """
    found: dict[int, Members] = {}
    for some in chunks(numbers):
        rows = tx.execute(
            select(
                memberships.c.identity,
                memberships.c.face_id,
                vectors.c.vector,
                faces.c.x1,
                faces.c.y1,
                faces.c.x2,
                faces.c.y2,
                faces.c.det_score,
                faces.c.blur,
                faces.c.brightness,
                faces.c.contrast,
                era_faces.c.name.label("era"),
            )
            .join(faces, faces.c.face_id == memberships.c.face_id)
            .join(vectors, vectors.c.face_id == memberships.c.face_id)
            .outerjoin(
                era_faces,
                and_(era_faces.c.face_id == memberships.c.face_id, era_faces.c.identity == memberships.c.identity),
            )
            .where(memberships.c.identity.in_(some), faces.c.space == space)
            .order_by(memberships.c.identity, memberships.c.face_id)
        )
        for number, several in groupby(rows, key=lambda row: int(row.identity)):
            found[number] = _members(list(several), gate, placed.faces)
    for number, matrix in _references(tx, space, set(numbers), placed).items():
        found[number] = _with_references(found.get(number), matrix)
    return found


def _references(
    tx: Connection, space: str, numbers: Collection[int], placed: PlacedFaces
) -> dict[int, NDArray[np.float32]]:
    """Return the vectors of the reference pictures of these identities, (k, d) for each that has any."""
    found: dict[int, list[bytes]] = {}
    mine = [one for one, number in placed.references.items() if number in numbers]
    for some in chunks(sorted(mine)):
        here = (reference_vectors.c.space == space, reference_vectors.c.reference_id.in_(some))
        for row in tx.execute(select(reference_vectors).where(*here).order_by(reference_vectors.c.reference_id)):
            found.setdefault(placed.references[row.reference_id], []).append(row.vector)
    return {
        number: np.frombuffer(b"".join(several), dtype="<f4").reshape(len(several), -1).astype(np.float32)
        for number, several in found.items()
    }


def _with_references(members: Members | None, matrix: NDArray[np.float32]) -> Members:
    """Return the members with reference pictures, which are confirmed and have a period of their own."""
    is_on = np.ones(len(matrix), dtype=np.bool_)
    mine = Members(matrix, np.full(len(matrix), -1, dtype=np.int64), is_on, is_on)
    if members is None:
        return mine
    both = {one.name: np.concatenate([getattr(members, one.name), getattr(mine, one.name)]) for one in fields(Members)}
    return Members(**both)


def _members(rows: list[Any], gate: Gate, placed: Collection[int]) -> Members:
    eras = {name: code for code, name in enumerate(sorted({row.era or "" for row in rows}))}
    matrix = np.frombuffer(b"".join(row.vector for row in rows), dtype="<f4").reshape(len(rows), -1)
    return Members(
        vectors=matrix.astype(np.float32, copy=False),
        periods=np.array([eras[row.era or ""] for row in rows], dtype=np.int64),
        is_confirmed=np.array([row.face_id in placed for row in rows], dtype=np.bool_),
        is_clear=np.array([_is_clear(row, gate) for row in rows], dtype=np.bool_),
    )


def _is_clear(row: Any, gate: Gate) -> bool:
    light = light_of(row.brightness, row.contrast)
    return gate.passes(min(row.x2 - row.x1, row.y2 - row.y1), row.det_score, row.blur, light)


def _placed(tx: Connection, space: str, before: PlacedFaces | None) -> PlacedFaces:
    newest = select(faces.c.face_id).where(faces.c.space == space).order_by(faces.c.face_id.desc()).limit(1)
    embedded = select(func.count()).select_from(reference_vectors).where(reference_vectors.c.space == space)
    basis = (last_id(tx), tx.scalar(newest) or 0, tx.scalar(embedded) or 0)
    if before is not None and before.basis == basis:
        return before
    made = all_decisions(tx, with_eras=False)
    refs = {ref.sha256 for _, one in made if not isinstance(one, Undo) for ref in faces_in(one)}
    decided = constraints(made, Finder(tx, space, refs))
    return PlacedFaces(
        frozenset({*decided.must, *decided.confirmed}), embedded_references(tx, space, decided.references), basis
    )


def _versions(tx: Connection, placed: PlacedFaces) -> dict[int, MembersVersion]:
    """Return the version of each identity that has members or reference pictures."""
    in_eras: Any = tx.execute(
        select(era_faces.c.identity, era_faces.c.name, *signature_of(era_faces.c.face_id))
        .group_by(era_faces.c.identity, era_faces.c.name)
        .order_by(era_faces.c.identity, era_faces.c.name)
    )
    parts: dict[int, list[object]] = {}
    for number, *signature in in_eras:
        parts.setdefault(number, []).append(tuple(map(str, signature)))
    for some in chunks(sorted(placed.faces)):
        columns = select(memberships.c.identity, memberships.c.face_id)
        for number, face in tx.execute(columns.where(memberships.c.face_id.in_(some)).order_by(memberships.c.face_id)):
            parts.setdefault(number, []).append(face)
    references: dict[int, list[int]] = {}
    for one, number in sorted(placed.references.items()):
        references.setdefault(number, []).append(-one)
    members = signatures(tx)
    return {
        number: MembersVersion(
            (members[number][0] if number in members else 0) + len(references.get(number, ())),
            (members.get(number), *parts.get(number, ()), *references.get(number, ())),
        )
        for number in members.keys() | references.keys()
    }
