"""A library of two users as rows of the database: pictures of one, of the other and of both, and people in all of them."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

from browsed_library import SPACE, START, BrowsedLibrary, fill
from sqlalchemy import Connection, delete, func, insert, select, update
from web_scene import invented_thresholds

from immich_facesets.dates import EVIDENCE
from immich_facesets.faces import Box
from immich_facesets.moderation.decisions import FaceRef, Merge, Part
from service.store.database import Store
from service.store.named_values import write_thresholds
from service.store.tables import (
    assets,
    births,
    contents,
    crops,
    embeddings,
    era_faces,
    eras,
    faces,
    hints,
    identities,
    memberships,
    people,
    sources,
)

ANNA, BEN = "anna", "ben"
USERS = (ANNA, BEN)
OWNERS = ((ANNA,), (BEN,), USERS, (ANNA,), (BEN,))
"""The users who have a picture, by the remainder of its number: some are the same bytes at both."""

ONLY_ANNAS, ONLY_BENS, LABELLED = 1, 2, 3
"""People of whom one user alone has pictures, and one whom a moderator named."""

SCHOOL = "school"
"""The name that a moderator gave to an era; others are named by their years."""


def other_of(user: str) -> str:
    return BEN if user == ANNA else ANNA


def fill_shared(store: Store, library: BrowsedLibrary, *, seed: int = 0) -> None:
    """Write the rows of a library of two Immich users into an empty, migrated store."""
    fill(store, library, seed=seed)
    store.write_now(share)


def share(tx: Connection) -> None:
    """Give the pictures of a filled store to two users, each with names and dates of their own."""
    rows = [dict(row) for row in tx.execute(select(assets)).mappings()]
    for table in (assets, people, sources):
        tx.execute(delete(table))
    tx.execute(insert(sources), [{"name": user, "kind": "immich", "user_id": f"account-{user}"} for user in USERS])
    tx.execute(insert(assets), [_owned(row, user) for row in rows for user in OWNERS[_number(row) % len(OWNERS)]])
    for number, user in ((ONLY_ANNAS, BEN), (ONLY_BENS, ANNA)):
        theirs = select(faces.c.face_id).join(assets, assets.c.content == faces.c.sha256).where(assets.c.source == user)
        tx.execute(delete(memberships).where(memberships.c.identity == number, memberships.c.face_id.in_(theirs)))
    seen = set(tx.scalars(select(memberships.c.identity)))
    tx.execute(delete(identities).where(identities.c.number.not_in(seen)))
    tx.execute(update(identities).where(identities.c.number == LABELLED).values(label="A moderator's word"))
    for user in USERS:
        _write_people(tx, user, sorted(seen))
    _write_eras(tx, sorted(seen)[:5])
    write_thresholds(tx, replace(invented_thresholds(), space=SPACE))


def face_in_pictures_of(tx: Connection, number: int, user: str) -> Any:
    """A face of an identity, with a crop, in a picture that this user alone has."""
    others = select(assets.c.content).where(assets.c.source == other_of(user))
    found = (
        select(faces)
        .join(memberships, memberships.c.face_id == faces.c.face_id)
        .join(crops, crops.c.face_id == faces.c.face_id)
        .join(assets, assets.c.content == faces.c.sha256)
        .where(memberships.c.identity == number, assets.c.source == user, faces.c.sha256.not_in(others))
    )
    return tx.execute(found.order_by(faces.c.face_id)).first()


def numbers_seen_by(tx: Connection, user: str) -> set[int]:
    """The people of whom a user has a picture."""
    of_face = memberships.join(faces, faces.c.face_id == memberships.c.face_id)
    own = of_face.join(assets, assets.c.content == faces.c.sha256)
    return set(tx.scalars(select(memberships.c.identity).select_from(own).where(assets.c.source == user)))


def merge_members(tx: Connection, into: int, number: int) -> Merge:
    """Give the faces of a person to another one, and return the decision that says so."""
    of_face = memberships.join(faces, faces.c.face_id == memberships.c.face_id)
    rows = tx.execute(select(faces).select_from(of_face).where(memberships.c.identity == number))
    refs = tuple(FaceRef(row.sha256, Box(row.x1, row.y1, row.x2, row.y2)) for row in rows)
    tx.execute(update(memberships).where(memberships.c.identity == number).values(identity=into))
    return Merge(into=into, parts=(Part(number, refs),))


def leave_only(tx: Connection, user: str) -> None:
    """Take away all that the library of this user alone would not have."""
    other = other_of(user)
    for table in (hints, assets, births, people):
        tx.execute(delete(table).where(table.c.source == other))
    tx.execute(delete(sources).where(sources.c.name == other))
    there = select(assets.c.content)
    for cut in (faces, embeddings, contents):
        tx.execute(delete(cut).where(cut.c.sha256.not_in(there)))
    seen = select(memberships.c.identity)
    tx.execute(update(people).where(people.c.identity.not_in(seen)).values(identity=None))
    members: dict[tuple[int, str], list[int]] = {}
    for row in tx.execute(select(era_faces)):
        members.setdefault((row.identity, row.name), []).append(row.face_id)
    tx.execute(delete(eras))
    for (number, name), face_ids in members.items():
        _write_era(tx, number, face_ids, is_named=name == SCHOOL)
    tx.execute(delete(identities).where(identities.c.number.not_in(seen)))


def _number(row: dict[str, Any]) -> int:
    return int(row["asset_id"].removeprefix("a"))


def _owned(row: dict[str, Any], user: str) -> dict[str, Any]:
    taken = row["taken_at"] + timedelta(days=400 if user == BEN else 0)
    own = {
        "source": user,
        "asset_id": f"{user}-{row['asset_id']}",
        "path": f"/photos/{user}/{taken.year}/{row['file_name']}",
        "file_name": f"{user}_{row['file_name']}",
        "taken_at": taken,
        "local_date": taken.isoformat()[:19],
        "created_at": START,
    }
    return row | own


def _write_people(tx: Connection, user: str, numbers: list[int]) -> None:
    """Name some of the identities, also one of whom this user has no picture."""
    named = [number for number in numbers if number != LABELLED and (number < 4 or number % 3 == USERS.index(user))]
    who = [{"source": user, "person_id": f"{user}-p{number}"} for number in named]
    names = [{"name": f"{user}'s friend {n}", "is_hidden": False, "identity": n} for n in named]
    tx.execute(insert(people), [a | b for a, b in zip(who, names, strict=True)])
    born = [
        {"account": "", "birth_date": f"19{70 + USERS.index(user)}-01-{1 + n % 28:02}", "is_last": True} for n in named
    ]
    tx.execute(insert(births), [a | b for a, b in zip(who, born, strict=True)])


def _write_eras(tx: Connection, numbers: list[int]) -> None:
    for number in numbers:
        face_ids = list(tx.scalars(select(memberships.c.face_id).where(memberships.c.identity == number)))
        for half in (0, 1):
            if some := [face for face in face_ids if face % 2 == half]:
                _write_era(tx, number, some, is_named=half == 0)


def _write_era(tx: Connection, number: int, face_ids: list[int], *, is_named: bool) -> None:
    """Write an era with the years of its pictures, and a name that says the main one unless a moderator gave another."""
    day = func.min(assets.c.local_date).filter(assets.c.date_kind.in_(EVIDENCE))
    dated = tx.scalars(
        select(day)
        .select_from(faces.join(assets, assets.c.content == faces.c.sha256))
        .where(faces.c.face_id.in_(face_ids))
        .group_by(faces.c.face_id)
    )
    years = sorted(int(found[:4]) for found in dated if found is not None)
    main = Counter(years).most_common(1)[0][0] if years else None
    name = SCHOOL if is_named else "undated" if main is None else str(main)
    span = {"from_year": min(years, default=None), "main_year": main, "to_year": max(years, default=None)}
    tx.execute(insert(eras).values(identity=number, name=name, kind="years", made_at=START, **span))
    tx.execute(
        insert(era_faces),
        [{"face_id": face, "identity": number, "name": name, "is_founder": True} for face in face_ids],
    )
