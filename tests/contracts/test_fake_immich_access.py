"""Access control of the fake Immich: keys, permissions, foreign assets, people, maintenance."""

from typing import Any

import pytest
from contract_scene import VERSIONS, full_scene, key_of, scene

from service.demo.immich import ALL_NEEDED, Dialect, FakeAsset, FakeImmich

NEEDED = {
    "server/about": "server.about",
    "users/me": "user.read",
    "people": "person.read",
    "faces?id=00000000-0000-4000-8000-000000000000": "face.read",
    "assets/00000000-0000-4000-8000-000000000000": "asset.read",
    "assets/00000000-0000-4000-8000-000000000000/original": "asset.download",
    "assets/00000000-0000-4000-8000-000000000000/thumbnail": "asset.view",
    "server/statistics": "server.statistics",
}


@pytest.mark.parametrize("version", VERSIONS)
async def test_each_route_names_the_permission_that_is_missing(version: str) -> None:
    async with scene(version) as made:
        poor = {"x-api-key": made.immich.add_key(made.anna, {"tag.read"})}
        for path, permission in NEEDED.items():
            answer = await made.get(f"/api/{path}", **poor)
            said = answer.json()
            assert (answer.status_code, said["message"]) == (403, f"Missing required permission: {permission}")
            if version == "2.7.5":
                assert (said["error"], said["statusCode"]) == ("Forbidden", 403)
            else:
                assert said.keys() == {"message"}
        listed = await made.get("/api/api-keys/me", **poor)
        assert listed.json()["permissions"] == ["tag.read"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_unauthorised_client_is_told_whether_the_key_is_missing_or_wrong(version: str) -> None:
    async with scene(version) as made:
        del made.client.headers["x-api-key"]
        assert (await made.get("/api/users/me")).json()["message"] == "Authentication required"
        wrong = await made.get("/api/users/me", **{"x-api-key": "wrong"})
        assert (wrong.status_code, wrong.json()["message"]) == (401, "Invalid API key")
        made.immich.revoke_key(made.anna.api_key)
        assert (await made.get("/api/users/me", **key_of(made.anna))).status_code == 401
        for path in ("ping", "version", "config", "features", "media-types"):
            assert (await made.get(f"/api/server/{path}")).status_code == 200


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", ["assets/{}", "faces?id={}"])
async def test_foreign_locked_and_unknown_assets_look_the_same(version: str, path: str) -> None:
    async with full_scene(version) as made:
        unknown = "00000000-0000-4000-8000-000000000000"
        for asset_id in (made.assets["foreign"].asset_id, made.assets["locked"].asset_id, unknown):
            answer = await made.get(f"/api/{path.format(asset_id)}")
            assert (answer.status_code, answer.json()["message"]) == (400, "Not found or no asset.read access")
        assert (await made.get(f"/api/{path.format('x')}")).status_code == 400
        assert (await made.get(f"/api/{path.format(made.assets['archived'].asset_id)}")).status_code == 200


@pytest.mark.parametrize("version", ["2.7.5", "3.1.0"])
async def test_a_partners_faces_have_no_person(version: str) -> None:
    async with full_scene(version) as made:
        asset_id = made.assets["partner"].asset_id
        (face,) = (await made.get(f"/api/faces?id={asset_id}")).json()
        assert face["person"] is None
        assert (await made.get(f"/api/assets/{asset_id}")).json()["people"] == []
        (face,) = (await made.get(f"/api/faces?id={asset_id}", **key_of(made.ben))).json()
        assert face["person"]["name"] == "Zoe"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_partner_shares_neither_archive_nor_trash(version: str) -> None:
    async with full_scene(version) as made:
        path = f"/api/assets/{made.assets['partner'].asset_id}"
        assert (await made.get(path)).status_code == 200
        made.assets["partner"].visibility = "archive"
        assert (await made.get(path)).status_code == 400
        made.assets["partner"].visibility = "timeline"
        made.immich.trash_asset(made.assets["partner"])
        assert (await made.get(path)).status_code == 400


@pytest.mark.parametrize("version", VERSIONS)
async def test_faces_takes_exactly_one_id(version: str) -> None:
    async with full_scene(version) as made:
        one, two = made.assets["plain"].asset_id, made.assets["loose"].asset_id
        for query in ("", f"?id={one}&id={two}", f"?id={one},{two}"):
            assert (await made.get(f"/api/faces{query}")).status_code == 400


@pytest.mark.parametrize("version", VERSIONS)
async def test_unnamed_people_below_the_minimum_are_counted_and_not_listed(version: str) -> None:
    async with full_scene(version) as made:
        made.people["aside"] = made.immich.add_person(owner="Anna", name="Only in the archive")
        made.face("archived", "aside")
        shown = (await made.get("/api/people")).json()
        assert [person["name"] for person in shown["people"]] == ["Clara"]
        assert (shown["total"], shown["hidden"]) == (3, 1)
        everyone = (await made.get("/api/people?withHidden=true")).json()
        assert [person["name"] for person in everyone["people"]] == ["Clara", "Hidden"]
        for name in ("loose", "empty"):
            made.face(name, "unnamed")
        shown = (await made.get("/api/people?withHidden=true&size=2")).json()
        assert ([person["name"] for person in shown["people"]], shown["hasNextPage"]) == (["Clara", ""], True)
        rest = (await made.get("/api/people?withHidden=true&size=2&page=2")).json()
        assert ([person["name"] for person in rest["people"]], rest["hasNextPage"]) == (["Hidden"], False)
        assert (await made.get("/api/people?size=1001")).status_code == 400


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_person_is_shown_to_its_user_only(version: str) -> None:
    async with full_scene(version) as made:
        clara = made.people["Clara"].person_id
        assert (await made.get(f"/api/people/{clara}")).json()["birthDate"] == "1980-01-02"
        answer = await made.get(f"/api/people/{clara}", **key_of(made.ben))
        assert (answer.status_code, answer.json()["message"]) == (400, "Not found or no person.read access")


@pytest.mark.parametrize("version", VERSIONS)
async def test_in_maintenance_every_route_but_three_is_unknown(version: str) -> None:
    async with full_scene(version) as made:
        made.immich.maintenance = True
        answer = await made.original("plain")
        path = f"/api/assets/{made.assets['plain'].asset_id}/original"
        assert (answer.status_code, answer.json()["message"]) == (404, f"Cannot GET {path}")
        assert (await made.refused({})).json()["message"] == "Cannot POST /api/search/metadata"
        assert (await made.get("/api/server/config")).json() == {"maintenanceMode": True}
        assert (await made.get("/api/server/ping")).json() == {"res": "pong"}
        assert (await made.get("/api/server/version")).json()["major"] == made.immich.dialect.major
        made.immich.maintenance = False
        assert (await made.get("/api/server/config")).json()["maintenanceMode"] is False


@pytest.mark.parametrize("version", VERSIONS)
async def test_unknown_routes_and_methods_are_named(version: str) -> None:
    async with scene(version) as made:
        assert (await made.get("/api/nope?x=1")).json()["message"] == "Cannot GET /api/nope?x=1"
        answer = await made.client.put("/api/users/me", json={})
        assert (answer.status_code, answer.json()["message"]) == (404, "Cannot PUT /api/users/me")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_body_that_is_no_json_object_is_refused(version: str) -> None:
    async with scene(version) as made:
        for body in (b'"x"', b"{", b"null"):
            answer = await made.client.post("/api/search/metadata", content=body)
            assert answer.status_code == 400
            assert "is not valid JSON" in answer.json()["message"]


async def test_statistics_are_for_administrators() -> None:
    async with full_scene("3.1.0") as made:
        everything = {"x-api-key": made.immich.add_key(made.anna, {"all"})}
        assert (await made.get("/api/server/statistics", **everything)).json()["photos"] == 11
        plain = {"x-api-key": made.immich.add_key(made.ben, {"all"})}
        assert (await made.get("/api/server/statistics", **plain)).status_code == 403


@pytest.mark.parametrize(
    ("version", "two", "filters"),
    [
        ("2.7", True, False),
        ("v3.0.0", False, False),
        ("3.1.9", False, False),
        ("3.2.0", False, True),
        ("4", False, True),
    ],
)
async def test_the_version_decides_the_dialect(version: str, *, two: bool, filters: bool) -> None:
    dialect = Dialect.of(version)
    assert (dialect.two, dialect.filters) == (two, filters)


async def test_what_the_servers_could_not_hold_is_refused() -> None:
    immich = FakeImmich()
    anna = immich.add_user("Anna")
    assert anna.permissions == ALL_NEEDED
    made: dict[str, Any] = {"data": b"", "file_name": "a.jpg", "width": 1, "height": 1}
    with pytest.raises(ValueError, match="version 4"):
        immich.add_asset(owner="Anna", taken_at=anna.created_at, asset_id="a1", **made)
    with pytest.raises(ValueError, match="user before"):
        immich.add_asset(FakeAsset(b"", "a.jpg", "Ben", 1, 1, anna.created_at))
    with pytest.raises(ValueError, match="aware"):
        immich.add_asset(owner="Anna", taken_at=anna.created_at.replace(tzinfo=None), **made)
    with pytest.raises(ValueError, match="already"):
        immich.add_user("Anna")
