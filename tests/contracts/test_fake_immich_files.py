"""File downloads of the fake Immich: originals, byte ranges, previews, edited pictures."""

import base64
import hashlib
from pathlib import Path

import pytest
from contract_scene import JPEG, VERSIONS, full_scene, key_of, scene


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_original_is_what_its_checksum_says(version: str) -> None:
    async with full_scene(version) as made:
        answer = await made.original("plain")
        assert answer.status_code == 200
        told = (await made.search({"id": made.assets["plain"].asset_id}))["items"][0]["checksum"]
        assert base64.b64encode(hashlib.sha1(answer.content, usedforsecurity=False).digest()).decode() == told
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["etag"].startswith('W/"')
        assert (await made.original("heic")).headers["content-type"] == "image/heic"
        assert (await made.original("partner")).status_code == 200
        assert (await made.original("trashed")).status_code == 200


@pytest.mark.parametrize("version", VERSIONS)
async def test_data_may_lie_in_a_file_or_be_made_on_demand(version: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"from a file")
    async with scene(version) as made:
        made.add("file", data=tmp_path / "a.jpg")
        made.add("made", data=lambda: b"made")
        assert (await made.original("file")).content == b"from a file"
        assert (await made.original("made")).content == b"made"
        checksums = [item["checksum"] for item in (await made.search())["items"]]
        assert checksums[0] == base64.b64encode(hashlib.sha1(b"from a file", usedforsecurity=False).digest()).decode()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_checksum_may_be_that_of_the_path(version: str) -> None:
    async with scene(version) as made:
        made.add("external", checksum="cGF0aCBoYXNoIG9mIGFuIGFzc2V0IQ==", data=lambda: pytest.fail("read for nothing"))
        assert (await made.search())["items"][0]["checksum"] == "cGF0aCBoYXNoIG9mIGFuIGFzc2V0IQ=="


@pytest.mark.parametrize(
    ("asked", "start", "stop"), [("bytes=0-99", 0, 100), ("bytes=1000-", 1000, None), ("bytes=-5", -5, None)]
)
async def test_a_range_is_answered_with_the_part(asked: str, start: int, stop: int | None) -> None:
    async with full_scene("3.1.0") as made:
        whole = (await made.original("plain")).content
        answer = await made.original("plain", range=asked)
        assert (answer.status_code, answer.content) == (206, whole[start:stop])
        assert answer.headers["content-range"].endswith(f"/{len(whole)}")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_range_outside_the_file_is_an_internal_error(version: str) -> None:
    async with full_scene(version) as made:
        answer = await made.original("plain", range="bytes=999999-")
        assert (answer.status_code, answer.json()["message"]) == (500, "Internal server error")


async def test_a_range_of_a_changed_file_is_answered_with_all_of_it() -> None:
    async with full_scene("3.1.0") as made:
        tag = (await made.original("plain")).headers["etag"]
        ranged = {"range": "bytes=0-9"}
        assert (await made.original("plain", **ranged, **{"if-range": tag})).status_code == 206
        assert (await made.original("plain", **ranged, **{"if-range": 'W/"other"'})).status_code == 200
        unchanged = await made.original("plain", **{"if-none-match": tag})
        assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_head_tells_the_size_and_sends_nothing() -> None:
    async with full_scene("3.1.0") as made:
        answer = await made.client.head(f"/api/assets/{made.assets['plain'].asset_id}/original")
        assert int(answer.headers["content-length"]) == len(JPEG) + len("plain")
        assert answer.content == b""


async def test_an_offline_original_is_a_mislabelled_500_in_2_7_and_a_404_later() -> None:
    async with full_scene("2.7.5") as made:
        answer = await made.original("offline")
        assert answer.status_code == 500
        assert answer.headers["content-type"].startswith("image/jpeg")
        assert answer.json()["statusCode"] == 500
    async with full_scene("3.1.0") as made:
        answer = await made.original("offline")
        assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"})


async def test_a_file_that_vanished_is_as_good_as_offline(tmp_path: Path) -> None:
    async with scene("3.1.0") as made:
        made.add("gone", data=tmp_path / "gone.jpg", checksum="AAAA", size=1)
        assert (await made.original("gone")).status_code == 404


