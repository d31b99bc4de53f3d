"""Our client against recorded answers of real Immich servers: each parses or becomes the right error."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from testdata import shared_data

from immich_facesets.assets import Asset, FaceHint, Rendition
from immich_facesets.errors import FacesetsError, ItemError, SetupError, TransientError
from service.remote.pacing import Pacer
from service.sources.immich.api_versions import Query, dialect_of
from service.sources.immich.client import ImmichClient
from service.sources.immich.conversion import (
    asset_from_payload,
    date_kind_of,
    hints_of_faces,
    inline_hints,
    person_from_payload,
)
from service.sources.immich.download import stage
from service.sources.immich.keyset_listing import broken_promise
from service.sources.immich.payloads import AssetPayload, AssetSection, Version

VERSIONS = ("immich-2.7.5", "immich-3.1.0", "immich-3.2-dialect")
WITHOUT_EXIF = {"noexif.jpg", "pic.png", "anim.gif", "corrupt.jpg"}
"""The seeded pictures without a date in the file; so are those that fill the library (``mltest``)."""

ID = "de3b6a03-5074-4421-8ae8-fae1b624ae1d"


@dataclass(frozen=True)
class Recording:
    name: str
    path: str
    status: int
    headers: dict[str, str]
    body: Any

    def content(self) -> bytes:
        if isinstance(self.body, dict) and "$bytes" in self.body:
            return b"\xff\xd8\xff" + bytes(self.body["$bytes"] - 3)
        return json.dumps(self.body).encode()

    def response(self) -> httpx.Response:
        # Lengths were recorded before paths in the JSON were shortened; httpx computes the right ones.
        headers = {name: value for name, value in self.headers.items() if name != "content-length"}
        return httpx.Response(self.status, headers=headers, content=self.content())


def recordings(version: str) -> list[Recording]:
    folder = shared_data() / "recordings" / version
    found = []
    for path in sorted(folder.glob("*.json")):
        told = json.loads(path.read_text())
        answer = told["response"]
        found.append(Recording(path.stem, told["request"]["path"], answer["status"], answer["headers"], answer["body"]))
    assert found
    return found


def recording(version: str, name: str) -> Recording:
    return next(told for told in recordings(version) if told.name == name)


def replaying(answer: Recording, *, maintenance: bool = False) -> ImmichClient:
    """A client whose every request gets this one answer."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/server/config" and answer.path != "/api/server/config":
            return httpx.Response(200, json={"maintenanceMode": maintenance})
        return answer.response()

    return ImmichClient(
        "anna", "http://immich:2283", "secret-key", pacer=Pacer(), transport=httpx.MockTransport(handle)
    )


def a_picture(**changes: Any) -> Asset:
    fields = {"id": ID, "owner_id": "owner", "type": "IMAGE", "original_path": "/data/a.jpg", "visibility": "timeline"}
    fields |= {"original_file_name": "a.jpg", "file_created_at": "2020-01-01T00:00:00.000Z", "checksum": ""}
    fields |= {"local_date_time": "2020-01-01T00:00:00.000Z", "updated_at": "2020-01-01T00:00:00.000Z"}
    return asset_from_payload(AssetPayload(**(fields | changes)), "anna", None)


async def download(client: ImmichClient, folder: Path, *, fullsize: bool) -> int:
    exchange = client.fullsize(ID) if fullsize else client.original(ID)
    async with exchange as response:
        return (await stage(response, folder, a_picture(), max_bytes=2**20)).size_bytes


def question_of(told: Recording, client: ImmichClient, folder: Path) -> Callable[[], Awaitable[object]] | None:
    """The client's method for the recorded request, None where our client never makes it."""
    path = told.path.removeprefix("/api/").partition("?")[0]
    fixed: dict[str, Callable[[], Awaitable[object]]] = {
        "search/metadata": lambda: client.search({}),
        "faces": lambda: client.faces(ID),
        "people": lambda: client.people(1),
        "api-keys/me": client.own_key,
        "users/me": client.me,
        "server/version": client.server_version,
    }
    if path in fixed:
        return fixed[path]
    if re.fullmatch(r"assets/[0-9a-f-]{36}|assets/x", path):
        return lambda: client.asset(ID)
    if path.startswith("assets/") and path.endswith(("/original", "/thumbnail")):
        return lambda: download(client, folder, fullsize=path.endswith("/thumbnail"))
    return None


