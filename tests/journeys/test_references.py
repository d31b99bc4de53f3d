"""Reference pictures by command and over the API: a person in no library, kills, another model, another installation."""

import asyncio
import json
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fork_server import ANOTHER_MODEL, KILLED, ForkServer
from journey import NOTHING, Journey, Unkilled, announced_embedder, ended, serving
from service_process import tree
from small_library import SmallLibrary

ALONE = {"IMMICH_URL": "", "FACESETS_USERS_FILE": ""}
"""Settings without an Immich."""


async def told(
    journey: Journey,
    *arguments: object,
    code: int = 0,
    die_at: tuple[Any, ...] = (),
    settings: Mapping[str, str] = NOTHING,
) -> str:
    """Run a command, and return what it printed."""
    service = journey.start(*map(str, arguments), die_at=die_at, settings=settings)
    assert await ended(service) == code, (service.stdout + service.stderr)[-3000:]
    assert "Traceback" not in service.stderr
    return service.stdout if code == 0 else service.stderr


async def listed(journey: Journey, *arguments: object, settings: Mapping[str, str] = NOTHING) -> Any:
    return json.loads(await told(journey, *arguments, "--json", settings=settings))


def alone(drawn: SmallLibrary) -> list[Path]:
    """The pictures of one person that show nobody else, and are named by no source."""
    seed = next(shot.sitters[0][0] for shot in drawn.shots if shot.user == "ben" and len(shot.sitters) == 1)
    shown = zip(drawn.shots, drawn.files, strict=True)
    return [file for shot, file in shown if [one for one, _ in shot.sitters] == [seed]]


async def number_of(journey: Journey, file: Path) -> int:
    """The identity of the only face of a picture."""
    (known,) = await listed(journey, "identify", file)
    (face,) = known["answer"]["faces"]
    assert face["verdict"] == "known"
    return int(face["identities"][0]["number"])


def kept(journey: Journey) -> Sequence[Path]:
    return sorted(path for path in (journey.data / "references").rglob("*") if path.is_file())


@pytest.mark.slow
async def test_a_person_who_is_in_no_library_yet_takes_their_pictures_by_themselves(
    journey: Journey, drawn: SmallLibrary, tmp_path: Path
) -> None:
    first, *others = alone(drawn)
    assert 1 < len(others) < 6, "too few to be found as a person"
    added = await told(journey, "identities", "reference", "--label", "Zoe", first, settings=ALONE)
    assert "Reference picture 1 of identity 1. It is new." in added
    assert len(kept(journey)) == 2
    album = tmp_path / "album"
    album.mkdir()
    for file in set(drawn.files) - {first}:
        shutil.copy(file, album)
    await told(journey, "sources", "add-folder", album, "--name", "album", settings=ALONE)
    await told(journey, "sync", settings=ALONE)
    people = await listed(journey, "identities", "list", settings=ALONE)
    (zoe,) = [one for one in people if one["label"] == "Zoe"]
    assert (zoe["number"], zoe["faces"]) == (1, len(others))
    (answer,) = await listed(journey, "identify", first, settings=ALONE)
    assert answer["answer"]["faces"][0]["identities"][0]["label"] == "Zoe"
    exported = tree(journey.data / "exports")
    assert not [name for name in exported if "reference" in name]
    assert "references" not in await told(journey, "sources", "list", settings=ALONE)
    await told(journey, "sync", settings=ALONE)
    assert await listed(journey, "identities", "list", settings=ALONE) == people
    assert tree(journey.data / "exports") == exported
    file = tmp_path / "decisions.jsonl"
    await told(journey, "decisions", "export", file, settings=ALONE)
    await asyncio.to_thread(shutil.rmtree, journey.data)
    await told(journey, "sources", "add-folder", album, "--name", "album", settings=ALONE)
    await told(journey, "decisions", "import", file, settings=ALONE)
    await told(journey, "sync", settings=ALONE)
    (again,) = [one for one in await listed(journey, "identities", "list", settings=ALONE) if one["label"] == "Zoe"]
    assert (again["number"], again["faces"]) == (1, len(others))


