"""All that the database knows of a person who is to be forgotten: faces, people of sources, names, and decisions."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, select

from immich_facesets.assets import PersonKey
from immich_facesets.faces import SAME_FACE_IOU, Box
from immich_facesets.moderation.decisions import FaceRef, Forget, Label, Merge
from immich_facesets.moderation.erasing import Forgotten, faces_at, without_person
from immich_facesets.moderation.records import Record
from immich_facesets.names import name_key
from service.store.chunks import chunks
from service.store.decisions import Finder, all_records, constraints_of, resolver
from service.store.hints import hint_from_row
from service.store.imported_faces import IMPORTED
from service.store.ledger import is_elsewhere
from service.store.past_people import HINT_IOU
from service.store.spaces import active_space
from service.store.tables import (
    assets,
    contents,
    export_ledger,
    exports,
    faces,
    fingerprints,
    former_members,
    hints,
    identities,
    imported_faces,
    memberships,
    people,
    reference_pictures,
)


@dataclass(frozen=True, slots=True)
class Traces:
    """
    All that is known of a person, by the numbers of their identity.

    ``places``: where their faces are or were, by content; ``face_ids``: those that are there, of every space. ``people``:
    (source, person id). ``face_keys``: (person id, key) of faces sorted with another tool. ``records``: the decisions that
    change, without the person. ``references``: reference pictures. ``directories``: exports of the person alone; ``copies``: exports elsewhere.
    """

    numbers: frozenset[int]
    places: Mapping[str, Sequence[Box]]
    face_ids: frozenset[int]
    people: frozenset[PersonKey]
    names: frozenset[str] = field(repr=False)
    face_keys: frozenset[tuple[str, str]]
    records: Sequence[Record]
    references: frozenset[int]
    directories: Sequence[str] = field(repr=False)
    copies: Sequence[str] = field(repr=False)


def traces_of(
    tx: Connection, numbers: frozenset[int], further: Collection[FaceRef] = (), people_too: Collection[PersonKey] = ()
) -> Traces:
    """
    Return all that is known of the person with these numbers.

    ``further``: places at which another installation forgot faces of the person; members of others go, too.
    ``people_too``: people of sources whom that installation forgot with the person.
    """
    space = active_space(tx) or ""
    made = [one for one in all_records(tx) if not isinstance(one.decision, Forget)]
    known = frozenset(_people(tx, numbers)) | frozenset(people_too)
    members = dict(_members(tx, numbers))
    refs = set(members.values()) | _not_of_others(tx, space, made, numbers, _said(tx, space, made, numbers, known))
    refs |= set(further)
    references = _references(tx, made, numbers, _by_content(refs))
    refs |= set(references.values())
    places = _by_content(refs)
    names = frozenset(_names(tx, numbers, known, made))
    directories = _directories(tx, numbers)
    return Traces(
        numbers,
        places,
        frozenset(members) | _faces_there(tx, places, numbers) | _faces_there(tx, _by_content(further)),
        known,
        names | {name_key(one.rpartition("/")[2]) for one in directories},
        frozenset(_imported(tx, known, places)),
        _changed(tx, made, numbers, places, names, known),
        frozenset(references),
        directories,
        _copies(tx, numbers),
    )


def _by_content(refs: Iterable[FaceRef]) -> dict[str, list[Box]]:
    found: dict[str, list[Box]] = {}
    for ref in refs:
        found.setdefault(ref.sha256, []).append(ref.box)
    return found


def _people(tx: Connection, numbers: Collection[int]) -> Iterator[PersonKey]:
    rows = tx.execute(select(people.c.source, people.c.person_id).where(people.c.identity.in_(numbers)))
    yield from ((row.source, row.person_id) for row in rows)


def _references(
    tx: Connection, made: Sequence[Record], numbers: frozenset[int], places: Mapping[str, Sequence[Box]]
) -> dict[int, FaceRef]:
    """
    Return the faces of the reference pictures of the person, by id.

    Those of which nobody knows whose they are count where the person is one of the two, or one is at a place of theirs.
    """
    decided = constraints_of(made, lambda _: None)
    found = {}
    for row in tx.execute(select(reference_pictures)):
        owner = decided.references.get(row.digest)
        asked = {decided.current(one) for one in (row.sent_for, row.rival) if one is not None}
        is_theirs = not numbers.isdisjoint(asked if owner is None else {owner})
        if is_theirs or faces_at(places.get(row.sha256, ()), [_ref(row).box]):
            found[row.reference_id] = _ref(row)
    return found


def _ref(row: Any) -> FaceRef:
    return FaceRef(row.sha256, Box(row.x1, row.y1, row.x2, row.y2))


def _members(tx: Connection, numbers: Collection[int]) -> Iterator[tuple[int, FaceRef]]:
    rows = tx.execute(
        select(faces)
        .join(memberships, memberships.c.face_id == faces.c.face_id)
        .where(memberships.c.identity.in_(numbers))
    )
    yield from ((row.face_id, _ref(row)) for row in rows)


def _said(
    tx: Connection, space: str, made: Sequence[Record], numbers: frozenset[int], known: frozenset[PersonKey]
) -> set[FaceRef]:
    """Return the places of faces that are no members now, and that decisions, sources or other tools give to the person."""
    found = {_ref(row) for row in tx.execute(select(former_members).where(former_members.c.identity.in_(numbers)))}
    index: dict[FaceRef, int] = {}
    decided = constraints_of(made, lambda ref: index.setdefault(ref, len(index)))
    given = {row for row, number in {**decided.anchors, **decided.must}.items() if number in numbers}
    found |= {ref for ref, row in index.items() if row in given}
    for source, person_id in sorted(known):
        mine = imported_faces.c.person_id == person_id
        rows = tx.execute(select(imported_faces).where(mine)) if source == IMPORTED else ()
        found |= {_ref(row) for row in rows if row.sha256 is not None and row.x1 is not None}
        found |= set(_at_hints(tx, space, source, person_id))
    return found


def _at_hints(tx: Connection, space: str, source: str, person_id: str) -> Iterator[FaceRef]:
    """Yield the faces at the boxes that a source gives to a person, in pictures that show what they showed there."""
    shown = and_(fingerprints.c.fingerprint == assets.c.fingerprint, fingerprints.c.sha256 == assets.c.content)
    rows = tx.execute(
        select(hints, contents.c.sha256, contents.c.width, contents.c.height)
        .join(assets, and_(assets.c.source == hints.c.source, assets.c.asset_id == hints.c.asset_id))
        .join(fingerprints, shown)
        .join(contents, contents.c.sha256 == assets.c.content)
        .where(hints.c.source == source, hints.c.person_id == person_id, assets.c.is_gone.is_(False))
    ).all()
    here: dict[str, list[FaceRef]] = {}
    for some in chunks(sorted({row.sha256 for row in rows})):
        for row in tx.execute(select(faces).where(faces.c.space == space, faces.c.sha256.in_(some))):
            here.setdefault(row.sha256, []).append(_ref(row))
    for row in rows:
        box = hint_from_row(row).original_box(row.width, row.height)
        near = sorted(here.get(row.sha256, ()), key=lambda ref: -box.iou(ref.box))[:1]
        yield from (ref for ref in near if box.iou(ref.box) >= HINT_IOU)


def _not_of_others(
    tx: Connection, space: str, made: Sequence[Record], numbers: frozenset[int], said: set[FaceRef]
) -> set[FaceRef]:
    """Return the places without those whose face is of somebody else, or was rejected from the person."""
    find = Finder(tx, space, {ref.sha256 for ref in said})
    decided = constraints_of(made, resolver(tx, space, made))
    at = {ref: face_id for ref in said if (face_id := find(ref)) is not None}
    owners: dict[int, int] = {}
    for some in chunks(sorted(set(at.values()))):
        rows = tx.execute(select(memberships).where(memberships.c.face_id.in_(some)))
        owners |= {row.face_id: row.identity for row in rows}
    rejected = {face_id for face_id, number in decided.must_not if number in numbers}
    return {
        ref
        for ref in said
        if ref not in at or (owners.get(at[ref], min(numbers)) in numbers and at[ref] not in rejected)
    }


def _faces_there(
    tx: Connection, places: Mapping[str, Sequence[Box]], numbers: Collection[int] | None = None
) -> set[int]:
    """Return the faces of every space at these places; ``numbers``: without the members of other identities."""
    found: dict[tuple[str, str], list[Any]] = {}
    for some in chunks(sorted(places)):
        rows = tx.execute(
            select(faces, memberships.c.identity)
            .outerjoin(memberships, memberships.c.face_id == faces.c.face_id)
            .where(faces.c.sha256.in_(some))
            .order_by(faces.c.face_id)
        )
        for row in rows:
            found.setdefault((row.sha256, row.space), []).append(row)
    return {
        rows[index].face_id
        for (sha256, _), rows in found.items()
        for index in faces_at(places[sha256], [_ref(row).box for row in rows])
        if numbers is None or rows[index].identity is None or rows[index].identity in numbers
    }


def _names(
    tx: Connection, numbers: Collection[int], known: Collection[PersonKey], made: Iterable[Record]
) -> Iterator[str]:
    """Yield every name that the person has or had here, as it is compared."""
    yield from (
        name_key(one) for one in tx.scalars(select(identities.c.label).where(identities.c.number.in_(numbers))) if one
    )
    rows = tx.execute(select(people.c.source, people.c.person_id, people.c.name).where(people.c.name != ""))
    yield from (name_key(row.name) for row in rows if (row.source, row.person_id) in known)
    for one in made:
        match one.decision:
            case Label(identity=number, label=label, before=before):
                yield from (name_key(text) for text in (label, before) if text and number in numbers)
            case Merge(into=number, label=label, label_before=before):
                yield from (name_key(text) for text in (label, before) if text and number in numbers)
            case _:
                pass


def _imported(
    tx: Connection, known: Collection[PersonKey], places: Mapping[str, Sequence[Box]]
) -> Iterator[tuple[str, str]]:
    """Yield the faces that were sorted with another tool: those of the person there, and others at these places."""
    mine = {person_id for _, person_id in known}
    for row in tx.execute(select(imported_faces)):
        is_mine = row.person_id in mine and (IMPORTED, row.person_id) in known
        if is_mine or (row.x1 is not None and faces_at(places.get(row.sha256, ()), [_ref(row).box])):
            yield row.person_id, row.face_key


def _directories(tx: Connection, numbers: Collection[int]) -> list[str]:
    rows = tx.execute(select(exports.c.directory, exports.c.entry).order_by(exports.c.directory))
    return [row.directory for row in rows if (row.entry or {}).get("identity") in numbers]


def _copies(tx: Connection, numbers: Collection[int]) -> list[str]:
    """Return where copies were written outside of the export folder that have the person, or everybody."""
    rows = tx.execute(
        select(export_ledger.c.directory, export_ledger.c.identity)
        .where(export_ledger.c.action == "written")
        .order_by(export_ledger.c.directory)
        .distinct()
    )
    return [row.directory for row in rows if is_elsewhere(row.directory) and row.identity in {None, *numbers}]


def _changed(
    tx: Connection,
    made: Iterable[Record],
    numbers: frozenset[int],
    places: Mapping[str, Sequence[Box]],
    names: frozenset[str],
    known: frozenset[PersonKey],
) -> list[Record]:
    """Return the decisions that have something of the person, without it."""
    rows = tx.execute(select(identities.c.number, identities.c.label).where(identities.c.label.is_not(None)))
    namesakes = frozenset(row.number for row in rows if name_key(row.label) in names and row.number not in numbers)

    def holds(ref: FaceRef) -> bool:
        return any(box.iou(ref.box) >= SAME_FACE_IOU for box in places.get(ref.sha256, ()))

    who = Forgotten(numbers, holds, names, namesakes, known)
    found = ((one, without_person(one, who)) for one in made)
    return [new for old, new in found if new != old]
