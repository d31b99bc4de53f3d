"""The birth dates that sources stated: all of them stay, whatever becomes of the people."""

from builders import NOON, asset, plans
from databases import at_version
from sqlalchemy import text

from immich_facesets.assets import Person, PersonKey
from service.store import assets, births, folders, sources
from service.store.database import Store, migrate


def state(store: Store, born: str | None, *, person: str = "p1", account: str = "user-1") -> None:
    """One look at Anna's people, of whom there is one."""
    store.write_now(sources.remember_source, "anna", "immich", account)
    store.write_now(sources.remember_people, "anna", [Person(person, "Mira", born, is_hidden=False)])


def known(store: Store) -> dict[PersonKey, tuple[str, ...]]:
    return store.read_now(births.births_of_people)


def test_a_birth_date_stays_when_the_person_is_not_listed_or_states_none_any_more(store: Store) -> None:
    state(store, "2015-02-03")
    state(store, None)
    assert known(store) == {("anna", "p1"): ("2015-02-03",)}
    store.write_now(sources.remember_people, "anna", [])
    assert known(store) == {("anna", "p1"): ("2015-02-03",)}


def test_a_corrected_birth_date_counts_and_a_third_one_after_it(store: Store) -> None:
    for born in ("2015-02-03", "2005-02-03", "2015-02-03", "2015-02-03"):
        state(store, born)
        assert known(store) == {("anna", "p1"): (born,)}


def test_another_account_in_the_same_place_takes_no_birth_date_away(store: Store) -> None:
    state(store, "2015-02-03")
    store.write_now(folders.forget_removed, ["anna"])
    state(store, "1980-01-01", account="user-2")
    state(store, "1990-01-01", person="p2", account="user-2")
    assert known(store) == {("anna", "p1"): ("1980-01-01", "2015-02-03"), ("anna", "p2"): ("1990-01-01",)}


def test_a_look_at_the_same_people_changes_nothing(store: Store) -> None:
    state(store, "2015-02-03")
    before = store.read_now(lambda tx: tx.execute(text("SELECT value FROM facts WHERE name = 'state'")).scalar_one())
    state(store, "2015-02-03")
    after = store.read_now(lambda tx: tx.execute(text("SELECT value FROM facts WHERE name = 'state'")).scalar_one())
    assert before == after


def test_an_older_database_keeps_the_birth_dates_of_its_people(store: Store) -> None:
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    store.write_now(assets.remember_page, plans(asset()), run_id=1)
    state(store, "2015-02-03")
    store.write_now(sources.finish_listing, "anna", watermark=NOON, full_at=NOON)
    at_version(store, "0009")
    migrate(store.engine)
    assert known(store) == {("anna", "p1"): ("2015-02-03",)}
    state(store, "2005-02-03")
    assert known(store) == {("anna", "p1"): ("2005-02-03",)}, "of the same account"