async def test_the_command_lets_a_service_add_delete_and_refuse(
    journey: Journey, unkilled: Unkilled, drawn: SmallLibrary
) -> None:
    journey.begin_from(unkilled.synced)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listen = {"FACESETS_LISTEN": f"127.0.0.1:{port}", "FACESETS_TOKEN": "a token for the tests alone"}
    beside = listen | {"FACESETS_EMBEDDER_URLS": "http://127.0.0.1:9"}  # so that only the service can embed
    two = next(file for shot, file in zip(drawn.shots, drawn.files, strict=True) if len(shot.sitters) == 2)
    async with serving(journey, listen) as (service, client):
        several = await told(journey, "identities", "reference", "--label", "Zoe", two, code=3, settings=beside)
        assert "The faces are at: " in several
        box = several.partition("The faces are at: ")[2].split(";")[0].strip()
        body, octets = two.read_bytes(), {"Content-Type": "application/octet-stream", "Facesets-Label": "Zoe"}
        refused = await client.post("api/references", content=body, headers=octets)
        assert (refused.status_code, refused.json()["reason"]) == (409, "several_faces")
        assert len(refused.json()["boxes"]) == 2
        nobody = await client.post("api/references", content=drawn.files[-3].read_bytes(), headers=octets)
        assert (nobody.status_code, nobody.json()["reason"]) == (422, "no_face")
        zoe = ("identities", "reference", "--label", "Zoe", "--box", box, two)
        would = await listed(journey, *zoe, "--dry-run", settings=beside)
        assert (kept(journey), would["known"]) == ([], None)
        assert "this was a preview" in await told(journey, *zoe, "--dry-run", settings=beside)
        added = await listed(journey, *zoe, "--keep-original", settings=beside)
        assert (would["identity"], would["rival"]) == (added["identity"], added["rival"])
        assert added["rival"] is not None, "somebody of the library is there"
        shown = (await client.get(f"api/identities/{added['identity']}/references")).json()["references"]
        assert [one["state"] for one in shown] == ["asked"]
        assert (await client.get(shown[0]["original"])).content == body
        file = (await told(journey, "identities", "references", added["identity"], settings=beside)).split()[-1]
        assert await asyncio.to_thread(Path(file).read_bytes) == body
        image = await client.get(shown[0]["display"])
        assert (image.status_code, image.headers["Content-Type"]) == (200, "image/jpeg")
        assert "immutable" in image.headers["Cache-Control"]
        (item,) = (await client.get("api/review?kind=reference")).json()["items"]
        assert item["reference"]["display"] == shown[0]["display"]
        second = next(answer for answer in item["answers"] if answer["key"] == "o")
        answered = await client.post("api/decisions", json={"decisions": second["requests"]})
        assert answered.status_code == 200, answered.text
        mine = (await client.get(f"api/identities/{added['rival']}/references")).json()["references"]
        assert [one["state"] for one in mine] == ["used"]
        assert (await client.get("api/review?kind=reference")).json()["items"] == []
        await told(journey, "identities", "remove-reference", added["id"], settings=beside)
        assert (await client.get(shown[0]["display"])).status_code == 404
        assert kept(journey) == []
        assert "Zoe" not in service.stderr


@pytest.mark.kill
@pytest.mark.parametrize(
    "moment", ["during", *(pytest.param(one, marks=pytest.mark.slow) for one in ("before", "after"))]
)
async def test_a_picture_that_a_kill_cut_off_leaves_nothing_or_is_there(
    journey: Journey, unkilled: Unkilled, drawn: SmallLibrary, tmp_path: Path, moment: str
) -> None:
    journey.begin_from(unkilled.synced)
    number = await number_of(journey, alone(drawn)[0])
    add = ("identities", "reference", number, alone(drawn)[0])
    await told(journey, *add, code=KILLED, die_at=("add_reference", moment, 1))
    assert len(kept(journey)) == 2, "files come before the row"
    is_there = moment == "after"
    assert len((await listed(journey, "identities", "references", number))["references"]) == is_there
    await told(journey, "sync")
    assert len(kept(journey)) == 2 * is_there, "what no row names goes at the next start"
    await told(journey, *add)
    (one,) = (await listed(journey, "identities", "references", number))["references"]
    file = tmp_path / "decisions.jsonl"
    assert one["state"] == "used"
    await told(journey, "decisions", "export", file)
    await asyncio.to_thread(shutil.rmtree, journey.data)
    journey.begin_from(unkilled.synced)
    await told(journey, "decisions", "import", file, code=KILLED, die_at=("import_decisions", moment, 1))
    await told(journey, "decisions", "import", file)
    await told(journey, "sync", code=KILLED, die_at=("record_vector", moment, 1))
    await told(journey, "sync")
    (again,) = (await listed(journey, "identities", "references", number))["references"]
    assert (again["state"], again["display"], len(kept(journey))) == ("used", one["display"], 2)


@pytest.fixture(scope="module")
def other(forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings for an embedder that serves another space."""
    place = tmp_path_factory.mktemp("other") / "address.json"
    process, url = announced_embedder(forks, place, settings={ANOTHER_MODEL: "drawn-2"})
    yield {"FACESETS_EMBEDDER_URLS": url}
    process.close()


@pytest.mark.slow
async def test_another_model_embeds_what_is_kept(
    journey: Journey, unkilled: Unkilled, drawn: SmallLibrary, other: dict[str, str]
) -> None:
    journey.begin_from(unkilled.synced)
    first = alone(drawn)[0]
    people = await listed(journey, "identities", "list")
    number = await number_of(journey, first)
    await told(journey, "identities", "reference", number, first)
    await told(journey, "sync", settings=other)
    (one,) = (await listed(journey, "identities", "references", number))["references"]
    assert one["state"] == "used"
    assert {row["number"] for row in await listed(journey, "identities", "list")} == {row["number"] for row in people}
