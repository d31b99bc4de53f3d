"""A program that knows one address finds its way through the API of a real service, below a base path."""

import hashlib
import io
import json
import zipfile
from typing import Any

import httpx
import pytest
from journey import Journey, Unkilled, serving
from PIL import Image

from immich_facesets.imports.manifests import MANIFEST

pytestmark = pytest.mark.timeout(600)


async def got(client: httpx.AsyncClient, address: str) -> httpx.Response:
    """The answer at an address as an answer of the API names it, or a path below the base path."""
    target = client.base_url.copy_with(raw_path=address.encode()) if address.startswith("/") else address
    answer = await client.get(target)
    assert answer.status_code == 200, (address, answer.text)
    return answer


async def told(client: httpx.AsyncClient, address: str) -> Any:
    return (await got(client, address)).json()


async def test_every_address_of_an_answer_leads_somewhere(journey: Journey, unkilled: Unkilled) -> None:
    journey.begin_from(unkilled.synced)
    async with serving(journey, {"FACESETS_BASE_PATH": "/faces"}) as (service, client):
        listed = await told(client, "api/identities?sort=name")
        assert listed["total"] == len(listed["identities"]) > 1
        for one in listed["identities"]:
            number = one["number"]
            whole = await told(client, f"api/identities/{number}")
            assert whole["identity"] == one
            assert sum(whole["how"].values()) == one["faces"]
            faces = (await told(client, f"api/identities/{number}/faces?sort=quality&limit=200"))["faces"]
            assert len(faces) == one["faces"]
            assert {face["picture"]["places"][0]["source"] for face in faces} <= set(whole["sources"])
            near = (await told(client, f"api/identities/{number}/nearest"))["identities"]
            assert {other["number"] for other in near} == {p["number"] for p in listed["identities"]} - {number}
            face = await told(client, f"api/faces/{faces[0]['id']}")
            assert face["face"] == faces[0]
            await check_crop(client, one["cover"])
            for address in one["facesets"]:
                await check_faceset(client, address)
        assert any(one["facesets"] for one in listed["identities"])
        known = next(one["label"] for one in listed["identities"] if one["label"])
        assert known in {one["label"] for one in (await told(client, f"api/search?q={known.upper()}"))["identities"]}
        jobs = (await told(client, "api/jobs"))["jobs"]
        assert jobs[-1]["outcome"] == "done"
        assert {one["counts"]["name"] for one in (await told(client, "api/sources"))["sources"]}
        written = (await told(client, "api/exports"))["exports"]
        assert {entry["action"] for entry in written} == {"written"}
        assert service.is_running
    assert known not in service.stderr + service.stdout, "no name in the log"


async def check_crop(client: httpx.AsyncClient, crop: dict[str, Any]) -> None:
    image = await got(client, crop["crop"])
    assert hashlib.sha256(image.content).hexdigest() in crop["crop"]
    with Image.open(io.BytesIO((await got(client, crop["thumbnail"])).content)) as small:
        assert max(small.size) <= 256


async def check_faceset(client: httpx.AsyncClient, address: str) -> None:
    found = await told(client, address)
    assert found["is_whole"] is True
    assert found["preflight"]["known"] >= found["faceset"]["faces"]
    with zipfile.ZipFile(io.BytesIO((await got(client, found["faceset"]["zip"])).content)) as archive:
        assert archive.testzip() is None
        names = {name.partition("/")[2] for name in archive.namelist()}
        manifest = json.loads(archive.read(f"{found['faceset']['directory'].rpartition('/')[2]}/{MANIFEST}"))
    assert names == {one["name"] for one in found["artifacts"]}
    assert {face["file"] for face in manifest["faces"]} <= names
    for one in found["artifacts"]:
        if one["name"].endswith(".fsz"):
            assert len((await got(client, one["address"])).content) == one["bytes"]


async def test_a_whole_picture_comes_from_its_source_and_nothing_of_it_stays_on_disk(
    journey: Journey, unkilled: Unkilled
) -> None:
    journey.begin_from(unkilled.synced)
    left = journey.data / "previews" / "left.part"
    left.parent.mkdir()
    left.write_bytes(b"of a service that was killed")
    async with serving(journey) as (_, client):
        assert not left.exists()
        (one, *_) = (await told(client, "api/identities"))["identities"]
        faces = (await told(client, f"api/identities/{one['number']}/faces"))["faces"]
        pictures = {face["picture"]["address"]: face["picture"] for face in faces}
        address, picture = next(iter(pictures.items()))
        asked = journey.immich.requests.count("original")
        answer = await got(client, address)
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert "immutable" in answer.headers["Cache-Control"]
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.size == (picture["width"], picture["height"]), "it is small, and never enlarged"
        assert (await got(client, address)).content == answer.content
        assert journey.immich.requests.count("original") == asked + 1, "the second look costs no request"
        assert list((journey.data / "previews").iterdir()) == []
        journey.immich.faults.add("original", "status", status=503)
        other = next(iter(set(pictures) - {address}))
        assert (await client.get(other)).status_code == 503
        for nothing in ("0" * 64, "x" * 64, "0" * 63):
            assert (await client.get(f"/api/pictures/{nothing}")).status_code == 404
