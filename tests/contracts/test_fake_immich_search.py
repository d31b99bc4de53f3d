"""Search of the fake Immich: the assets, order and pages of each version."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contract_scene import IMAGES, NOON, VERSIONS, Scene, full_scene, key_of, scene

BEFORE_FILTERS = ("2.7.5", "3.1.0")
LISTED = ["plain", "loose", "empty", "heic", "bare", "partner"]


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_newest_come_first_with_a_partners_pictures_among_them(version: str) -> None:
    async with full_scene(version) as made:
        names = await made.names({"type": "IMAGE", "visibility": "timeline"})
        assert names == LISTED
        owners = {item["ownerId"] for item in (await made.search({"type": "IMAGE"}))["items"]}
        assert owners == {made.anna.user_id, made.ben.user_id}
        assert await made.names({}, made.stranger) == ["foreign"]


@pytest.mark.parametrize(
    ("version", "more"), [("2.7.5", []), ("3.1.0", ["archived", "motion"]), ("3.3.5", ["archived", "motion"])]
)
async def test_without_a_visibility_old_servers_show_the_timeline_and_new_ones_all_but_the_locked(
    version: str, more: list[str]
) -> None:
    async with full_scene(version) as made:
        assert sorted(await made.names()) == sorted(LISTED + more)


async def test_the_filter_lists_trashed_and_offline_assets_unless_told_not_to() -> None:
    async with full_scene("3.3.5") as made:
        everything = await made.names({"filter": {}})
        assert {"trashed", "offline", "archived", "motion"} < set(everything)
        assert "locked" not in everything
        assert await made.names({"filter": IMAGES}) == [
            "plain",
            "loose",
            "empty",
            "archived",
            "heic",
            "bare",
            "partner",
        ]
        assert await made.names({"filter": {"trashedAt": {"ne": None}}}) == ["trashed", "offline"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_flat_searches_leave_out_the_trash_unless_asked_for(version: str) -> None:
    async with full_scene(version) as made:
        assert {"trashed", "offline"}.isdisjoint(await made.names())
        assert {"trashed", "offline"} < set(await made.names({"withDeleted": True}))
        assert await made.names({"isOffline": True}) == ["offline"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_locked_assets_need_more_than_a_key(version: str) -> None:
    async with full_scene(version) as made:
        answer = await made.refused({"visibility": "locked"})
        assert (answer.status_code, answer.json()["message"]) == (401, "Elevated permission is required")


@pytest.mark.parametrize(
    "visibility", [{"eq": "locked"}, {"ne": "timeline"}, {"in": ["timeline", "locked"]}, {"notIn": ["archive"]}]
)
async def test_any_condition_that_could_match_locked_is_refused(visibility: dict[str, Any]) -> None:
    async with full_scene("3.3.5") as made:
        assert (await made.refused({"filter": {"visibility": visibility}})).status_code == 401
        branches = {"or": [{"visibility": visibility}, {"isFavorite": {"eq": True}}]}
        assert (await made.refused({"filter": branches})).status_code == 401
        assert (await made.refused({"filter": branches | {"visibility": {"eq": "timeline"}}})).status_code == 200


async def test_only_2_7_tells_faces_and_loose_faces_inline() -> None:
    async with full_scene("2.7.5") as made:
        items = {item["originalFileName"]: item for item in (await made.search({"withPeople": True}))["items"]}
        clara, hidden = items["plain.jpg"]["people"][:2]
        assert (clara["name"], hidden["isHidden"]) == ("Clara", True)
        assert clara["faces"][0]["boundingBoxX2"] == 900
        assert [face["imageWidth"] for face in items["loose.jpg"]["unassignedFaces"]] == [1600]
        assert items["partner.jpg"]["people"][0]["name"] == "Zoe"
        plain = (await made.search({}))["items"][0]
        assert plain["people"] == []
        assert "unassignedFaces" not in plain


@pytest.mark.parametrize("version", ["3.1.0", "3.3.5"])
async def test_later_versions_name_people_without_boxes(version: str) -> None:
    async with full_scene(version) as made:
        items = (await made.search({"withPeople": True}))["items"]
        assert [person["name"] for person in items[0]["people"]] == ["Clara", "Hidden", ""]
        assert not any("faces" in person for item in items for person in item["people"])
        assert not any("unassignedFaces" in item for item in items)


async def test_has_people_also_finds_unassigned_faces() -> None:
    async with full_scene("3.3.5") as made:
        assert await made.names({"filter": IMAGES | {"hasPeople": {"eq": True}}}) == [
            "plain",
            "loose",
            "archived",
            "partner",
        ]


async def test_asking_2_7_for_exif_loses_the_assets_without_any() -> None:
    async with full_scene("2.7.5") as made:
        assert set(LISTED) - set(await made.names({"withExif": True})) == {"bare"}
    async with full_scene("3.1.0") as made:
        assert "bare" in await made.names({"withExif": True})


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_total_counts_the_page_only(version: str) -> None:
    async with full_scene(version) as made:
        page = await made.search({"size": 2, "type": "IMAGE"})
        assert (page["total"], page["count"], page["nextPage"]) == (2, 2, "2")
        last = await made.search({"size": 2, "page": 3, "type": "IMAGE", "visibility": "timeline"})
        assert (last["total"], last["nextPage"]) == (2, None)
        assert (await made.search({"size": 2, "page": 9}))["items"] == []


async def test_a_cursor_is_an_offset_in_disguise() -> None:
    async with full_scene("3.3.5") as made:
        first = await made.search({"filter": IMAGES, "size": 3})
        assert first["nextPage"] is None
        padded = first["nextCursor"] + "=" * (-len(first["nextCursor"]) % 4)
        assert json.loads(base64.urlsafe_b64decode(padded)) == {"offset": 3}
        second = await made.search({"filter": IMAGES, "size": 3, "cursor": first["nextCursor"]})
        seen = [item["originalFileName"] for item in first["items"] + second["items"]]
        assert len(set(seen)) == 6
        answer = await made.refused({"cursor": "xx"})
        assert (answer.status_code, answer.json()["message"]) == (400, "Invalid cursor")


@pytest.mark.parametrize("version", VERSIONS)
async def test_bounds_belong_to_the_answer_and_are_cut_to_milliseconds(version: str) -> None:
    async with scene(version) as made:
        taken = NOON + timedelta(microseconds=123_456)
        made.add("one", taken_at=taken, updated_at=taken)
        told = stamp(taken)
        assert (await made.search())["items"][0]["fileCreatedAt"] == told
        following = stamp(taken + timedelta(milliseconds=1))
        assert await made.names({"takenBefore": told}) == []  # the stored time is finer than the one in the answer
        assert await made.names({"takenBefore": following}) == ["one"]
        assert await made.names({"takenAfter": told}) == ["one"]
        assert await made.names({"takenAfter": following}) == []
        assert await made.names({"updatedAfter": told.replace(".123Z", ".123999Z")}) == ["one"]
        assert await made.names({"updatedAfter": following}) == []


async def test_the_filter_knows_the_bounds_as_operators() -> None:
    async with scene("3.3.5") as made:
        made.add("early", taken_at=NOON)
        made.add("late", taken_at=NOON + timedelta(days=1))
        for operator, names in {"lte": ["early"], "lt": [], "gte": ["late", "early"], "gt": ["late"]}.items():
            assert await made.names({"filter": {"takenAt": {operator: stamp(NOON)}}}) == names, operator
        assert await made.names({"filter": {}, "orderBy": {"direction": "asc"}}) == ["early", "late"]
        either = {"or": [{"takenAt": {"eq": stamp(NOON)}}, {"originalFileName": {"startsWith": "la"}}]}
        assert await made.names({"filter": either}) == ["late", "early"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_faces_come_and_go_without_a_trace_in_updated_at(version: str) -> None:
    now = NOON
    async with scene(version, clock=lambda: now) as made:
        made.add("one")
        now += timedelta(hours=1)
        made.face("one")
        assert await made.names({"updatedAfter": stamp(now)}) == []
        made.immich.touch(made.assets["one"])
        assert await made.names({"updatedAfter": stamp(now)}) == ["one"]


async def keyset(made: Scene, size: int) -> list[str]:
    seen: dict[str, None] = {}
    body: dict[str, Any] = {"size": size, "type": "IMAGE"}
    while True:
        items = (await made.search(body))["items"]
        seen |= dict.fromkeys(item["id"] for item in items)
        if len(items) < size:
            return list(seen)
        last = datetime.fromisoformat(items[-1]["fileCreatedAt"])
        body["takenBefore"] = stamp(last + timedelta(milliseconds=1))


async def paged(made: Scene, size: int) -> list[str]:
    ids: list[str] = []
    page: int | None = 1
    while page is not None:
        found = await made.search({"size": size, "type": "IMAGE", "page": page})
        ids += [item["id"] for item in found["items"]]
        page = None if found["nextPage"] is None else int(found["nextPage"])
    return ids


@pytest.mark.parametrize("version", VERSIONS)
async def test_pages_of_2_7_lose_and_repeat_tied_rows_and_keyset_never_does(version: str) -> None:
    async with scene(version) as made:
        for number in range(60):
            made.add(f"burst{number}", taken_at=NOON + timedelta(days=number // 4))
        ids = {asset.asset_id for asset in made.assets.values()}
        pages = await paged(made, 10)
        assert len(pages) == 60
        assert pages == await paged(made, 10)  # the same rows are lost every time
        assert (set(pages) == ids) == (version != "2.7.5")
        assert set(await keyset(made, 10)) == ids


@pytest.mark.parametrize("version", ["3.1.0", "3.3.5"])
async def test_equal_instants_are_ordered_by_id(version: str) -> None:
    async with scene(version) as made:
        for number in range(20):
            made.add(f"same{number}", taken_at=NOON)
        ids = [item["id"] for item in (await made.search())["items"]]
        assert ids == sorted(ids, reverse=True)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_page_holds_a_thousand_at_the_most(version: str) -> None:
    async with scene(version) as made:
        for size in (0, 1001):
            answer = await made.refused({"size": size})
            assert answer.status_code == 400
            limit = "not be greater than 1000" if size else "not be less than 1"
            limit = limit if version == "2.7.5" else f"to be {'<=1000' if size else '>=1'}"
            assert limit in answer.text


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_page_limit_makes_many_pages_of_few_assets(version: str) -> None:
    async with scene(version, page_limit=3) as made:
        for number in range(7):
            made.add(f"n{number}")
        assert len(await paged(made, 1000)) == 7
        assert made.immich.requests.count("search") == 3


@pytest.mark.parametrize("version", BEFORE_FILTERS)
async def test_before_3_2_filter_cursor_and_nonsense_are_ignored_in_silence(version: str) -> None:
    async with full_scene(version) as made:
        body = {"filter": {"takenAt": {"lt": "1990-01-01T00:00:00.000Z"}}, "cursor": "xx", "orderBy": 1, "foo": 1}
        assert await made.names(body) == await made.names()


async def test_flat_fields_beside_a_filter_are_refused_one_by_one() -> None:
    async with scene("3.3.5") as made:
        body = {"filter": {}, "cursor": "eyJvZmZzZXQiOjB9", "order": "asc", "withDeleted": True}
        errors = (await made.refused(body)).json()["errors"]
        assert [error["path"] for error in errors] == [["withDeleted"], ["order"]]
        assert errors[0]["message"] == "Deprecated field withDeleted cannot be combined with filter/cursor"


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ({"filter": {"foo": {"eq": 1}}}, ["filter"], "unrecognized_keys"),
        ({"filter": {"takenAt": {}}}, ["filter", "takenAt"], "custom"),
        ({"filter": {"takenAt": {"after": 1}}}, ["filter", "takenAt"], "unrecognized_keys"),
        ({"filter": {"takenAt": {"lte": "2020"}}}, ["filter", "takenAt", "lte"], "invalid_format"),
        ({"filter": {"type": {"eq": "PICTURE"}}}, ["filter", "type", "eq"], "invalid_value"),
        ({"filter": {"or": []}}, ["filter", "or"], "too_small"),
        ({"filter": {"or": [{"foo": 1}]}}, ["filter", "or", "0"], "unrecognized_keys"),
        ({"filter": []}, ["filter"], "invalid_type"),
        ({"filter": {"isOffline": True}}, ["filter", "isOffline"], "invalid_type"),
        ({"filter": {"visibility": {"in": []}}}, ["filter", "visibility", "in"], "too_small"),
        ({"orderBy": {"field": "id"}}, ["orderBy", "field"], "invalid_value"),
    ],
)
async def test_a_wrong_filter_is_told_where_it_is_wrong(body: dict[str, Any], path: list[str], code: str) -> None:
    async with scene("3.3.5") as made:
        answer = await made.refused(body)
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["path"], error["code"]) == (400, path, code)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("type", "PICTURE", "type must be one of the following values: IMAGE, VIDEO, AUDIO, OTHER"),
        ("id", "x", "id must be a UUID"),
        ("withPeople", "yes", "withPeople must be a boolean value"),
        ("size", 1.5, "size must be an integer number"),
        ("personIds", "x", "personIds must be an array"),
    ],
)
async def test_wrong_values_are_sentences_in_2_7_and_issues_later(field: str, value: object, said: str) -> None:
    for version in VERSIONS:
        async with scene(version) as made:
            answer = await made.refused({field: value})
            assert answer.status_code == 400
            body = answer.json()
            if version == "2.7.5":
                assert body["message"] == [said]
                assert body.keys() == {"message", "error", "statusCode", "correlationId"}
            else:
                assert (body["message"], body["errors"][0]["path"]) == ("Validation failed", [field])


@pytest.mark.parametrize("version", VERSIONS)
async def test_assets_are_found_by_what_they_are(version: str) -> None:
    async with full_scene(version) as made:
        plain, clara = made.assets["plain"], made.people["Clara"].person_id
        checksum = (await made.search({"id": plain.asset_id}))["items"][0]["checksum"]
        assert await made.names({"checksum": checksum}) == ["plain"]
        assert "plain" in await made.names({"personIds": [clara]})
        assert await made.names({"originalFileName": "HEIC"}) == ["heic"]
        assert await made.names({"libraryId": made.assets["offline"].library_id, "withDeleted": True}) == ["offline"]
        if version == "3.3.5":
            assert await made.names({"filter": {"checksum": {"eq": checksum}}}) == ["plain"]
            assert await made.names({"filter": {"personIds": {"any": [clara]}}}) == ["plain", "archived"]
            assert await made.names({"filter": {"libraryId": {"ne": None}}}) == ["offline"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_changes_in_the_library_shows_at_once(version: str) -> None:
    async with scene(version) as made:
        for name in ("a", "b", "c"):
            made.add(name)
        assert await made.names() == ["a", "b", "c"]
        made.immich.delete_asset(made.assets["b"])
        made.immich.trash_asset(made.assets["c"])
        made.assets["a"].taken_at = datetime(1999, 1, 1, tzinfo=UTC)
        made.immich.touch("".join(made.assets["a"].asset_id))
        made.add("d")
        assert await made.names() == ["d", "a"]


async def test_from_3_2_two_users_may_name_the_same_person() -> None:
    async with full_scene("3.3.5") as made:
        zoe = made.people["Zoe"].person_id
        made.immich.add_person(person_id=zoe, owner="Anna", name="Aunt Zoe")
        faces = (await made.get(f"/api/faces?id={made.assets['partner'].asset_id}")).json()
        assert faces[0]["person"]["name"] == "Aunt Zoe"
        (item,) = (await made.search({"originalFileName": "partner", "withPeople": True}))["items"]
        assert [person["name"] for person in item["people"]] == ["Aunt Zoe"]
        own = await made.client.get(f"/api/people/{zoe}", headers=key_of(made.ben))
        assert own.json()["name"] == "Zoe"
