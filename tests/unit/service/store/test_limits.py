"""Limits of databases: any number of keys, and the first and last instants there are."""

import ast
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import asset, one_identity
from sqlalchemy import Connection, make_url, select, text

import service.store
from immich_facesets.assets import FaceHint, Person
from immich_facesets.faces import Box
from immich_facesets.listing import ListingRules, plan_page
from service.store import (
    assets,
    contents,
    eras,
    exports,
    face_readings,
    folders,
    identities,
    picture_copies,
    sources,
    tables,
)
from service.store.database import Store, open_engine
from service.store.eras import EraVersion

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MANY = 66_000
"""More than the 32,766 parameters of SQLite and the 65,535 of PostgreSQL."""

BOUNDED = {
    "some", "shown", "changed",  # chunks, and parts of them
    "leaves", "{asset.source for asset in some}", "[asset.asset_id for asset in some]",  # parts of chunks
    "kept", "sources", "among",  # spaces in use; sources of the settings
    "EVIDENCE", "select(former_members.c.sha256).where(is_wanted)", "before",  # kinds of dates; subqueries
    "set(sources)", "asset_ids", "others",  # parts of chunks
    "items", "tried",  # a page of failures; the places of one picture
    "{source for source, _ in known}", "_CRASHED", "_KINDS", "reasons", "holding", "lost", "of_known", "filled",  # sources, constants, subqueries
    "numbers", "traces.numbers",  # of one person, merged ones too
    "(GUARDRAILS, QUESTIONS, _NEARLY_THERE, _PARTINGS, _ANSWERED)", "VERSION_FACTS",  # constants
}  # fmt: skip
"""The expressions that a statement may list."""


def add_identity(tx: Connection, row: Mapping[str, Any]) -> None:
    tx.execute(tables.identities.insert(), [row])


def divide(_: Connection) -> float:
    return 1 / 0


def names(count: int = MANY) -> list[str]:
    return [f"key-{number}" for number in range(count)]


def test_a_source_may_have_more_people_than_a_statement_has_parameters(store: Store) -> None:
    people = [Person(name, name, None, is_hidden=False) for name in names()]
    store.write_now(sources.remember_people, "anna", people)
    assert store.read_now(sources.absent_people, "anna", names()[1:]) == names()[:1]


def test_a_picture_may_have_more_faces_than_a_statement_has_parameters(store: Store) -> None:
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    store.write_now(assets.remember_page, plan_page([asset("a1")], {}, NOON, ListingRules()), run_id=1)
    hints = tuple(FaceHint(name, Box(0, 0, 10, 10), 100, 100, None) for name in names())
    for found in (hints, hints[1:]):
        store.write_now(face_readings.record_look, asset("a1"), found, now=NOON, rules=ListingRules())
    assert store.read_now(lambda tx: len(tx.execute(select(tables.hints)).all())) == MANY - 1


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (assets.known_assets, ("anna", names())),
        (assets.stamps, ("anna", names())),
        (contents.vectors_of, (range(MANY), 4)),
        (exports.crop_facts, (range(MANY), "key")),
        (picture_copies.faces_in, ("space-1", names())),
    ],
)
def test_a_question_may_be_about_any_number_of_keys(store: Store, function: Any, arguments: tuple[Any, ...]) -> None:
    store.read_now(function, *arguments)


def test_a_change_may_be_about_any_number_of_keys(store: Store) -> None:
    store.write_now(assets.see_again, "anna", names(), run_id=1)
    store.write_now(contents.forget_lost, names(), "space-1")
    store.write_now(folders.forget_removed, names())
    store.write_now(identities.apply_grouping, replace(one_identity(), leaves=tuple(range(MANY))), NOON)
    version = EraVersion("years", "digest")
    assert store.write_now(eras.record_eras, 1, (), leaves=range(MANY), before=None, version=version, now=NOON) in {
        True,
        False,
    }


def test_no_statement_lists_keys_but_in_chunks() -> None:
    listed = set()
    for path in Path(service.store.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in {"in_", "not_in"}
            ):
                listed.add(ast.unparse(node.args[0]))
    assert listed <= BOUNDED


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_first_and_last_instants_are_the_same_in_every_time_zone_of_the_server(
    postgres: str, database_url: str, zone: str
) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("SQLite has no time zone")
    name = make_url(database_url).database
    admin = open_engine(postgres.format(name="postgres"))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"ALTER DATABASE {name} SET timezone = '{zone}'"))
    admin.dispose()
    store = Store(open_engine(database_url))
    tables.metadata.create_all(store.engine)
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(microsecond=999_000, tzinfo=UTC)
    instants = (first, first + timedelta(hours=13), NOON, last - timedelta(hours=13), last)
    try:
        for number, moment in enumerate(instants):
            row = {"number": number, "origin": "asserted", "created_at": moment}
            store.write_now(add_identity, row)
        with pytest.raises(ZeroDivisionError):
            store.write_now(divide)  # a rollback keeps the zone of the session
        numbered = select(tables.identities.c.created_at).order_by(tables.identities.c.number)
        assert tuple(store.read_now(lambda tx: list(tx.scalars(numbered)))) == instants
        assert store.read_now(identities.labels) == {}
    finally:
        store.close()
