"""Answers that a reader keeps equal those that it would read anew, after every kind of change and from any process."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from browsed_library import SPACE, BrowsedLibrary, fill
from builders import RECIPE, face_answer
from counted_statements import counted_statements
from sqlalchemy import Connection, delete, exists, func, insert, select, true, update

from immich_facesets.faces import Box
from immich_facesets.moderation.decisions import Cover, FaceRef, Ignore, Lock, Merge, NeverExport, Part
from immich_facesets.moderation.records import Author
from immich_facesets.moderation.requests import FaceSelection, MoveFaces, UndoDecision
from service.store.browsing import summaries
from service.store.browsing.identity_details import companions, identity_details, survivor
from service.store.browsing.identity_faces import faces_by_column
from service.store.browsing.identity_figures import identity_figures
from service.store.browsing.identity_lists import IdentityFilter, covers_of, identity_page
from service.store.browsing.kept import MOST_ANSWERS, Kept, Now
from service.store.browsing.review_page import review_page
from service.store.browsing.slices import Slice
from service.store.change_tracking import OF_NOBODY, consequences, read_versions, reading, renewing
from service.store.contents import EmbeddedContent, FoundFace, record_content
from service.store.database import Store, open_engine
from service.store.decisions import record_decision
from service.store.exports import record_phash
from service.store.moderation import decide
from service.store.runs import source_counts
from service.store.tables import (
    assets,
    births,
    crops,
    era_faces,
    eras,
    exports,
    faces,
    identities,
    memberships,
    people,
    review_items,
    sources,
)
from service.store.upsert import BOOKKEEPING, upsert

LIBRARY = BrowsedLibrary(sizes=(40, 25, 25, 12, 9, 7, 3, 3), strangers=30, named_share=0.5)
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
FILTERS = (
    IdentityFilter(),
    IdentityFilter(text="person 2"),
    IdentityFilter(is_named=False),
    IdentityFilter(source="scans"),
    IdentityFilter(has_birth_date=True),
    IdentityFilter(is_minor=True),
    IdentityFilter(has_questions=True),
    IdentityFilter(is_exported=True),
    IdentityFilter(least_pictures=10),
    IdentityFilter(found_since=datetime(2025, 1, 1, tzinfo=UTC)),
)
ENTRY = {"identity": 3, "faces": 5}
QUESTION = {
    "key": "face 1", "kind": "member", "reason": "far", "identity": 3, "other": None, "face_id": 1, "part": [], "sizes": [25],
    "probability": 0.9, "settles": 1, "is_exported": True, "benefit": 0.9, "comes_last": False, "basis": 1, "evidence": [[2]],
}  # fmt: skip


@pytest.fixture
def filled(store: Store) -> Store:
    fill(store, LIBRARY)
    if store.kind == "postgresql":  # the library numbers its faces itself
        last = func.setval(func.pg_get_serial_sequence("faces", "face_id"), LIBRARY.faces)
        store.write_now(ran(select(last)))
    return store


def everything(store: Store, kept: Kept) -> list[Any]:
    """Every answer that is made of what is kept."""

    def read(tx: Connection) -> list[Any]:
        found: list[Any] = [identity_page(tx, wanted, "faces", Slice(50), kept) for wanted in FILTERS]
        found += [identity_page(tx, IdentityFilter(), sort, Slice(3), kept) for sort in ("name", "pictures", "number")]
        for number in (1, 3, 6, 8):
            found += [survivor(tx, number, kept), identity_details(tx, number, kept)]
            found += [companions(tx, number, Slice(50), kept), kept.at(tx).read(identity_figures, number)]
            for sort in ("distance", "doubt", "time"):
                found.append(faces_by_column(tx, FaceSelection(identity=number), sort, Slice(200), kept))
        return [*found, covers_of(tx, range(9), kept), review_page(tx, Slice(9), None, kept), source_counts(tx, kept)]

    return store.read_now(read)


def decided(decision: Any) -> Callable[[Connection], object]:
    return lambda tx: record_decision(tx, decision, made_by="anna", now=NOW)


def ran(statement: Any) -> Callable[[Connection], object]:
    return lambda tx: tx.execute(statement)


def of_number(number: int) -> Any:
    mine = select(memberships.c.face_id).where(memberships.c.identity == number)
    return assets.c.content.in_(select(faces.c.sha256).where(faces.c.face_id.in_(mine)))


def cover(tx: Connection) -> None:
    mine = select(faces).join(memberships, memberships.c.face_id == faces.c.face_id).where(memberships.c.identity == 3)
    row = tx.execute(mine.order_by(faces.c.face_id.desc())).first()
    assert row is not None
    decided(Cover(3, FaceRef(row.sha256, Box(row.x1, row.y1, row.x2, row.y2))))(tx)


def of_one_more(tx: Connection) -> None:
    """A face of nobody is a new identity."""
    free = tx.scalar(select(faces.c.face_id).where(faces.c.face_id.not_in(select(memberships.c.face_id))).limit(1))
    tx.execute(insert(identities).values(number=9, origin="discovered", created_at=NOW))
    tx.execute(insert(memberships).values(face_id=free, identity=9, distance=0.1, how="matched"))


NEAREST = memberships.c.distance, memberships.c.face_id


def crop_less(tx: Connection) -> None:
    """The cover of a person loses its crop; the members stay."""
    mine = select(crops.c.face_id).join(memberships, memberships.c.face_id == crops.c.face_id)
    nearest = tx.scalar(mine.where(memberships.c.identity == 4).order_by(*NEAREST).limit(1))
    tx.execute(delete(crops).where(crops.c.face_id == nearest))


def crop_more(tx: Connection) -> None:
    """The face nearest to the others of a person gains a crop; the members stay."""
    mine = select(memberships.c.face_id).where(memberships.c.identity == 4)
    bare = tx.scalar(mine.where(memberships.c.face_id.not_in(select(crops.c.face_id))).limit(1))
    tx.execute(update(memberships).where(memberships.c.face_id == bare).values(distance=0.0))
    upsert(tx, crops, [{"face_id": bare, "file": "more.jpg", "x1": 0.0, "y1": 0.0, "x2": 9.0, "y2": 9.0}])


def picture_read(tx: Connection, *, of: int | None, sha256: str) -> None:
    """The bytes of a picture are read that shows other ones now: of a member of an identity, or of nobody (None)."""
    shown = select(assets.c.fingerprint).join(faces, faces.c.sha256 == assets.c.content)
    member = exists().where(memberships.c.face_id == faces.c.face_id)
    wanted = ~member if of is None else member.where(memberships.c.identity == of)
    among = select(faces.c.sha256).where(member)
    others = true() if of is not None else assets.c.content.not_in(among)
    fingerprint = tx.scalar(shown.where(wanted, others).order_by(assets.c.local_date, assets.c.fingerprint).limit(1))
    assert fingerprint is not None
    read = EmbeddedContent(
        fingerprint=fingerprint, sha256=sha256, sha1="0" * 40, size_bytes=1, width=900, height=900,
        recipe=replace(RECIPE, space=SPACE), faces=(FoundFace(face_answer(), "some.jpg"),),
    )  # fmt: skip
    record_content(tx, read, NOW)


FIRST_OF_3 = select(func.min(memberships.c.face_id)).where(memberships.c.identity == 3).scalar_subquery()
BY = Author("anna", "page")


def some_of(tx: Connection, number: int) -> tuple[int, ...]:
    return tuple(tx.scalars(select(memberships.c.face_id).filter_by(identity=number).order_by("face_id").limit(2)))


CHANGES: dict[str, Callable[[Connection], object]] = {
    "a label": ran(update(identities).where(identities.c.number == 3).values(label="Zoe")),
    "a lock": decided(Lock(3)),
    "never export": decided(NeverExport(4)),
    "a stranger": decided(Ignore(identity=5)),
    "a merge": decided(Merge(3, (Part(6, ()),))),
    "a cover": cover,
    "a name": ran(update(people).where(people.c.person_id == "p2").values(name="Berta")),
    "a person who is gone": ran(update(people).where(people.c.person_id == "p2").values(is_gone=True)),
    "a birth date": ran(
        insert(births).values(source="anna", account="a", person_id="p4", birth_date="2020-03-01", is_last=True)
    ),
    "a date": ran(update(assets).where(of_number(3)).values(local_date="1990-07-01T10:00:00", date_kind="camera")),
    "what a date is worth": ran(update(assets).where(of_number(3)).values(date_kind="file")),
    "pictures that are gone": ran(update(assets).where(of_number(1)).values(is_gone=True)),
    "pictures of another source": ran(update(assets).where(of_number(7)).values(source="scans")),
    "a member less": ran(delete(memberships).where(memberships.c.identity == 8)),
    "a member more": of_one_more,
    "a face that is gone": ran(delete(faces).where(faces.c.face_id == FIRST_OF_3)),
    "other distances": ran(update(memberships).values(distance=memberships.c.distance / 2)),
    "other nearest faces": ran(update(memberships).values(distance=1 - memberships.c.distance)),
    "a crop less": crop_less,
    "a crop more": crop_more,
    "faces that moved": lambda tx: decide(tx, [MoveFaces(faces=some_of(tx, 1), into=2, even_if_locked=True)], BY, NOW),
    "a picture of nobody": lambda tx: picture_read(tx, of=None, sha256="c" * 64),
    "a picture of a member": lambda tx: picture_read(tx, of=2, sha256="d" * 64),
    "another crop": ran(update(crops).values(file=crops.c.file + ".png")),
    "an export": ran(insert(exports).values(directory="faceset_003", digest="d", entry=ENTRY, written_at=NOW)),
    "a question": ran(insert(review_items).values(QUESTION)),
    "the end of a listing": lambda tx: tx.execute(update(sources).values(videos=7), execution_options=BOOKKEEPING),
}


def test_every_change_is_seen_at_once(filled: Store) -> None:
    kept = Kept()
    before = everything(filled, kept)
    for place, (name, change) in enumerate(CHANGES.items()):
        if place % 2:
            with consequences():  # as a grouping writes what it decided
                filled.write_now(change)
        else:
            filled.write_now(change)
        after = everything(filled, kept)
        assert after != before, name
        assert after == everything(filled, Kept()), name
        before = after


def test_what_another_process_writes_is_seen_at_once(filled: Store) -> None:
    """A command writes beside the service, over a connection of its own."""
    kept, other = Kept(), Store(open_engine(filled.engine.url.render_as_string(hide_password=False)))
    before = everything(filled, kept)
    for name in ("a label", "a date", "a member less"):
        other.write_now(CHANGES[name])
        after = everything(filled, kept)
        assert after != before
        assert after == everything(filled, Kept())
        before = after
    other.close()


def test_a_reader_asks_for_nothing_again_until_something_changes(filled: Store) -> None:
    kept = Kept()

    def read(tx: Connection) -> None:
        identity_page(tx, IdentityFilter(), "faces", Slice(50), kept)

    def asked() -> str:
        with counted_statements(filled) as sent:
            filled.read_now(read)
        return "\n".join(sent)

    first, second = asked(), asked()
    for table in ("FROM decisions", "FROM people", "FROM memberships"):
        assert table in first
        assert table not in second
    filled.write_now(ran(insert(review_items).values(QUESTION)))
    assert "FROM memberships" not in asked(), "a question changes nothing of what is kept"
    filled.write_now(decided(Lock(3)))
    again = asked()
    assert "FROM decisions" in again
    assert "assets" not in again, "a decision changes no date"
    filled.write_now(CHANGES["a date"])
    assert "assets" in asked()


def asked_after(store: Store, kept: Kept, change: Callable[[Connection], object]) -> str:
    """The statements of a list of people after a change."""
    store.write_now(change)
    with counted_statements(store) as sent:
        store.read_now(lambda tx: identity_page(tx, IdentityFilter(), "faces", Slice(50), kept))
    return "\n".join(sent)


def test_a_picture_of_nobody_changes_nothing_of_a_list_of_people(filled: Store) -> None:
    kept = Kept()
    everything(filled, kept)
    asked = asked_after(filled, kept, CHANGES["a picture of nobody"])
    assert not [table for table in ("decisions", "people", "memberships", "assets") if f"FROM {table}" in asked]
    assert "FROM memberships" in asked_after(filled, kept, CHANGES["a picture of a member"])


def test_a_check_of_a_crop_changes_nothing_of_a_list_of_people(filled: Store) -> None:
    kept = Kept()
    everything(filled, kept)
    assert "JOIN crops" not in asked_after(filled, kept, lambda tx: record_phash(tx, [(1, "0" * 16)]))
    assert "JOIN crops" in asked_after(filled, kept, CHANGES["a crop less"])


def test_after_a_move_only_the_two_people_are_read_again(filled: Store) -> None:
    kept = Kept()
    everything(filled, kept)
    filled.write_now(CHANGES["faces that moved"])
    read, before = list[int](), summaries._covers

    def covers(tx: Connection, numbers: Any) -> Any:
        read.extend(numbers)
        return before(tx, numbers)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(summaries, "_covers", covers)
        everything(filled, kept)
    assert read == [1, 2]


def test_an_answer_from_a_table_without_a_version_is_not_kept(filled: Store) -> None:
    kept = Kept()

    def count(tx: Connection) -> int:
        return tx.scalar(select(func.count()).select_from(review_items)) or 0

    def outer(now: Now) -> int:
        return now.read(count)

    def read(tx: Connection) -> tuple[int, int]:
        return kept.at(tx).read(count), kept.at(tx).derive(outer)

    assert filled.read_now(read) == (0, 0)
    filled.write_now(ran(insert(review_items).values(QUESTION)))
    assert filled.read_now(read) == (1, 1)


def test_a_row_that_goes_with_another_renews_the_version_of_its_table(filled: Store) -> None:
    before = filled.read_now(read_versions)
    filled.write_now(CHANGES["a face that is gone"])
    after = filled.read_now(read_versions)
    renewed = {name for name in after if after[name] != before.get(name)}
    assert {"faces", "memberships", "crops", "vectors", "era_faces"} <= renewed
    assert "assets" not in renewed


def test_what_was_taken_back_is_not_kept(filled: Store) -> None:
    kept = Kept()
    before = everything(filled, kept)

    def fail(tx: Connection) -> None:
        CHANGES["a label"](tx)
        raise ValueError("undone")

    with pytest.raises(ValueError, match="undone"):
        filled.write_now(fail)
    assert everything(filled, kept) == before


def test_the_answers_to_the_latest_questions_are_kept(filled: Store) -> None:
    kept, asked = Kept(), list[int]()

    def answer(_tx: Connection, number: int) -> int:
        asked.append(number)
        return number

    def read(tx: Connection) -> None:
        for number in range(MOST_ANSWERS):
            kept.at(tx).read(answer, number)
        for number in (0, MOST_ANSWERS, 0, 1):
            kept.at(tx).read(answer, number)

    filled.read_now(read)
    assert asked == [*range(MOST_ANSWERS + 1), 1]


def test_a_face_that_moved_and_returned_in_between_may_be_another_cover(filled: Store) -> None:
    kept = Kept()
    before = everything(filled, kept)
    moved = filled.read_now(some_of, 1)
    made = filled.write_now(decide, [MoveFaces(faces=moved, into=2, even_if_locked=True)], BY, NOW)
    filled.write_now(decide, [UndoDecision(decision=made.decisions[0], even_if_locked=True)], BY, NOW)
    after = everything(filled, kept)
    assert after == everything(filled, Kept())
    assert after != before


def test_what_goes_with_a_face_of_nobody_is_seen_at_once(filled: Store) -> None:
    """The picture of a face that is in an era of a person, and away from it, is read again and shows it no longer."""
    kept = Kept()

    def count(tx: Connection) -> int:
        return tx.scalar(select(func.count()).select_from(era_faces)) or 0

    def away(tx: Connection) -> None:
        free = select(faces.c.face_id, faces.c.sha256).where(faces.c.face_id.not_in(select(memberships.c.face_id)))
        alone = free.where(faces.c.sha256.not_in(select(faces.c.sha256).join(memberships)))
        face, sha256 = tx.execute(alone.limit(1)).one()
        tx.execute(insert(eras).values(identity=3, name="Away", kind="dated", made_at=NOW))
        tx.execute(insert(era_faces).values(face_id=face, identity=3, name="Away", is_founder=True))
        gone.append(sha256)

    gone = list[str]()
    filled.write_now(away)
    before = filled.read_now(lambda tx: kept.at(tx).read(count))
    filled.write_now(lambda tx: picture_read(tx, of=None, sha256=gone[0]))
    assert filled.read_now(lambda tx: kept.at(tx).read(count)) == before - 1


@pytest.mark.parametrize("context", [lambda tx: renewing(tx, OF_NOBODY), reading])
def test_a_connection_that_is_lost_is_told_as_what_it_is(filled: Store, context: Callable[[Connection], Any]) -> None:
    def lose(tx: Connection) -> None:
        with context(tx):
            tx.invalidate()
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        filled.write_now(lose)
    assert filled.read_now(read_versions), "the next transaction has a connection of its own"
