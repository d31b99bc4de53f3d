"""Proposals of a real database through the API: similar faces, and a split."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientSession
from browsed_library import SPACE, BrowsedLibrary, fill
from sqlalchemy import Connection, delete, select, update
from web_scene import BEARER, Scene, invented_thresholds, visit

from service.reports.library import library_reads
from service.settings import Settings
from service.store.database import Store
from service.store.named_values import write_thresholds
from service.store.tables import faces, memberships

LIBRARY = BrowsedLibrary(sizes=(40, 25), strangers=9, dimension=64)


@pytest.fixture
def filled(store: Store) -> Store:
    fill(store, LIBRARY)
    store.write_now(write_thresholds, replace(invented_thresholds(), space=SPACE))
    return store


@asynccontextmanager
async def asking(store: Store) -> AsyncIterator[ClientSession]:
    scene = Scene()
    scene.library = library_reads(store, Settings(), scene.board)
    async with visit(scene) as client:
        yield client


async def told(client: ClientSession, path: str, status: int = 200) -> Any:
    async with client.get(f"/api/identities/{path}", headers=BEARER) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


def members(store: Store, number: int) -> list[int]:
    def read(tx: Connection) -> list[int]:
        return list(tx.scalars(select(memberships.c.face_id).where(memberships.c.identity == number)))

    return sorted(store.read_now(read))


def picture_of(store: Store) -> dict[int, str]:
    def read(tx: Connection) -> dict[int, str]:
        return {row.face_id: row.sha256 for row in tx.execute(select(faces.c.face_id, faces.c.sha256))}

    return store.read_now(read)


def run(store: Store, statement: Any) -> None:
    def write(tx: Connection) -> None:
        tx.execute(statement)

    store.write_now(write)


async def test_faces_that_an_identity_lost_are_similar_to_it_and_no_others(filled: Store) -> None:
    lost, pictures = members(filled, 1)[::4], picture_of(filled)
    run(filled, delete(memberships).where(memberships.c.face_id.in_(lost)))
    async with asking(filled) as client:
        found = await told(client, "1/similar")
        fewer = await told(client, "1/similar?limit=2")
        nobody = await told(client, "2/similar")
    shown = {one["face"]["id"] for one in found["faces"]}
    assert shown <= set(lost)
    free = {pictures[face] for face in lost} - {pictures[face] for face in members(filled, 1)}
    assert {pictures[face] for face in shown} == free, "one face of each picture, where it has none yet"
    assert len(shown) == len(free) > 2
    assert found["total"] == len(shown)
    assert found["clear"] == sum(one["is_clear"] for one in found["faces"]) > 0
    assert {one["rival"] for one in found["faces"]} == {2}
    assert all(one["face"]["identity"] is None for one in found["faces"])
    assert fewer["faces"] == found["faces"][:2]
    assert fewer["total"] == found["total"]
    assert nobody == {"total": 0, "clear": 0, "faces": []}


async def test_an_identity_of_two_people_gets_a_proposal_and_one_of_one_person_none(filled: Store) -> None:
    one, two = members(filled, 1), members(filled, 2)
    async with asking(filled) as client:
        whole = await told(client, "1/parts")
        run(filled, update(memberships).where(memberships.c.identity == 2).values(identity=1))
        found = await told(client, "1/parts")
        empty = await told(client, "2/parts")
    assert [part["faces"] for part in whole["parts"]] == [one]
    parts = [set(part["faces"]) for part in found["parts"]]
    assert len(parts) == 2
    assert parts[0] <= set(one)
    assert parts[1] <= set(two)
    placed = parts[0] | parts[1] | set(found["unclear"])
    assert placed == set(one) | set(two)
    assert len(found["unclear"]) < 10
    for part in found["parts"]:
        assert part["first_date"] <= part["last_date"]
        assert {face["id"] for face in part["examples"]} <= set(part["faces"])
    assert empty == {"parts": [], "unclear": []}


async def test_before_the_first_grouping_there_are_no_proposals_and_a_message_says_what_to_do(store: Store) -> None:
    fill(store, LIBRARY)
    async with asking(store) as client:
        for part in ("similar", "parts"):
            problem = await told(client, f"1/{part}", status=503)
            assert "run 'immich-facesets sync' first" in problem["detail"]


async def test_the_only_identity_has_proposals_without_a_rival(store: Store) -> None:
    fill(store, BrowsedLibrary(sizes=(40,), dimension=64))
    store.write_now(write_thresholds, replace(invented_thresholds(), space=SPACE))
    run(store, delete(memberships).where(memberships.c.face_id.in_(members(store, 1)[::4])))
    async with asking(store) as client:
        found = await told(client, "1/similar")
    assert found["total"] > 0
    assert {(one["rival"], one["rival_distance"]) for one in found["faces"]} == {(None, None)}
