"""Identities of a real database through the API: lists, one, its parts, and numbers that were merged."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import ClientSession
from browsed_library import SPACE, BrowsedLibrary, fill
from counted_statements import counted_statements
from sqlalchemy import Connection, delete, insert, select, update
from web_scene import BEARER, Scene, invented_thresholds, visit

from immich_facesets.faces import Box
from immich_facesets.moderation.decisions import (
    BirthDate,
    Cover,
    Decision,
    FaceRef,
    Forget,
    Ignore,
    Label,
    Lock,
    Merge,
    Minor,
    NeverExport,
    Part,
    Reject,
    Undo,
)
from service.reports.library import library_reads
from service.reports.library.known_figures import MOST_RANKINGS, KnownFigures
from service.settings import Settings
from service.store.browsing.finding import pictures_by_file_name
from service.store.browsing.identity_faces import Ranking
from service.store.browsing.standing import standing
from service.store.database import Store
from service.store.decisions import record_decision
from service.store.named_values import write_thresholds
from service.store.tables import (
    assets,
    births,
    decisions,
    era_faces,
    eras,
    exports,
    faces,
    identities,
    memberships,
    people,
    review_items,
)
from service.web.library.identities import IdentitiesQuery

LIBRARY = BrowsedLibrary(sizes=(40, 25, 25, 12, 9, 7, 3, 3), strangers=30, named_share=0.5)
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def filled(store: Store) -> Store:
    fill(store, LIBRARY)
    return store


@asynccontextmanager
async def asking(store: Store, *, base_path: str = "") -> AsyncIterator[ClientSession]:
    scene = Scene()
    scene.library = library_reads(store, Settings(base_path=base_path), scene.board)
    async with visit(scene, scene.context(base_path=base_path)) as client:
        yield client


async def told(client: ClientSession, path: str, **query: str) -> Any:
    async with client.get(f"/api/{path}", params=query, headers=BEARER) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def numbers(client: ClientSession, **query: str) -> list[int]:
    return [one["number"] for one in (await told(client, "identities", **query))["identities"]]


async def walked(
    client: ClientSession, path: str, field: str, key: str, between: Callable[[], None] | None = None, **query: str
) -> list[int]:
    """Every page of a list, one after the other; ``between`` is called after the first."""
    found, cursor = [], ""
    while True:
        page = await told(client, path, **query, **({"cursor": cursor} if cursor else {}))
        found += [one[key] for one in page[field]]
        if page["next"] is None:
            return found
        cursor = page["next"]
        if between is not None:
            between()
            between = None


def decide(store: Store, *made: Decision) -> None:
    for decision in made:
        store.write_now(record_decision, decision, made_by="anna", now=NOW)


def ref_of(store: Store, face_id: int) -> FaceRef:
    def read(tx: Connection) -> Any:
        return tx.execute(select(faces).where(faces.c.face_id == face_id)).one()

    row = store.read_now(read)
    return FaceRef(row.sha256, Box(row.x1, row.y1, row.x2, row.y2))


def run(store: Store, *statements: Any) -> None:
    def write(tx: Connection) -> None:
        for statement in statements:
            tx.execute(statement)

    store.write_now(write)


def members(store: Store, number: int) -> dict[int, float]:
    def read(tx: Connection) -> dict[int, float]:
        rows = tx.execute(select(memberships).where(memberships.c.identity == number))
        return {row.face_id: row.distance for row in rows}

    return store.read_now(read)


def pictures(store: Store, number: int) -> set[str]:
    def read(tx: Connection) -> set[str]:
        mine = select(faces.c.sha256).join(memberships, memberships.c.face_id == faces.c.face_id)
        return set(tx.scalars(mine.where(memberships.c.identity == number)))

    return store.read_now(read)


async def test_the_list_has_every_identity_with_its_counts_the_largest_first(filled: Store) -> None:
    async with asking(filled) as client:
        answer = await told(client, "identities")
    assert answer["total"] == 8
    assert answer["next"] is None
    assert [(one["number"], one["faces"]) for one in answer["identities"]] == [
        (number, LIBRARY.sizes[number - 1]) for number in range(1, 9)
    ]
    assert [one["pictures"] for one in answer["identities"]] == [len(pictures(filled, n)) for n in range(1, 9)]
    assert [one["label"] for one in answer["identities"]][:4] == [None, "Person 2", None, "Person 4"]
    cover = answer["identities"][0]["cover"]
    assert cover["face"] in members(filled, 1)
    assert cover["crop"].startswith("/api/crops/")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"q": "person 4"}, [4]),
        ({"q": "PERSON"}, [2, 4, 6, 8]),
        ({"q": "#5"}, [5]),
        ({"q": "5"}, [5]),
        ({"named": "false"}, [1, 3, 5, 7]),
        ({"locked": "true"}, [1]),
        ({"never_export": "true"}, [2]),
        ({"birth": "known"}, [4]),
        ({"birth": "unknown", "named": "true"}, [2, 6, 8]),
        ({"source": "nobody"}, []),
        ({"sort": "number", "reverse": "true"}, [8, 7, 6, 5, 4, 3, 2, 1]),
        ({"sort": "name"}, [2, 4, 6, 8, 1, 3, 5, 7]),
        ({"sort": "faces", "limit": "3"}, [1, 2, 3]),
    ],
)
async def test_a_list_is_filtered_and_sorted(filled: Store, query: dict[str, str], expected: list[int]) -> None:
    born = {"source": "anna", "account": "anna", "person_id": "p4", "birth_date": "2015-03-01", "is_last": True}
    run(filled, insert(births).values(born))
    async with asking(filled) as client:
        assert await numbers(client, **query) == expected


async def test_least_pictures_and_their_order_are_those_of_different_pictures(filled: Store) -> None:
    counts = {number: len(pictures(filled, number)) for number in range(1, 9)}
    least = sorted(counts.values())[4]
    async with asking(filled) as client:
        found = await numbers(client, min_pictures=str(least), sort="pictures")
    assert found == sorted((n for n in counts if counts[n] >= least), key=lambda n: (-counts[n], n))
    assert 3 < len(found) < 8


async def test_a_source_finds_those_who_are_in_its_pictures(filled: Store) -> None:
    def read(tx: Connection) -> set[int]:
        rows = (
            select(memberships.c.identity)
            .join(faces, faces.c.face_id == memberships.c.face_id)
            .join(assets, assets.c.content == faces.c.sha256)
            .where(assets.c.source == "scans")
        )
        return set(tx.scalars(rows))

    expected = filled.read_now(read)
    async with asking(filled) as client:
        assert set(await numbers(client, source="scans")) == expected
        run(filled, update(assets).where(assets.c.source == "scans").values(is_gone=True))
        assert await numbers(client, source="scans") == []


@pytest.mark.parametrize("sort", ["number", "name", "faces", "pictures"])
@pytest.mark.parametrize("reverse", ["false", "true"])
async def test_pages_are_stable_while_identities_come_and_go(filled: Store, sort: str, reverse: str) -> None:
    async with asking(filled) as client:
        query = {"sort": sort, "reverse": reverse}
        before = await numbers(client, **query)
        first, gone, fresh = before[:2], before[0], 99

        def change() -> None:
            """The first of the list is dissolved, and another one takes faces of nobody."""
            run(
                filled,
                delete(memberships).where(memberships.c.identity == gone),
                insert(identities).values(number=fresh, origin="discovered", created_at=NOW),
                insert(memberships).values(face_id=free_face(filled), identity=fresh, distance=0.1, how="matched"),
            )

        found = await walked(client, "identities", "identities", "number", change, limit="2", **query)
    assert found[:2] == first
    assert [number for number in found if number != fresh] == before, "each once, none left out"


def free_face(store: Store) -> int:
    def read(tx: Connection) -> int:
        owned = select(memberships.c.face_id)
        return int(tx.scalar(select(faces.c.face_id).where(faces.c.face_id.not_in(owned)).limit(1)) or 0)

    return store.read_now(read)


async def test_the_count_of_pictures_follows_the_members(filled: Store) -> None:
    async with asking(filled) as client:
        before = (await told(client, "identities/1"))["identity"]
        gone = next(iter(members(filled, 1)))
        run(filled, delete(memberships).where(memberships.c.face_id == gone))
        after = (await told(client, "identities/1"))["identity"]
    assert (before["faces"], after["faces"]) == (40, 39)
    assert after["pictures"] == len(pictures(filled, 1))


async def test_one_identity_has_all_that_is_known_of_it(filled: Store) -> None:
    rows = [{"source": "scans", "person_id": "q2", "name": "Berta", "is_hidden": False, "identity": 2}]
    born = {"source": "scans", "account": "scans", "person_id": "q2", "birth_date": "1980-01-02", "is_last": True}
    run(filled, insert(people).values(rows), insert(births).values(born))
    async with asking(filled) as client:
        answer = await told(client, "identities/2")
    assert answer["identity"]["label"] == "Person 2"
    assert [(one["source"], one["name"], one["is_shown"]) for one in answer["names"]] == [
        ("anna", "Person 2", True),
        ("scans", "Berta", False),
    ]
    assert answer["birth_date"] == "1980-01-02"
    assert answer["how"] == {"matched": 25}
    assert set(answer["sources"]) == {"anna", "scans"}
    assert answer["identity"]["first_date"] <= answer["identity"]["last_date"]
    assert answer["why_not_exported"] == "never_export"
    assert answer["is_stranger"] is False


async def test_the_faces_of_an_identity_are_filtered_as_a_selection_is(filled: Store) -> None:
    async with asking(filled) as client:
        every = await told(client, "identities/1/faces", limit="200")
        middle = sorted(one["distance"] for one in every["faces"])[20]
        year = sorted(one["taken"] or "" for one in every["faces"])[20][:4]
        far = await told(client, "identities/1/faces", farther_than=str(middle), limit="5")
        old = await told(client, "identities/1/faces", taken_before=year, sort="time", limit="200")
        best = await told(client, "identities/1/faces", taken_before=year, sort="quality", limit="200")
        other = await told(client, "identities/1/faces", source="nobody")
    assert every["total"] == len(every["faces"]) == 40
    assert (far["total"], len(far["faces"])) == (19, 5)
    assert all(one["distance"] > middle for one in far["faces"])
    expected = {one["id"] for one in every["faces"] if one["taken"] and one["taken"] < year}
    assert {one["id"] for one in old["faces"]} == {one["id"] for one in best["faces"]} == expected
    assert old["total"] == best["total"] == len(expected)
    scores = [one["score"] for one in best["faces"]]
    assert scores == sorted(scores, reverse=True)
    assert (other["total"], other["faces"]) == (0, [])


async def test_the_figures_of_an_identity_count_each_face_once(filled: Store) -> None:
    filled.write_now(write_thresholds, replace(invented_thresholds(), space=SPACE))
    async with asking(filled) as client:
        faces = (await told(client, "identities/1/faces", limit="200"))["faces"]
        figures = await told(client, "identities/1/figures")
        nobody = await told(client, "identities/5/figures")
    years = Counter(int(one["taken"][:4]) for one in faces if one["taken"])
    assert {one["year"]: one["faces"] for one in figures["years"]} == dict(years)
    assert figures["undated"] == sum(one["taken"] is None for one in faces)
    width = figures["bin_width"]
    assert sum(figures["distances"]) == len(faces)
    for place, count in enumerate(figures["distances"][:-1]):
        inside = sum(place * width <= one["distance"] < (place + 1) * width for one in faces)
        assert abs(count - inside) <= 1, "answers round a distance to four digits"
    assert sum(nobody["distances"]) == LIBRARY.sizes[4]


async def test_identities_are_filtered_by_questions_age_and_when_they_were_found(filled: Store) -> None:
    question = {
        "key": "merge 1 2", "kind": "merge", "reason": "alike", "identity": 1, "other": 2, "part": [], "sizes": [40, 25],
        "probability": 0.5, "settles": 25, "is_exported": True, "benefit": 12.5, "comes_last": False, "basis": 0,
        "evidence": [],
    }  # fmt: skip
    run(filled, insert(review_items).values(question))
    run(filled, update(identities).where(identities.c.number == 3).values(created_at=datetime(2031, 1, 2, tzinfo=UTC)))
    decide(filled, BirthDate(4, f"{datetime.now(UTC).year - 5}-01-01"), Minor(6), BirthDate(7, "1950-01-01"))
    async with asking(filled) as client:
        listed = (await told(client, "identities", sort="number"))["identities"]
        assert [one["questions"] for one in listed[:3]] == [1, 1, 0]
        assert await numbers(client, questions="true", sort="number") == [1, 2]
        assert 1 not in await numbers(client, questions="false")
        assert await numbers(client, minor="true", sort="number") == [4, 6]
        assert {1, 7} <= set(await numbers(client, minor="false"))
        assert await numbers(client, found_since="2031-01-02") == [3]
        assert await numbers(client, found_since="2031-01-03") == []
        assert await numbers(client, birth="known", sort="number") == [4, 7]
        assert (await told(client, "identities/6"))["is_minor"] is True
        assert all(one["first_date"] <= one["last_date"] for one in listed if one["first_date"])


async def test_a_birth_date_by_hand_counts_where_sources_have_none(filled: Store) -> None:
    born = {"source": "anna", "account": "anna", "person_id": "p4", "birth_date": "2015-03-01", "is_last": True}
    run(filled, insert(births).values(born))
    decide(filled, BirthDate(4, "1980-01-01"), BirthDate(7, "1950-01-01"), Undo(1))
    async with asking(filled) as client:
        for number, date in ((4, "2015-03-01"), (7, "1950-01-01")):
            assert (await told(client, f"identities/{number}"))["birth_date"] == date
        decide(filled, Undo(3))
        assert (await told(client, "identities/4"))["birth_date"] == "2015-03-01"


async def test_one_decision_is_told_by_its_number(filled: Store) -> None:
    decide(filled, Lock(3), Undo(1))
    async with asking(filled) as client:
        one = await told(client, "decisions/1")
        async with client.get("/api/decisions/99", headers=BEARER) as answer:
            assert answer.status == 404
    assert (one["kind"], one["is_undone"]) == ("lock", True)


async def test_an_exported_identity_has_the_addresses_of_its_face_sets(filled: Store) -> None:
    def row(directory: str, identity: int) -> dict[str, Any]:
        return {"directory": directory, "digest": "d", "entry": {"identity": identity}, "written_at": NOW}

    async with asking(filled) as client:
        assert (await told(client, "identities/1"))["why_not_exported"] == "nothing_exported_yet"
        run(
            filled,
            insert(exports).values(
                [row("faceset_001", 1), row("faceset_001_era_2011", 1), row("_thin/faceset_003", 3)]
            ),
        )
        one, three = await told(client, "identities/1"), await told(client, "identities/3")
        listed = await told(client, "identities", limit="1")
    assert one["identity"]["facesets"] == ["/api/facesets/faceset_001", "/api/facesets/faceset_001_era_2011"]
    assert one["why_not_exported"] == ""
    assert (three["identity"]["facesets"], three["why_not_exported"]) == ([], "not_yet")
    assert listed["identities"][0]["facesets"] == one["identity"]["facesets"]


async def test_decisions_show_at_once(filled: Store) -> None:
    face = max(members(filled, 3))
    decide(filled, Lock(3), NeverExport(3), Cover(3, ref_of(filled, face)), Ignore(identity=5), Label(7, "Zoe"))
    async with asking(filled) as client:
        listed = await told(client, "identities", sort="number")
        stranger = await told(client, "identities/5")
    by_number = {one["number"]: one for one in listed["identities"]}
    assert 5 not in by_number
    assert stranger["is_stranger"] is True
    assert (by_number[3]["is_locked"], by_number[3]["is_never_exported"]) == (True, True)
    assert by_number[3]["cover"]["face"] == face


async def test_covers_are_those_of_the_list_and_cost_as_many_statements_for_one_as_for_many(filled: Store) -> None:
    decide(filled, Cover(3, ref_of(filled, max(members(filled, 3)))))
    reads = library_reads(filled, Settings(base_path="/faces"), Scene().board)
    listed = {one.number: one.cover for one in (await reads.identities(IdentitiesQuery())).identities}
    numbers = [number for number, cover in listed.items() if cover is not None]
    with counted_statements(filled) as few:
        assert await reads.covers([3]) == {3: listed[3]}
    with counted_statements(filled) as many:
        assert await reads.covers([*numbers, 4711]) == {number: listed[number] for number in numbers}
    assert len(numbers) > 3
    assert len(few) == len(many)


async def test_decisions_about_single_faces_leave_identities_as_they_are_and_can_be_undone(filled: Store) -> None:
    face = ref_of(filled, min(members(filled, 3)))
    decide(
        filled,
        Ignore(faces=(face,), origin=3),
        Reject((face,), 4),
        Undo(1),
        Undo(2),
        Lock(4),
        Undo(5),
        Ignore(identity=6),
    )
    async with asking(filled) as client:
        listed = await told(client, "identities", sort="number")
    assert [one["number"] for one in listed["identities"]] == [1, 2, 3, 4, 5, 7, 8]
    assert [one["number"] for one in listed["identities"] if one["is_locked"]] == [1]


def test_only_decisions_about_whole_identities_are_read_for_a_list(filled: Store) -> None:
    """Those about faces may be many thousands, and each costs the reading of its body."""
    face = ref_of(filled, 1)
    for decision in (Lock(2), Reject((face,), 2), Ignore(faces=(face,))):
        decide(filled, decision)
    run(filled, update(decisions).where(decisions.c.kind != "lock").values(body={"kind": "unreadable"}))
    assert filled.read_now(standing).effect.locked == {2}


async def test_a_merged_number_leads_to_the_survivor_until_the_merge_is_undone(filled: Store) -> None:
    decide(filled, Merge(1, (Part(2),)), Merge(3, (Part(1),)))
    async with asking(filled, base_path="/faces") as client:
        for part in ("", "/faces", "/eras", "/nearest", "/together", "/similar", "/parts", "/history"):
            target = f"/faces/api/identities/2{part}" + ("?limit=1" if part not in ("", "/eras", "/parts") else "")
            async with client.get(target, headers=BEARER, allow_redirects=False) as answer:
                assert answer.status == 308
                assert answer.headers["Location"] == target.replace("identities/2", "identities/3")
                assert await answer.json() == {"number": 2, "leads_to": 3}
                assert answer.headers["Cache-Control"] == "no-store"
        decide(filled, Undo(1))
        async with client.get("/faces/api/identities/2", headers=BEARER, allow_redirects=False) as answer:
            assert answer.status == 200


async def test_numbers_that_never_were_or_were_forgotten_are_nowhere(filled: Store) -> None:
    decide(filled, Forget(4, ()))
    async with asking(filled) as client:
        for number in ("4", "999", "0", "-1", "x", "9" * 30, "٣"):
            for part in ("", "/faces", "/eras", "/nearest", "/together", "/similar", "/parts", "/history"):
                async with client.get(f"/api/identities/{number}{part}", headers=BEARER) as answer:
                    assert answer.status == 404, (number, part)
        assert 4 not in await numbers(client)


@pytest.mark.parametrize("sort", ["distance", "doubt", "quality", "time"])
@pytest.mark.parametrize("reverse", ["false", "true"])
async def test_faces_come_in_each_order_page_by_page_whatever_joins_and_leaves(
    filled: Store, sort: str, reverse: str
) -> None:
    async with asking(filled) as client:
        query = {"sort": sort, "reverse": reverse}
        whole = (await told(client, "identities/1/faces", limit="200", **query))["faces"]
        before = [face["id"] for face in whole]
        joining, leaving = free_face(filled), before[0]

        def change() -> None:
            row = {"face_id": joining, "identity": 1, "distance": 0.3, "how": "matched", "confidence": 0.5}
            run(filled, delete(memberships).where(memberships.c.face_id == leaving), insert(memberships).values(row))

        found = await walked(client, "identities/1/faces", "faces", "id", change, limit="7", **query)
    assert len(before) == 40
    assert [face for face in found if face != joining] == before
    keys = [key_of(face, sort) for face in whole]
    assert keys == sorted(keys, reverse=reverse == "true")
    assert Counter(before) == Counter((members(filled, 1).keys() | {leaving}) - {joining})


def key_of(face: dict[str, Any], sort: str) -> Any:
    match sort:
        case "distance":
            return face["distance"]
        case "doubt":
            return 2.0 if face["confidence"] is None else face["confidence"]
        case "quality":
            return -face["score"]
        case _:
            return face["taken"] or "9999"


async def test_scores_are_computed_once_while_the_members_stay(filled: Store) -> None:
    async with asking(filled) as client:
        with counted_statements(filled) as sent:
            await told(client, "identities/1/faces", sort="quality", limit="1")
            await told(client, "identities/1/faces", sort="quality", limit="1")
            assert sum("WHERE memberships.identity = " in one and "landmarks" in one for one in sent) == 1
            gone = (await told(client, "identities/1/faces", sort="quality", limit="1"))["faces"][0]["id"]
            run(filled, delete(memberships).where(memberships.c.face_id == gone))
            again = await told(client, "identities/1/faces", sort="quality", limit="1")
    assert again["faces"][0]["id"] != gone


def test_rankings_of_few_identities_are_kept(filled: Store) -> None:
    figures = KnownFigures(filled)
    for number in range(MOST_RANKINGS + 2):
        figures.keep_ranking(number, Ranking((1, 1, 1, 1), ()))
        figures.keep_ranking(1, Ranking((1, 1, 1, 1), ()))
    assert [number for number in range(MOST_RANKINGS + 2) if figures.ranking(number) is None] == [0, 2]


async def test_a_face_names_its_picture_and_its_crop(filled: Store) -> None:
    async with (
        asking(filled, base_path="/faces") as client,
        client.get("/faces/api/identities/8/faces", headers=BEARER) as answer,
    ):
        face = (await answer.json())["faces"][0]
    assert face["identity"] == 8
    assert (face["picture"]["width"], face["picture"]["height"]) == (4000, 3000)
    (place,) = face["picture"]["places"]
    assert place["file_name"].startswith("IMG_")
    assert face["crop"] is None or face["crop"]["crop"].startswith(f"/faces/api/crops/{face['picture']['sha256']}.")
    assert face["taken"] == place["taken"]


async def test_eras_come_by_year_with_the_faces_that_are_members_now(filled: Store) -> None:
    some = sorted(members(filled, 2))
    era = {"identity": 2, "kind": "years", "from_year": 2010, "to_year": 2012, "made_at": NOW}
    run(
        filled,
        insert(eras).values([{**era, "name": "2014", "main_year": 2014}, {**era, "name": "2011", "main_year": 2011}]),
        insert(era_faces).values(
            [
                {"face_id": some[0], "identity": 2, "name": "2011", "is_founder": True, "confidence": None},
                {"face_id": some[1], "identity": 2, "name": "2011", "is_founder": False, "confidence": 0.8},
                {"face_id": free_face(filled), "identity": 2, "name": "2011", "is_founder": True, "confidence": None},
            ]
        ),
    )
    async with asking(filled) as client:
        found = (await told(client, "identities/2/eras"))["eras"]
    assert [(era["name"], era["faces"], era["placed"]) for era in found] == [("2011", 2, 1), ("2014", 0, 0)]


async def test_companions_are_counted_by_pictures(filled: Store) -> None:
    shared = {number: len(pictures(filled, 1) & pictures(filled, number)) for number in range(2, 9)}
    expected = sorted((n for n, count in shared.items() if count), key=lambda n: (-shared[n], n))
    async with asking(filled) as client:
        found = (await told(client, "identities/1/together"))["identities"]
        walk = await walked(client, "identities/1/together", "identities", "number", limit="1")
    assert [(one["number"], one["pictures"]) for one in found] == [(n, shared[n]) for n in expected]
    assert walk == expected
    assert expected


async def test_the_history_has_the_decisions_about_a_person_and_says_what_was_undone(filled: Store) -> None:
    decide(filled, Lock(1), Lock(2), Label(1, "Zoe"), Merge(6, (Part(1),)), Undo(3), Undo(4))
    async with asking(filled) as client:
        found = (await told(client, "identities/1/history"))["decisions"]
        walk = await walked(client, "identities/1/history", "decisions", "id", limit="1")
    assert [(one["id"], one["kind"], one["is_undone"]) for one in found] == [
        (4, "merge", True),
        (3, "label", True),
        (1, "lock", False),
    ]
    assert walk == [4, 3, 1]
    assert found[2]["made_by"] == "anna"


async def test_the_nearest_identities_follow_the_members(filled: Store) -> None:
    async with asking(filled) as client:
        before = (await told(client, "identities/1/nearest"))["identities"]
        assert [one["distance"] for one in before] == sorted(one["distance"] for one in before)
        assert {one["number"] for one in before} == set(range(2, 9))
        moved = list(members(filled, 1))[:30]
        run(filled, update(memberships).where(memberships.c.face_id.in_(moved)).values(identity=8))
        after = (await told(client, "identities/1/nearest", limit="1"))["identities"]
    assert [one["number"] for one in after] == [8]
    assert after[0]["label"] == "Person 8"


async def test_a_face_has_rivals_and_the_decisions_that_name_it(filled: Store) -> None:
    face = min(members(filled, 2))
    decide(filled, Cover(2, ref_of(filled, face)), Lock(2))
    async with asking(filled) as client:
        answer = await told(client, f"faces/{face}")
        async with client.get(f"/api/faces/{10**6}", headers=BEARER) as missing:
            assert missing.status == 404
    assert (answer["face"]["id"], answer["face"]["identity"], answer["label"]) == (face, 2, "Person 2")
    assert [one["kind"] for one in answer["decisions"]] == ["cover"]
    assert 2 not in {one["number"] for one in answer["rivals"]}
    assert len(answer["rivals"]) == 5


async def test_a_search_finds_people_dates_and_files(filled: Store) -> None:
    async with asking(filled) as client:
        named = await told(client, "search", q="person 8")
        assert [one["number"] for one in named["identities"]] == [8]
        some = filled.read_now(pictures_by_file_name, "img_", limit=1)[0]
        file = await told(client, "search", q=some.places[0].file_name[:10].upper())
        assert some.sha256 in {one["sha256"] for one in file["by_file_name"]}
        assert file["by_date"] == []
        dated = next(
            p
            for one in (await told(client, "search", q="IMG", limit="50"))["by_file_name"]
            for p in one["places"]
            if p["taken"]
        )
        day = dated["taken"][:10]
        then = await told(client, "search", q=day)
        assert day in {place["taken"][:10] for one in then["by_date"] for place in one["places"]}
        assert all(place["taken"].startswith(day) for one in then["by_date"] for place in one["places"])
        literal = await told(client, "search", q="%")
        assert literal["by_file_name"] == [], "no wildcard"


@pytest.mark.parametrize(
    "path",
    [
        "identities?limit={limit}",
        "identities?sort=pictures&limit={limit}",
        "identities?min_pictures=2&limit={limit}",
        "identities?source=anna&birth=unknown&limit={limit}",
        "identities/1/faces?sort=quality&limit={limit}",
        "identities/1/faces?sort=time&limit={limit}",
        "identities/1/faces?sort=distance&limit={limit}",
        "identities/1/together?limit={limit}",
        "identities/1/nearest?limit={limit}",
        "identities/1/history?limit={limit}",
        "search?q=IMG&limit={limit}",
    ],
)
async def test_the_number_of_statements_does_not_grow_with_the_page(filled: Store, path: str) -> None:
    """One that hides for a hundred entries would show in the difference between two and eight."""
    decide(filled, *(Lock(1) for _ in range(20)))
    counts = []
    for limit in (1, 8, 40):
        async with asking(filled) as client:
            with counted_statements(filled) as sent:
                await told(client, path.format(limit=limit))
        counts.append(len(sent))
    assert counts[0] == counts[1] == counts[2], path
    assert counts[0] <= 30


async def test_the_vectors_of_other_spaces_are_no_faces(filled: Store) -> None:
    face = free_face(filled)
    run(filled, update(faces).where(faces.c.face_id == face).values(space=f"{SPACE}-before"))
    async with asking(filled) as client, client.get(f"/api/faces/{face}", headers=BEARER) as answer:
        assert answer.status == 404
