"""Identities as group reads and writes them, and their labels."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, case, delete, exists, func, insert, or_, select, update

from immich_facesets.assets import PersonKey
from immich_facesets.dates import day_of
from immich_facesets.faces import Box
from immich_facesets.grouping.plan import Assertion, GroupingPlan, Known
from service.store import births, past_people
from service.store.chunks import chunks
from service.store.decided_members import follow_settings
from service.store.decisions import all_records, constraints_of, last_id
from service.store.former_members import forget_returned, move_former_members, record_dissolved
from service.store.hints import hint_from_row
from service.store.imported_faces import add_import_assertions
from service.store.moved_faces import moved
from service.store.sources import FOLDER
from service.store.tables import (
    assets,
    contents,
    faces,
    fingerprints,
    hints,
    identities,
    memberships,
    people,
    sources,
)
from service.store.upsert import upsert

_FITS_CONTENT = or_(
    exists().where(fingerprints.c.fingerprint == assets.c.fingerprint, fingerprints.c.sha256 == assets.c.content),
    and_(assets.c.width == contents.c.width, assets.c.height == contents.c.height),
)
"""
The condition that an asset's boxes fit the content that it last showed.

After a change whose bytes are not here yet, they fit only if the size is the same: an edit may have moved them.
"""


def all_memberships(tx: Connection) -> dict[int, int]:
    """Return the identity number of each member face, by face id."""
    return {row.face_id: row.identity for row in tx.execute(select(memberships.c.face_id, memberships.c.identity))}


def all_known(tx: Connection) -> list[Known]:
    """Return every identity ever numbered, with the people attached to it that their sources still have."""
    attached: dict[int, set[PersonKey]] = {}
    named: set[tuple[int, str, str]] = set()
    known, born = births.births_of_people(tx), defaultdict[int, list[float]](list)
    for row in tx.execute(select(people).where(people.c.identity.is_not(None))):
        if (day := _born(known, (row.source, row.person_id))) is not None:
            born[row.identity].append(day)  # of people who are gone too
        if row.is_gone:
            continue
        attached.setdefault(row.identity, set()).add((row.source, row.person_id))
        if row.name:
            named.add((row.identity, row.source, row.person_id))
    rows = tx.execute(select(identities).order_by(identities.c.number))
    return [
        Known(
            number=row.number,
            origin=row.origin,
            is_locked=row.is_locked,
            people=frozenset(attached.get(row.number, ())),
            born=min(born.get(row.number, ()), default=None),
            named_by=(row.named_by_source, row.named_by_person)
            if (row.number, row.named_by_source, row.named_by_person) in named
            else None,
        )
        for row in rows
    ]


def _born(known: Mapping[PersonKey, Sequence[str]], person: PersonKey) -> float | None:
    """Return the earliest birthday of a person in days since 1970."""
    return day_of(min(known.get(person, ()), default=None))


def assertions(tx: Connection, space: str) -> list[Assertion]:
    """
    Return the sources' assertions of which faces belong to which person.

    They cover the faces at the boxes of a named person. In a trusted folder, they cover every face in the pictures
    below a person's folder; faces of other people there are rejected when the assertion is applied. Imported sets,
    sorted with another tool, count as assertions too.
    """
    boxes: dict[str, list[tuple[int, Box]]] = {}
    for row in tx.execute(
        select(faces.c.face_id, faces.c.sha256, faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2)
        .where(faces.c.space == space)
        .order_by(faces.c.face_id)
    ):
        boxes.setdefault(row.sha256, []).append((row.face_id, Box(row.x1, row.y1, row.x2, row.y2)))
    asserted: dict[PersonKey, set[int]] = {}
    names: dict[PersonKey, str] = {}
    rows = tx.execute(
        select(
            hints,
            people.c.name,
            assets.c.content.label("sha256"),
            func.coalesce(assets.c.width, contents.c.width).label("width"),
            func.coalesce(assets.c.height, contents.c.height).label("height"),
        )
        .join(people, and_(people.c.source == hints.c.source, people.c.person_id == hints.c.person_id))
        .join(assets, and_(assets.c.source == hints.c.source, assets.c.asset_id == hints.c.asset_id))
        .join(contents, contents.c.sha256 == assets.c.content)
        .where(people.c.name != "", people.c.is_gone.is_(False), assets.c.is_gone.is_(False), _FITS_CONTENT)
        .order_by(hints.c.source, hints.c.person_id, hints.c.face_id)
    )
    for row in rows:
        box = hint_from_row(row).original_box(row.width, row.height)
        overlap, face_id = max(((box.iou(other), -face) for face, other in boxes.get(row.sha256, ())), default=(0.0, 0))
        if overlap >= past_people.HINT_IOU:
            asserted.setdefault((row.source, row.person_id), set()).add(-face_id)
            names[row.source, row.person_id] = row.name
    _add_folder_assertions(
        tx, {sha256: [face for face, _ in found] for sha256, found in boxes.items()}, asserted, names
    )
    add_import_assertions(tx, boxes, asserted, names)
    known = births.births_of_people(tx)
    by_hand = moved(tx, boxes, asserted, past_people.HINT_IOU)
    return [
        Assertion(
            *person,
            label=names[person],
            face_ids=tuple(sorted(face_ids)),
            born=_born(known, person),
            given=tuple(sorted(by_hand.given.get(person, ()))),
            taken=tuple(sorted(by_hand.taken.get(person, ()))),
        )
        for person, face_ids in sorted(asserted.items())
    ]


def _add_folder_assertions(
    tx: Connection,
    faces_in: Mapping[str, list[int]],
    asserted: dict[PersonKey, set[int]],
    names: dict[PersonKey, str],
) -> None:
    """Add the assertions of trusted folders. ``faces_in``: the faces of each content."""
    rows: Any = tx.execute(
        select(people.c.source, people.c.person_id, people.c.name)
        .join(sources, and_(sources.c.name == people.c.source, sources.c.mode == "trusted"))
        .where(people.c.is_gone.is_(False))
    )
    known = {(source, person): name for source, person, name in rows}
    if not known:
        return
    places: Any = tx.execute(
        select(assets.c.source, assets.c.asset_id, assets.c.content).where(
            assets.c.source.in_({source for source, _ in known}), assets.c.is_gone.is_(False)
        )
    )
    for source, asset_id, sha256 in places:
        person, below, _ = asset_id.partition("/")
        if below and (source, person) in known and sha256 in faces_in:
            asserted.setdefault((source, person), set()).update(faces_in[sha256])
            names[source, person] = known[source, person]


def apply_grouping(tx: Connection, plan: GroupingPlan, now: datetime, decided: int | None = None) -> bool:
    """
    Write the whole result of group in one transaction: the commit point of group.

    An optimistic lock: returns False and writes nothing if decisions were made after that with the id ``decided``.
    """
    if decided is not None and last_id(tx) != decided:
        return False
    if plan.new:
        rows = [{"number": new.number, "origin": new.origin, "created_at": now} for new in plan.new]
        tx.execute(insert(identities), rows)
    for leaves in chunks(plan.leaves):
        tx.execute(delete(memberships).where(memberships.c.face_id.in_(leaves)))
    upsert(
        tx,
        memberships,
        [
            {
                "face_id": join.face_id,
                "identity": join.identity,
                "distance": join.distance,
                "how": join.how,
                "confidence": join.confidence,
            }
            for join in plan.joins
        ],
    )
    record_dissolved(tx, plan.dissolved)
    forget_returned(tx, [join.face_id for join in plan.joins])
    for old, new in plan.absorbed:
        past_people.move_links(tx, old, new)
        move_former_members(tx, old, new)
    for link in plan.links:
        tx.execute(
            update(people)
            .where(people.c.source == link.source, people.c.person_id == link.person_id)
            .values(identity=link.identity)
        )
    past_people.keep_links(tx, plan.links)
    for naming in plan.namings:
        tx.execute(
            update(identities)
            .where(identities.c.number == naming.identity)
            .values(named_by_source=naming.source, named_by_person=naming.person_id)
        )
    if made := all_records(tx, with_eras=False):
        follow_settings(tx, constraints_of(made, lambda _: None), now)
    return True


@dataclass(frozen=True, slots=True)
class GivenName:
    """A name that a source gives to an identity; ``is_shown``: whether it is the identity's label."""

    source: str
    name: str
    is_shown: bool


