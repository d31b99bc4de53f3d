"""
Memberships of faces that are absent: their picture is gone, or not yet embedded in the space in use.

A number belongs to the content and the place of a face for good. When the face is there again, it is a member again. So
does the number of an identity that was dissolved: it is there again when most of its faces found one.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, exists, select, update

from immich_facesets.faces import SAME_FACE_IOU, Box
from immich_facesets.grouping.changes import Carried, Former
from service.store.chunks import chunks
from service.store.tables import assets, faces, former_members, memberships
from service.store.upsert import upsert

_BOX = (faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2)
_FORMER_BOX = (former_members.c.x1, former_members.c.y1, former_members.c.x2, former_members.c.y2)
BoxesOfContents = Mapping[str, Sequence[tuple[int, Box]]]
"""The faces of each content, by its hash: (face id, box)."""


def same_places(old: Iterable[tuple[int, str, Box]], new: BoxesOfContents) -> dict[int, int]:
    """
    Return for each new face the old one at its place, by id; ``old`` holds (id, sha256, box).

    The best overlap comes first, and each old and each new face is matched at most once.
    """
    pairs = [
        (-before.iou(box), old_id, face_id)
        for old_id, sha256, before in old
        for face_id, box in new.get(sha256, ())
        if before.iou(box) >= SAME_FACE_IOU
    ]
    found: dict[int, int] = {}
    done: set[int] = set()
    for _, old_id, face_id in sorted(pairs):
        if old_id not in done and face_id not in found:
            done.add(old_id)
            found[face_id] = old_id
    return found


def remember_members(tx: Connection, sha256s: Sequence[str]) -> None:
    """Store the memberships of all faces in these contents, which are about to be dropped."""
    for some in chunks(sha256s):
        _remember(tx, faces.c.sha256.in_(some))


def remember_left_behind(tx: Connection, space: str, carried: Collection[int]) -> None:
    """Store the memberships of the faces of a space, except ``carried`` ones, which a new space replaces."""
    _remember(tx, faces.c.space == space, but=carried)


def _remember(tx: Connection, condition: Any, *, but: Collection[int] = ()) -> None:
    rows = tx.execute(
        select(faces.c.face_id, faces.c.sha256, *_BOX, memberships.c.identity, memberships.c.how)
        .join(memberships, memberships.c.face_id == faces.c.face_id)
        .where(condition)
    )
    left_out = set(but)
    upsert(
        tx,
        former_members,
        [
            {
                **{name: value for name, value in row._mapping.items() if name != "face_id"},  # noqa: SLF001 - SQLAlchemy's documented mapping access
                "is_dissolved": False,
            }
            for row in rows
            if row.face_id not in left_out
        ],
    )


def returned_members(tx: Connection, space: str) -> dict[int, Carried]:
    """Return the former membership of each face of a space that is a member of nothing, by face id."""
    return _former(tx, space, is_dissolved=False)


def dissolved_members(tx: Connection, space: str) -> dict[int, int]:
    """Return the dissolved identity of each face of a space that was its member and is one of nothing, by face id."""
    return {face_id: former.identity for face_id, former in _former(tx, space, is_dissolved=True).items()}


def incomplete_identities(tx: Connection, space: str) -> frozenset[int]:
    """Return the identities with members in pictures that sources have, and that have no faces in a space now."""
    is_missing = ~exists().where(faces.c.sha256 == former_members.c.sha256, faces.c.space == space)
    shown = exists().where(assets.c.content == former_members.c.sha256, assets.c.is_gone.is_(False))
    rows = tx.scalars(
        select(former_members.c.identity).distinct().where(~former_members.c.is_dissolved, is_missing, shown)
    )
    return frozenset(rows)


def record_dissolved(tx: Connection, dissolved: Sequence[Former]) -> None:
    """Store of which identity, now dissolved, each of these faces was a member."""
    number_of = {one.face_id: one.identity for one in dissolved}
    for some in chunks(list(number_of)):
        rows = tx.execute(select(faces.c.face_id, faces.c.sha256, *_BOX).where(faces.c.face_id.in_(some))).all()
        upsert(
            tx,
            former_members,
            [
                {
                    **{name: getattr(row, name) for name in ("sha256", "x1", "y1", "x2", "y2")},
                    "identity": number_of[row.face_id],
                    "how": "discovered",
                    "is_dissolved": True,
                }
                for row in rows
            ],
        )


def _former(tx: Connection, space: str, *, is_dissolved: bool) -> dict[int, Carried]:
    is_wanted = former_members.c.is_dissolved.is_(is_dissolved)
    if tx.scalar(select(former_members.c.identity).where(is_wanted).limit(1)) is None:
        return {}
    new: dict[str, list[tuple[int, Box]]] = {}
    rows = tx.execute(
        select(faces.c.face_id, faces.c.sha256, *_BOX)
        .outerjoin(memberships, memberships.c.face_id == faces.c.face_id)
        .where(faces.c.space == space, memberships.c.face_id.is_(None))
        .where(faces.c.sha256.in_(select(former_members.c.sha256).where(is_wanted)))
        .order_by(faces.c.face_id)
    )
    for row in rows:
        new.setdefault(row.sha256, []).append((row.face_id, Box(row.x1, row.y1, row.x2, row.y2)))
    former = tx.execute(select(former_members).where(is_wanted).order_by(former_members.c.sha256, *_FORMER_BOX)).all()
    old = [(number, row.sha256, Box(row.x1, row.y1, row.x2, row.y2)) for number, row in enumerate(former)]
    return {
        face_id: Carried(former[number].identity, former[number].how)
        for face_id, number in same_places(old, new).items()
    }


def forget_returned(tx: Connection, face_ids: Sequence[int]) -> None:
    """Delete the former memberships at the places of these faces, which have an identity again."""
    new: dict[str, list[tuple[int, Box]]] = {}
    for some in chunks(face_ids):
        for row in tx.execute(select(faces.c.face_id, faces.c.sha256, *_BOX).where(faces.c.face_id.in_(some))):
            new.setdefault(row.sha256, []).append((row.face_id, Box(row.x1, row.y1, row.x2, row.y2)))
    for shown in chunks(sorted(new)):
        former = tx.execute(select(former_members).where(former_members.c.sha256.in_(shown))).all()
        old = [(number, row.sha256, Box(row.x1, row.y1, row.x2, row.y2)) for number, row in enumerate(former)]
        back = [former[number] for number in same_places(old, new).values()]
        if back:
            tx.execute(
                delete(former_members).where(
                    and_(
                        *(
                            former_members.c[name] == bindparam(f"b_{name}")
                            for name in ("sha256", "x1", "y1", "x2", "y2")
                        )
                    )
                ),
                [{f"b_{name}": getattr(row, name) for name in ("sha256", "x1", "y1", "x2", "y2")} for row in back],
            )


def move_former_members(tx: Connection, old: int, new: int) -> None:
    """Let faces that return join the identity that took over all of another, instead of that one."""
    tx.execute(update(former_members).where(former_members.c.identity == old).values(identity=new))
