"""Decisions of another installation: identities are found by their faces, and a second import adds nothing."""

import shutil
from pathlib import Path

import pytest
from builders import NOON
from moderated_library import Moderated

from immich_facesets.moderation.records import from_lines, to_lines
from immich_facesets.moderation.requests import LockIdentity, MergePeople, MoveFaces, NameIdentity, UndoDecision
from service.store.database import Store, open_engine
from service.store.decision_imports import ImportedDecisions, import_decisions, preview_import
from service.store.identities import labels


@pytest.fixture
def there(tmp_path: Path, migrated_sqlite: Path) -> Moderated:
    """Another installation: identities 1, 2 and 3 are the people 1, 2 and 3."""
    shutil.copyfile(migrated_sqlite, tmp_path / "there.db")
    found = Moderated(Store(open_engine(f"sqlite:///{tmp_path / 'there.db'}")))
    for person, count in ((1, 7), (2, 6), (3, 5)):
        found.add(person, count=count)
    found.group()
    return found


@pytest.fixture
def here(store: Store) -> Moderated:
    """The same pictures, but person 3 has more, and so is identity 1; persons 1 and 2 are 2 and 3."""
    found = Moderated(store)
    for person, count in ((1, 7), (2, 6), (3, 5)):
        found.add(person, count=count)
    found.add(3, count=4)
    found.group()
    assert [found.number(name) for name in ("p0", "p7", "p13")] == [2, 3, 1]
    return found


def brought(there: Moderated, here: Moderated) -> ImportedDecisions:
    lines = from_lines(b"".join(to_lines(there.records())))
    previewed = here.store.read_now(preview_import, lines)
    done = here.store.write_now(import_decisions, lines, NOON)
    assert done == previewed
    return done


def test_identities_are_found_by_their_faces_whatever_their_numbers(there: Moderated, here: Moderated) -> None:
    there.decide(NameIdentity(identity=1, label="Ada"), LockIdentity(identity=3))
    there.decide(MergePeople(numbers=(2,), into=1))
    done = brought(there, here)
    assert (done.added, done.known, done.renumbered) == (3, 0, ((1, 2), (2, 3), (3, 1)))
    assert {here.number("p0"), here.number("p7")} == {2}
    assert here.store.read_now(labels)[2] == "Ada"
    assert here.state()["identities"][1]["is_locked"]  # type: ignore[index]
    record = here.records()[0]
    assert (record.made_by, record.reason, record.uid) == ("anna", "a reason", there.records()[0].uid)
    plan = here.plan()
    assert (plan.joins, plan.leaves, plan.new) == ((), (), ())


def test_a_second_import_adds_nothing_and_a_later_one_only_what_is_new(there: Moderated, here: Moderated) -> None:
    done = there.decide(NameIdentity(identity=1, label="Ada"))
    brought(there, here)
    before = here.state()
    assert brought(there, here) == ImportedDecisions(0, 1, ((1, 2),))
    assert here.state() == before
    there.decide(UndoDecision(decision=done.decisions[0]))
    assert brought(there, here).added == 1
    assert here.store.read_now(labels) == {}
    there.decide(NameIdentity(identity=3, label="Eve"), NameIdentity(identity=1, label="Ida"))
    assert brought(there, here).added == 2
    assert here.store.read_now(labels) == {1: "Eve", 2: "Ida"}, "the person who was 3 there is 1 here"


def test_a_new_person_of_another_installation_gets_a_number_of_its_own(there: Moderated, here: Moderated) -> None:
    here.decide(MoveFaces(faces=(here.face("p13"),)))
    assert here.number("p13") == 4
    there.decide(MoveFaces(faces=(there.face("p0"),)))
    assert there.number("p0") == 4
    assert (4, 5) in brought(there, here).renumbered
    assert (here.number("p0"), here.number("p13"), here.number("p1")) == (5, 4, 2)
