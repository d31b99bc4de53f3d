"""All identities with their members, as the file ``identities.json`` has them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, func, select

from immich_facesets.exports.identities_file import (
    Corners,
    CoverRecord,
    EraRecord,
    IdentityRecord,
    MemberRecord,
    head_of,
    identities_file,
    line_of,
    variance_of,
)
from service.store.browsing.identity_lists import shown_labels
from service.store.browsing.standing import Standing, standing
from service.store.browsing.summaries import MeanVector, mean_vectors, signatures
from service.store.named_values import GUARDRAILS, read_thresholds, read_value
from service.store.spaces import active_space
from service.store.tables import crops, era_faces, eras, faces, identities, memberships

_ROWS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class IdentitiesRead:
    """The file, and the means that were read for it, to be given to the next call."""

    body: bytes
    means: Mapping[int, MeanVector]


def read_identities(tx: Connection, known: Mapping[int, MeanVector], for_export: bool) -> IdentitiesRead:
    """
    Return the file of all identities that have faces; strangers and erased people are in none.

    ``for_export``: without those that are never exported. ``known``: the means of calls before. The first call reads every
    vector; never more than the members of one identity are held at once.
    """
    means, space, used = mean_vectors(tx, signatures(tx), known), active_space(tx), read_thresholds(tx)
    is_used = used is not None and used.space == space
    head = head_of(
        space=space,
        distances={name: round(value, 4) for name, value in asdict(used.points).items()} if used and is_used else {},
        guardrails=read_value(tx, GUARDRAILS) or (),
    )
    lines = (line_of(one) for one in _identities(tx, standing(tx), means, for_export=for_export))
    return IdentitiesRead(identities_file(head, lines), means)


def _identities(
    tx: Connection, state: Standing, means: Mapping[int, MeanVector], *, for_export: bool
) -> Iterator[IdentityRecord]:
    labels, periods = shown_labels(tx), _eras(tx)
    rows = {row.number: row for row in tx.execute(select(identities))}
    for number, members in _members(tx):
        row = rows[number]
        if number in state.hidden or (for_export and state.is_never_exported(row)):
            continue
        norm = means[number].length
        yield IdentityRecord(
            number=number,
            label=labels.get(number),
            origin=row.origin,
            is_locked=state.is_locked(row),
            is_never_exported=state.is_never_exported(row),
            faces=len(members),
            pictures=len({one.sha256 for one in members}),
            how=dict(sorted(Counter(one.how for one in members).items())),
            cover=_cover(state, number, members),
            centroid_norm=round(norm, 4),
            variance=round(variance_of(norm), 4),
            eras=tuple(periods.get(number, ())),
            members=tuple(_listed(one) for one in members),
        )


def _members(tx: Connection) -> Iterator[tuple[int, list[Any]]]:
    """Yield the members of each identity by number, in an order that no row number decides."""
    statement = (
        select(
            memberships.c.identity,
            memberships.c.distance,
            memberships.c.how,
            memberships.c.confidence,
            faces.c.sha256,
            faces.c.x1,
            faces.c.y1,
            faces.c.x2,
            faces.c.y2,
            crops.c.face_id.is_not(None).label("has_crop"),
        )
        .join(faces, faces.c.face_id == memberships.c.face_id)
        .outerjoin(crops, crops.c.face_id == memberships.c.face_id)
        .order_by(memberships.c.identity, faces.c.sha256, faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2)
    )
    rows = tx.execute(statement, execution_options={"yield_per": _ROWS_AT_ONCE})
    for number, several in groupby(rows, key=lambda row: int(row.identity)):
        yield number, list(several)


def _eras(tx: Connection) -> dict[int, list[EraRecord]]:
    rows: Any = tx.execute(
        select(eras.c.identity, eras.c.name, eras.c.from_year, eras.c.to_year, func.count())
        .join(era_faces, (era_faces.c.identity == eras.c.identity) & (era_faces.c.name == eras.c.name))
        .join(
            memberships,
            (memberships.c.face_id == era_faces.c.face_id) & (memberships.c.identity == era_faces.c.identity),
        )
        .group_by(eras.c.identity, eras.c.name, eras.c.from_year, eras.c.to_year)
        .order_by(eras.c.identity, eras.c.name)
    )
    found: dict[int, list[EraRecord]] = {}
    for number, name, first, last, count in rows:
        found.setdefault(number, []).append(EraRecord(name=name, from_year=first, to_year=last, faces=count))
    return found


def _cover(state: Standing, number: int, members: list[Any]) -> CoverRecord | None:
    """Return the face that a user chose, else the member nearest to the others that has a crop."""
    chosen = state.covers.get(number)
    if chosen is not None:
        box = chosen.box
        return CoverRecord(sha256=chosen.sha256, box=(box.x1, box.y1, box.x2, box.y2))
    shown = min((one for one in members if one.has_crop), key=lambda one: one.distance, default=None)
    return None if shown is None else CoverRecord(sha256=shown.sha256, box=_corners(shown))


def _listed(row: Any) -> MemberRecord:
    return MemberRecord(
        sha256=row.sha256,
        box=_corners(row),
        distance=round(row.distance, 4),
        how=row.how,
        confidence=None if row.confidence is None else round(row.confidence, 4),
    )


def _corners(row: Any) -> Corners:
    return row.x1, row.y1, row.x2, row.y2