@pytest.mark.parametrize(("version", "status"), [("2.7.5", 400), ("3.1.0", 404), ("3.3.5", 404)])
@pytest.mark.parametrize("name", ["foreign", "locked"])
async def test_foreign_and_locked_originals_are_hidden(version: str, status: int, name: str) -> None:
    async with full_scene(version) as made:
        assert (await made.original(name)).status_code == status
        preview = await made.get(f"/api/assets/{made.assets[name].asset_id}/thumbnail?size=preview")
        assert (preview.status_code, preview.json()["message"]) == (400, "Not found or no asset.view access")


@pytest.mark.parametrize("version", VERSIONS)
async def test_edited_pictures_come_only_when_asked_for(version: str) -> None:
    async with scene(version) as made:
        made.add("edited", is_edited=True, edited_data=b"\xff\xd8\xffedited", preview_data=b"\xff\xd8\xffpreview")
        assert (await made.original("edited")).content.endswith(b"edited")
        assert (await made.original("edited")).content.startswith(JPEG)
        answer = await made.original("edited", "?edited=true")
        assert answer.content == b"\xff\xd8\xffedited"
        assert answer.headers["content-disposition"].endswith("edited.jpeg")
        thumbnail = f"/api/assets/{made.assets['edited'].asset_id}/thumbnail?size=preview"
        assert (await made.get(thumbnail)).content.endswith(b"preview")
        assert (await made.get(f"{thumbnail}&edited=true")).content == b"\xff\xd8\xffedited"


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_boxes_of_an_edited_picture_differ_between_search_and_faces(version: str) -> None:
    async with scene(version) as made:
        asset = made.add("edited", is_edited=True, width=600, height=800)
        made.face("edited")
        moved = made.immich.add_face(asset, box=(400, 800, 600, 950), image_width=600, image_height=800)
        asset.edited_faces, asset.faces = [moved], asset.faces[:1]
        (face,) = (await made.get(f"/api/faces?id={asset.asset_id}")).json()
        assert (face["boundingBoxX1"], face["boundingBoxY2"]) == (400, 950)  # outside the picture, as on a real server
        if version == "2.7.5":
            item = (await made.search({"withPeople": True}))["items"][0]
            assert item["unassignedFaces"][0]["boundingBoxX1"] == 600


@pytest.mark.parametrize("version", VERSIONS)
async def test_full_size_sends_on_to_the_original_or_the_preview(version: str) -> None:
    async with full_scene(version) as made:
        jpeg = f"/api/assets/{made.assets['plain'].asset_id}/thumbnail?size=fullsize"
        heic = f"/api/assets/{made.assets['heic'].asset_id}/thumbnail?size=fullsize"
        assert (await made.get(jpeg)).status_code == 302
        followed = await made.client.get(jpeg, follow_redirects=True)
        assert followed.content == (await made.original("plain")).content
        followed = await made.client.get(heic, follow_redirects=True)
        assert followed.url.params["size"] == "preview"
        assert followed.content == JPEG
        made.assets["heic"].fullsize_data = b"\xff\xd8\xfffull"
        assert (await made.get(heic)).content == b"\xff\xd8\xfffull"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_missing_preview_is_a_404_that_says_so(version: str) -> None:
    async with full_scene(version) as made:
        made.assets["plain"].has_preview = False
        answer = await made.get(f"/api/assets/{made.assets['plain'].asset_id}/thumbnail?size=preview")
        assert (answer.status_code, answer.json()["message"]) == (404, "Asset media not found")


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_unknown_size_is_refused(version: str) -> None:
    async with full_scene(version) as made:
        answer = await made.get(f"/api/assets/{made.assets['plain'].asset_id}/thumbnail?size=huge")
        assert answer.status_code == 400


async def test_originals_need_the_permission_to_download() -> None:
    async with full_scene("3.1.0") as made:
        made.anna.api_key = made.immich.add_key(made.anna, {"asset.read", "asset.view"})
        answer = await made.original("plain", **key_of(made.anna))
        assert answer.json() == {"message": "Missing required permission: asset.download"}
        followed = f"/api/assets/{made.assets['plain'].asset_id}/thumbnail"
        assert (await made.get(followed, **key_of(made.anna))).status_code == 200
