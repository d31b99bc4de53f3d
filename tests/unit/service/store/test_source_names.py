"""Sources under another name: everything that is known of them follows, whatever an earlier source left there."""

from dataclasses import replace
from typing import get_args

import msgspec
from builders import NOON, asset, hint, one_identity, plans
from sqlalchemy import Connection, insert, update

from immich_facesets.assets import Person
from immich_facesets.grouping.plan import Link
from immich_facesets.moderation.decisions import Decision, FaceRef, Lock, Merge, Part, Undo
from service.store import assets, births, decisions, folders, identities, past_people, source_names, sources, tables
from service.store.database import Store


def sync(store: Store, name: str, *people: Person) -> None:
    """One look at the pictures and people of an account."""
    store.write_now(sources.remember_source, name, "immich", "user-1")
    store.write_now(assets.remember_page, plans(asset("a1", source=name, hints=(hint(person_id="p1"),))), run_id=1)
    store.write_now(sources.remember_people, name, people)


def mira(born: str | None = "2015-02-03") -> Person:
    return Person("p1", "Mira", born, is_hidden=False)


def test_a_name_that_a_removed_source_had_can_be_taken_again(store: Store) -> None:
    sync(store, "anna", mira())
    store.write_now(link, "anna", 1)
    store.write_now(folders.forget_removed, ["anna"])
    sync(store, "ann", mira())
    store.write_now(source_names.rename_source, "ann", "anna")
    assert store.read_now(births.births_of_people) == {("anna", "p1"): ("2015-02-03",)}
    (row,) = store.read_now(lambda tx: tx.execute(tables.people.select()).all())
    assert (row.source, row.identity, row.is_gone) == ("anna", 1, False), "and the number of its person"


def test_the_name_that_is_shown_stays_shown(store: Store) -> None:
    for name, label in (("aaron", "Grandma"), ("ben", "Mum")):
        store.write_now(sources.remember_source, name, "immich", f"user-{name}")
        store.write_now(sources.remember_people, name, [Person("p1", label, None, is_hidden=False)])
        store.write_now(link, name, 1)
    store.write_now(show, "ben")
    assert store.read_now(identities.labels) == {1: "Mum"}
    store.write_now(source_names.rename_source, "ben", "benny")
    assert store.read_now(identities.labels) == {1: "Mum"}


def test_a_decision_about_people_of_a_source_follows_its_new_name(store: Store) -> None:
    """A merge that was undone attaches the people of its parts; another source has a person of the same id."""
    for name in ("anna", "ben"):
        store.write_now(sources.remember_source, name, "immich", f"user-{name}")
    people = (("anna", "p1"), ("ben", "p1"), ("anna", "p2"))
    merge = store.write_now(decisions.record_decision, Merge(1, (Part(2, people=people),)), made_by="anna", now=NOON)
    store.write_now(decisions.record_decision, Lock(2), made_by="anna", now=NOON)
    store.write_now(decisions.record_decision, Undo(merge), made_by="anna", now=NOON)
    before = store.read_now(decisions.constraints_now, "space")
    assert before.attached == {("anna", "p1"): 2, ("ben", "p1"): 2, ("anna", "p2"): 2}
    store.write_now(source_names.rename_source, "anna", "ann")
    renamed = {("ann", "p1"): 2, ("ben", "p1"): 2, ("ann", "p2"): 2}
    assert store.read_now(decisions.constraints_now, "space") == replace(before, attached=renamed)


def test_a_merge_is_the_only_kind_of_decision_that_names_people() -> None:
    """Another kind that does needs its new name in ``rename_source`` too."""
    texts = {
        (kind.__name__, field.name)
        for kind in (*get_args(Decision), Part, FaceRef)
        for field in msgspec.structs.fields(kind)
        if "str" in str(field.type)
    }
    labels = {("Label", "label"), ("Label", "before"), ("Merge", "label"), ("Merge", "label_before")}
    digests = {
        ("ReferencePicture", "digest"),
        ("Forget", "salt"),
        ("Forget", "marks"),
    }  # of accounts, which stay when a source is renamed
    profiles = {("Merge", "profiles_off"), ("Profiles", "off"), ("Profiles", "before")}
    eras = {("Eras", "name"), ("Eras", "eras")}
    assert texts == {
        *labels,
        *eras,
        *digests,
        *profiles,
        ("BirthDate", "birth_date"),
        ("Part", "people"),
        ("FaceRef", "sha256"),
    }


def test_every_column_that_holds_the_name_of_a_source_is_known() -> None:
    named = {column.name for table in tables.metadata.sorted_tables for column in table.c if "source" in column.name}
    assert named <= {*source_names.NAMING_COLUMNS, "sources"}, "the last one lists the sources of a past sync"


def test_what_is_known_of_an_identity_follows_it_into_another(store: Store) -> None:
    """The person of identity 1 is gone at the source; identity 2 takes over all of identity 1."""
    sync(store, "anna", mira())
    store.write_now(link, "anna", 1)
    store.write_now(sources.mark_person_gone, "anna", "p1", NOON)
    store.write_now(add_identity, 2)
    plan = replace(one_identity(2), new=(), joins=(), absorbed=((1, 2),))
    store.write_now(identities.apply_grouping, plan, NOON)
    known = {one.number: one.born for one in store.read_now(identities.all_known)}
    assert known[2] is not None, "a birthday counts though the person is gone"
    assert store.read_now(identities.birth_dates) == {2: "2015-02-03"}


def test_a_birthday_and_a_name_leave_an_identity_together_with_their_person(store: Store) -> None:
    """Publish reads these after a grouping that attached the person elsewhere."""
    sync(store, "anna", mira())
    for number in (1, 2):
        store.write_now(add_identity, number)
    linked = replace(one_identity(2), new=(), joins=(), links=(Link("anna", "p1", 1),))
    store.write_now(identities.apply_grouping, linked, NOON)
    assert store.read_now(identities.birth_dates) == {1: "2015-02-03"}
    store.write_now(identities.apply_grouping, replace(linked, links=(Link("anna", "p1", 2),)), NOON)
    assert store.read_now(identities.birth_dates) == {2: "2015-02-03"}
    assert store.read_now(identities.labels) == {2: "Mira"}
    assert {one.number: one.born is not None for one in store.read_now(identities.all_known)} == {1: False, 2: True}
    minors = store.read_now(past_people.people_of_identities, {("anna", "p1")})
    assert minors == {1: {("anna", "p1")}, 2: {("anna", "p1")}}, "the rule for minors asks every link there ever was"


def add_identity(tx: Connection, number: int) -> None:
    tx.execute(insert(tables.identities).values(number=number, origin="asserted", created_at=NOON))


def link(tx: Connection, source: str, number: int) -> None:
    if number not in {row.number for row in tx.execute(tables.identities.select())}:
        add_identity(tx, number)
    tx.execute(update(tables.people).where(tables.people.c.source == source).values(identity=number))


def show(tx: Connection, source: str) -> None:
    tx.execute(update(tables.identities).values(named_by_source=source, named_by_person="p1"))
