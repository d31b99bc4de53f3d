"""Figures of identities that follow from their members alone, kept by the caller until the members change."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Connection, cast, func, select

from immich_facesets.dates import EVIDENCE
from service.store.change_tracking import MOVED_FACES, Versions
from service.store.chunks import chunks
from service.store.tables import assets, crops, faces, memberships, vectors

Signature = tuple[int, int, int, int]
"""Count, highest id, sum of ids and a sum of their remainders: another set of members has another one."""

_SPREAD = 1_000_003
_WEIGHTS = 1009
_STEPS_OF_DISTANCE = 1e9
_ROWS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Summary:
    """
    ``cover``: the member nearest to the others that has a crop, None without one.

    ``days``: the first and the last date (ISO) that the pictures state, "" without any. ``at_cover`` and ``at_days``: the
    versions that these two were read at, of the tables beside the members on which they depend. ``distances``: a sum over
    the distances of the members at the versions ``at_distances``. Other distances have another one.
    """

    signature: Signature
    pictures: int
    cover: int | None = None
    days: tuple[str, str] = ("", "")
    at_cover: tuple[str | None, ...] = ()
    at_days: tuple[str | None, ...] = ()
    distances: int = 0
    at_distances: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class MeanVector:
    """The mean of the members' vectors, scaled to unit length, (d,); ``length``: before that, 1 where all are equal."""

    signature: Signature
    vector: NDArray[np.float32]
    length: float


def signatures(tx: Connection, numbers: Collection[int] | None = None) -> dict[int, Signature]:
    """Return the signature of these identities, of all with None; those without a member are missing."""
    statement = select(memberships.c.identity, *signature_of(memberships.c.face_id)).group_by(memberships.c.identity)
    parts = (
        [statement] if numbers is None else [statement.where(memberships.c.identity.in_(p)) for p in chunks(numbers)]
    )
    rows: list[Any] = [row for part in parts for row in tx.execute(part)]
    return {number: (int(count), int(most), int(total), int(spread)) for number, count, most, total, spread in rows}


def signature_of(face: Any) -> tuple[Any, ...]:
    """Return the columns of the signature of a group of face ids."""
    return func.count(), func.max(face), func.sum(face), func.sum(face * face % _SPREAD)


def summaries(
    tx: Connection, current: Mapping[int, Signature], known: Mapping[int, Summary], versions: Versions
) -> dict[int, Summary]:
    """
    Return the summary of each of these identities, by their signatures now.

    ``known`` ones are read again if they changed. Their covers alone are, if distances or crops changed, and their days
    alone, if assets did. Faces that moved from one identity to another changed the signatures of these two, or, if they
    moved back since, the distances.
    """
    found = {number: known[number] for number, is_now in current.items() if _is_valid(known.get(number), is_now)}
    for some in chunks(sorted(current.keys() - found.keys())):
        found |= {number: Summary(current[number], pictures) for number, pictures in _pictures(tx, some)}
    at_cover = (versions.get(memberships.name), versions.get(crops.name))
    at_days = (versions.get(assets.name),)
    found, moved = _with_distances(tx, found, versions)
    uncovered = sorted(number for number, one in found.items() if one.at_cover != at_cover or number in moved)
    covers = {number: face for some in chunks(uncovered) for number, face in _covers(tx, some)}
    found |= {number: replace(found[number], cover=covers.get(number), at_cover=at_cover) for number in uncovered}
    undated = [number for number, one in found.items() if one.at_days != at_days]
    days = days_of(tx, undated)
    return found | {
        number: replace(found[number], days=days.get(number, ("", "")), at_days=at_days) for number in undated
    }


def _with_distances(
    tx: Connection, found: Mapping[int, Summary], versions: Versions
) -> tuple[dict[int, Summary], set[int]]:
    """Return these summaries with the sums of now, and the identities for which these are others than before."""
    at_distances = (versions.get(memberships.name), versions.get(MOVED_FACES))
    old = sorted(number for number, one in found.items() if one.at_distances != at_distances)
    weight = memberships.c.face_id % _WEIGHTS + 1
    total = func.sum(weight * cast(memberships.c.distance * _STEPS_OF_DISTANCE, BigInteger))
    sums: dict[int, int] = {}
    for some in chunks(old):
        rows = select(memberships.c.identity, total).where(memberships.c.identity.in_(some))
        sums |= {number: int(value) for number, value in tx.execute(rows.group_by(memberships.c.identity))}
    new = {number: replace(found[number], distances=sums[number], at_distances=at_distances) for number in old}
    return {**found, **new}, {number for number in old if sums[number] != found[number].distances}