def labels(tx: Connection) -> dict[int, str]:
    """
    Return the label of each identity: a moderator's label first, else the name that grouping chose among the sources'.

    Before grouping has chosen, it is the first by source and person, with folders last.
    """
    found = {number: next(one.name for one in names if one.is_shown) for number, names in given_names(tx).items()}
    for row in tx.execute(select(identities.c.number, identities.c.label).where(identities.c.label.is_not(None))):
        found[row.number] = row.label
    return found


def given_names(tx: Connection) -> dict[int, list[GivenName]]:
    """Return the names that sources give to each identity, by number; the one that is shown first."""
    found: dict[int, list[GivenName]] = {}
    is_chosen = and_(
        people.c.source == identities.c.named_by_source, people.c.person_id == identities.c.named_by_person
    )
    rows: Any = tx.execute(
        select(people.c.identity, people.c.source, people.c.name)
        .join(identities, identities.c.number == people.c.identity)
        .outerjoin(sources, sources.c.name == people.c.source)
        .where(people.c.name != "", people.c.is_gone.is_(False))
        .order_by(
            people.c.identity,
            case((is_chosen, 0), else_=1),
            sources.c.kind == FOLDER,
            people.c.source,
            people.c.person_id,
        )
    )
    for number, source, name in rows:
        names = found.setdefault(number, [])
        names.append(GivenName(source, name, is_shown=not names))
    return found


def birth_dates(tx: Connection) -> dict[int, str]:
    """Return the birth date (ISO) of each identity whose people have one, known now or before."""
    known = births.births_of_people(tx)
    found: dict[int, str] = {}
    for row in tx.execute(select(people).where(people.c.identity.is_not(None))):
        # If two sources disagree, the latest date is the careful choice: it makes the person younger in a picture.
        dates = [*known.get((row.source, row.person_id), ()), found.get(row.identity, "")]
        if latest := max(dates):
            found[row.identity] = latest
    return found