def expected_error(told: Recording) -> tuple[type[FacesetsError], str]:
    """The kind of error, and for an item its reason, otherwise a part of its message."""
    about_item = not told.path.startswith(("/api/search", "/api/people?size"))
    message = str(told.body["message"])
    key = (told.status, message if told.status == 404 else "")
    if message.startswith("Not found or no "):
        return ItemError, "not_found"
    if message.startswith("Cannot "):
        return TransientError, "maintenance mode"
    if told.status == 400:
        return (ItemError, "refused") if about_item else (SetupError, "refused a request")
    if message == "Elevated permission is required":
        return SetupError, "locked pictures"
    return {
        (401, ""): (SetupError, "refused the API key of user 'anna'"),
        (403, ""): (SetupError, f"lacks the permission {message.rsplit(' ', 1)[-1]}"),
        (404, "Asset media not found"): (ItemError, "not_ready"),
        (404, "Not Found"): (ItemError, "not_found"),
        (500, ""): (ItemError, "offline"),
    }[key]


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_recorded_answer_parses_or_becomes_the_right_error(
    version: str, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    asked = 0
    for told in recordings(version):
        client = replaying(told, maintenance=told.name.startswith("maintenance_on"))
        question = question_of(told, client, tmp_path)
        if question is None:
            continue
        asked += 1
        with subtests.test(told.name):
            if told.status < 300:
                check_parsed(told, await question())
            else:
                kind, about = expected_error(told)
                with pytest.raises(kind) as caught:
                    await question()
                assert about in (caught.value.reason if isinstance(caught.value, ItemError) else str(caught.value))
                assert "secret-key" not in str(caught.value)
        await client.close()
    assert asked > 20


def check_parsed(told: Recording, parsed: object) -> None:
    match parsed:
        case AssetSection():
            assert [item.id for item in parsed.items] == [item["id"] for item in told.body["assets"]["items"]]
            assert parsed.impossible == ()
            for item in parsed.items:
                asset = asset_from_payload(item, "anna", inline_hints(item))
                assert asset.taken_at.tzinfo is not None
                assert len(asset.local_date) == 10
        case tuple():
            assert [hint.face_id for hint in hints_of_faces(parsed)] == [face["id"] for face in told.body]
        case int():
            assert parsed == told.body["$bytes"]
        case AssetPayload():
            assert parsed.id == told.body["id"]
        case _:
            assert parsed is not None


async def searched(version: str, name: str) -> tuple[AssetPayload, ...]:
    client = replaying(recording(version, name))
    items = (await client.search({})).items
    await client.close()
    return items


async def faces_of(version: str, name: str) -> tuple[FaceHint, ...]:
    client = replaying(recording(version, name))
    faces = hints_of_faces(await client.faces(ID))
    await client.close()
    return faces


async def asset_named(version: str, name: str) -> Asset:
    client = replaying(recording(version, name))
    asset = asset_from_payload(await client.asset(ID), "anna", None)
    await client.close()
    return asset


@pytest.mark.parametrize("version", ["immich-2.7.5", "immich-3.1.0"])
async def test_boxes_fit_the_upright_original_whatever_the_orientation(version: str) -> None:
    for name in ("a_o1", "a_o6"):
        asset = await asset_named(version, f"asset_{name}")
        assert (asset.width, asset.height) == (1600, 1200)
        (box, *_) = [hint.original_box(asset.width, asset.height) for hint in await faces_of(version, f"faces_{name}")]
        assert (box.x1, box.y1, box.x2, box.y2) == (600, 300, 900, 700)
    big = await asset_named(version, "asset_a_big")
    assert (big.width, big.height) == (3024, 4032)
    (hint, *_) = await faces_of(version, "faces_a_big")
    assert (hint.image_width, hint.image_height) == (1440, 1920)
    assert hint.original_box(big.width, big.height).x1 == pytest.approx(476 * 2.1)


@pytest.mark.parametrize("version", ["immich-2.7.5", "immich-3.1.0"])
async def test_an_edited_picture_is_fetched_edited_and_its_boxes_come_from_faces(version: str) -> None:
    asset = await asset_named(version, "asset_a_edited")
    assert asset.is_edited
    assert asset.rendition is Rendition.EDITED
    assert (asset.width, asset.height) == (600, 800)
    assert {(hint.image_width, hint.image_height) for hint in await faces_of(version, "faces_a_edited")} == {(600, 800)}
    listed = next(item for item in await searched(version, "search_with_people_all") if item.is_edited)
    assert inline_hints(listed) is None


async def test_the_listing_of_2_7_brings_assigned_and_unassigned_faces() -> None:
    items = {item.original_file_name: item for item in await searched("immich-2.7.5", "search_with_people_all")}
    for name in ("orient1.jpg", "orient4.jpg"):
        hints = inline_hints(items[name])
        assert hints is not None
        assert sum(hint.person_id is not None for hint in hints) >= 1
    unassigned = inline_hints(items["pic.png"])
    assert unassigned is not None
    assert [hint.person_id for hint in unassigned] == [None]
    by_route = {hint.face_id: hint for hint in await faces_of("immich-2.7.5", "faces_a_o1")}
    inline = {hint.face_id: hint for hint in inline_hints(items["orient1.jpg"]) or ()}
    assert inline == by_route


@pytest.mark.parametrize("version", ["immich-2.7.5", "immich-3.1.0"])
async def test_checksums_are_trusted_except_those_of_external_libraries(version: str) -> None:
    items = await searched(version, "search_with_people_all")
    own = {item.original_file_name: asset_from_payload(item, "anna", None) for item in items}
    # The recording holds the SHA-1 of the received bytes.
    original = recording(version, "original_a_o1").body["$sha1"]
    checksum = own["orient1.jpg"].checksum
    assert checksum is not None
    assert bytes.fromhex(checksum).hex() == checksum
    assert next(item.checksum for item in items if item.original_file_name == "orient1.jpg") == original
    external = [asset for asset in own.values() if asset.is_external]
    assert len(external) == 2
    assert {asset.checksum for asset in external} == {None}


@pytest.mark.parametrize("version", ["immich-2.7.5", "immich-3.1.0"])
async def test_a_missing_file_is_offline_and_not_merely_trash(version: str) -> None:
    (item,) = await searched(version, "search_offline")
    assert item.is_offline
    assert item.is_trashed
    assert asset_from_payload(item, "anna", None).is_offline


@pytest.mark.parametrize("version", ["immich-2.7.5", "immich-3.1.0"])
async def test_the_seeded_pictures_without_exif_have_the_dates_of_their_files_and_the_others_do_not(
    version: str,
) -> None:
    items = {item.original_file_name: item for item in await searched(version, "search_with_people_all")}
    seeded = {name: date_kind_of(item).value for name, item in items.items()}
    without = {name for name, kind in seeded.items() if kind == "file"}
    assert without == {name for name in seeded if name in WITHOUT_EXIF or name.startswith("mltest")}
    assert {"noexif.jpg", "orient1.jpg", "ext0.jpg"} <= seeded.keys()
    assert set(seeded.values()) == {"file", "metadata"}


@pytest.mark.parametrize("version", ["immich-2.7.5", "immich-3.1.0"])
async def test_people_come_with_names_birth_dates_and_the_hidden_ones(version: str) -> None:
    client = replaying(recording(version, "people"))
    people = [person_from_payload(payload) for payload in (await client.people(1)).people]
    await client.close()
    assert {(person.name, person.birth_date, person.is_hidden) for person in people} == {
        ("Anna", "1980-01-02", False),
        ("Ben", None, False),
        ("", None, False),
        ("Hidden Hugo", None, True),
    }


async def test_servers_that_ignore_conditions_in_silence_are_caught() -> None:
    """3.1 ignores a filter and returns everything: the answer must be checked against the request."""
    until_2015 = datetime(2015, 1, 1, tzinfo=UTC)
    ignored = await searched("immich-3.1.0", "search_filter_ignored_before_3_2")
    assert "taken until" in str(broken_promise(ignored, Query(("timeline", "archive"), taken_to=until_2015)))
    honest = await searched("immich-3.2-dialect", "search_taken_lte")
    assert broken_promise(honest, Query(("timeline", "archive"), taken_to=until_2015)) is None


@pytest.mark.parametrize(
    ("query", "broken"),
    [
        (Query(("timeline",), size=10), "10 pictures were asked for"),
        (Query(("timeline", "hidden", "archive")), "pictures only, and a VIDEO came"),
        (Query(("archive",)), "visibility archive, and timeline came"),
        (Query(("timeline",), offline=True), "offline only"),
        (Query(("timeline",), taken_from=datetime(2015, 1, 1, tzinfo=UTC)), "taken from 2015"),
        (
            Query(("timeline", "hidden", "archive"), updated_after=datetime(2050, 1, 1, tzinfo=UTC)),
            "changed since 2050",
        ),
    ],
)
async def test_each_condition_is_held_against_the_answer(query: Query, broken: str) -> None:
    everything = await searched("immich-3.1.0", "search_with_deleted")
    assert broken in str(broken_promise(everything, query))


async def test_trash_and_a_wrong_order_are_noticed() -> None:
    everything = await searched("immich-3.1.0", "search_with_deleted")
    pictures = tuple(item for item in everything if item.type == "IMAGE")
    all_seen = Query(("timeline", "hidden", "archive"))
    assert broken_promise(pictures, all_seen) == "without the trash"
    assert broken_promise(tuple(reversed(pictures)), all_seen) == "newest first"


@pytest.mark.parametrize(
    ("version", "inline", "finds_faces"),
    [("immich-2.7.5", True, False), ("immich-3.1.0", False, False)],
)
async def test_the_recorded_version_chooses_the_dialect(version: str, inline: bool, finds_faces: bool) -> None:
    client = replaying(recording(version, "server_version"))
    dialect = dialect_of(await client.server_version())
    await client.close()
    assert (dialect.hints_inline, dialect.finds_faces) == (inline, finds_faces)


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ((2, 7), "FlatDialect"),
        ((2, 8), "FlatDialect"),
        ((3, 0), "FlatDialect"),
        ((3, 1), "FlatDialect"),
        ((3, 2), "FilterDialect"),
        ((3, 9), "FilterDialect"),
        ((4, 0), "FilterDialect"),
    ],
)
def test_each_version_has_one_dialect(version: tuple[int, int], kind: str) -> None:
    assert type(dialect_of(Version(major=version[0], minor=version[1]))).__name__ == kind


@pytest.mark.parametrize("version", [(1, 144), (2, 6), (2, 0)])
def test_an_immich_that_is_too_old_is_a_setup_error(version: tuple[int, int]) -> None:
    with pytest.raises(SetupError, match=r"2\.7 is the oldest"):
        dialect_of(Version(major=version[0], minor=version[1]))


def test_questions_have_the_shape_that_was_recorded() -> None:
    """Every field that we send is in a recorded request."""
    told = json.loads((shared_data() / "recordings/immich-3.2-dialect/search_taken_lte.json").read_text())
    mine = dialect_of(Version(major=3, minor=2)).body(Query(("timeline", "archive")))
    assert mine["filter"] == {k: v for k, v in told["request"]["body"]["filter"].items() if k != "takenAt"}
    told = json.loads((shared_data() / "recordings/immich-2.7.5/search_keyset_taken_before.json").read_text())
    flat = dialect_of(Version(major=2, minor=7)).body(Query(("timeline",), size=5))
    assert flat | {"takenBefore": "2015-01-01T00:00:00.000Z"} == told["request"]["body"] | {"visibility": "timeline"}