def days_of(tx: Connection, numbers: Collection[int]) -> dict[int, tuple[str, str]]:
    """Return the first and the last date (ISO) that pictures of each identity state; without any, it is missing."""
    found: dict[int, tuple[str, str]] = {}
    for some in chunks(sorted(numbers)):
        rows: Any = tx.execute(
            select(memberships.c.identity, func.min(assets.c.local_date), func.max(assets.c.local_date))
            .join(faces, faces.c.face_id == memberships.c.face_id)
            .join(assets, assets.c.content == faces.c.sha256)
            .where(memberships.c.identity.in_(some), assets.c.is_gone.is_(False), assets.c.date_kind.in_(EVIDENCE))
            .group_by(memberships.c.identity)
        )
        found |= {number: (first[:10], last[:10]) for number, first, last in rows}
    return found


def mean_vectors(
    tx: Connection, current: Mapping[int, Signature], known: Mapping[int, MeanVector]
) -> dict[int, MeanVector]:
    """Return the mean of every identity, by their signatures now; ``known`` ones are read again if they changed."""
    found = {number: known[number] for number, is_now in current.items() if _is_valid(known.get(number), is_now)}
    for some in chunks(sorted(current.keys() - found.keys())):
        for number, total in _sums(tx, some):
            length = float(np.linalg.norm(total))
            mean = (total / (length or 1.0)).astype(np.float32)
            found[number] = MeanVector(current[number], mean, length / current[number][0])
    return found


def vector_of(tx: Connection, face_id: int) -> NDArray[np.float32] | None:
    """Return the vector of one face, (d,); None when there is no such face."""
    held = tx.scalar(select(vectors.c.vector).where(vectors.c.face_id == face_id))
    return None if held is None else np.frombuffer(held, dtype="<f4").astype(np.float32, copy=False)


def _is_valid(known: Summary | MeanVector | None, signature: Signature) -> bool:
    return known is not None and known.signature == signature


def _pictures(tx: Connection, numbers: Collection[int]) -> Iterator[tuple[int, int]]:
    rows: Any = tx.execute(
        select(memberships.c.identity, func.count(faces.c.sha256.distinct()))
        .join(faces, faces.c.face_id == memberships.c.face_id)
        .where(memberships.c.identity.in_(numbers))
        .group_by(memberships.c.identity)
    )
    yield from ((number, count) for number, count in rows)


def _covers(tx: Connection, numbers: Collection[int]) -> Iterator[tuple[int, int]]:
    place = func.row_number().over(
        partition_by=memberships.c.identity, order_by=(memberships.c.distance, memberships.c.face_id)
    )
    ranked = (
        select(memberships.c.identity, memberships.c.face_id, place.label("place"))
        .join(crops, crops.c.face_id == memberships.c.face_id)
        .where(memberships.c.identity.in_(numbers))
        .subquery()
    )
    rows: Any = tx.execute(select(ranked.c.identity, ranked.c.face_id).where(ranked.c.place == 1))
    yield from ((number, face) for number, face in rows)


def _sums(tx: Connection, numbers: Collection[int]) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the sum of the members' vectors of each identity; never more than some rows are held at once."""
    statement = (
        select(memberships.c.identity, vectors.c.vector)
        .join(vectors, vectors.c.face_id == memberships.c.face_id)
        .where(memberships.c.identity.in_(numbers))
        .order_by(memberships.c.identity)
    )
    totals: dict[int, NDArray[np.float64]] = {}
    rows: Any = tx.execute(statement, execution_options={"yield_per": _ROWS_AT_ONCE})
    for part in rows.partitions():
        for number, several in groupby(part, key=lambda row: int(row[0])):
            held = [row[1] for row in several]
            matrix = np.frombuffer(b"".join(held), dtype="<f4").reshape(len(held), -1)
            totals[number] = totals.get(number, 0.0) + matrix.sum(axis=0, dtype=np.float64)
    yield from totals.items()
