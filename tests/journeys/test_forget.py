"""A forgotten person: nothing of theirs is left in any file of ours, and nothing comes back."""

import asyncio
import gzip
import io
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fork_server import KILLED
from journey import Journey, Unkilled, ended, serving, until
from on_terminal import PATIENCE, on_terminal
from sqlalchemy import Connection, select
from sync_result import read

from service.store.tables import crops, cuts, erasures, faces, memberships, reference_vectors, vectors

NAME = "Theodora Quibblewick"
FORMS = {"FACESETS_EXPORT_PROFILES": "lora,frigate,imagefolder,xmp,npz,plain:3:half-body"}


@dataclass(frozen=True, slots=True)
class Known:
    """All that was known of a person: byte strings that no file may hold any more, each with what it is."""

    number: int
    pictures: frozenset[str]
    sought: Mapping[bytes, str]


async def told(journey: Journey, *arguments: str, code: int = 0, die_at: tuple[Any, ...] = ()) -> str:
    """Run a command, and return all that it printed and logged."""
    service = journey.start(*arguments, settings=FORMS, die_at=die_at)
    assert await ended(service) == code, (service.stdout + service.stderr)[-3000:]
    assert "Traceback" not in service.stderr
    return service.stdout + service.stderr


async def synced_with_her(journey: Journey, unkilled: Unkilled) -> Known:
    """A library with every form of exports, in which one person of Immich has a name that nobody else has."""
    journey.begin_from(unkilled.synced)
    (her,) = [one for one in journey.immich.library.people.values() if one.name == "Theo"]
    her.name = NAME
    await told(journey, "sync", "--full")
    listed = json.loads(await told(journey, "identities", "list", "--json"))
    (number,) = [one["number"] for one in listed if one["label"] == NAME]
    await told(journey, "identities", "label", str(number), f"{NAME} junior", "--reason", f"{NAME} told so")
    await told(journey, "sync")
    picture = str(journey.placed.library.files[-2])  # one that is not in the library
    await told(journey, "identities", "reference", str(number), picture, "--keep-original")
    known = known_of(journey, number)
    found = list(findings(journey.data, known))
    sought = {"name", "vector", "crop", "picture in a face set", "reference", "reference vector"}
    assert {what for what, _ in found} >= sought
    assert [path for what, path in found if what == "vector" and path.endswith(".npz")], "in a compressed file"
    return known


def known_of(journey: Journey, number: int) -> Known:
    sought = {NAME.encode(): "name", NAME.encode("utf-16-le"): "name"}
    rows = read(journey.data, lambda tx: of_person(tx, number))
    for vector in rows["vectors"]:
        floats = np.frombuffer(vector, dtype="<f4")
        sought[vector[64:192]] = "vector"
        sought[floats.astype("<f2").tobytes()[32:128]] = "half vector"
    for file in rows["files"]:
        sought[middle((journey.data / "crops" / file).read_bytes())] = "crop"
    for vector in rows["references"]:
        sought[vector[64:192]] = "reference vector"
    for path in (journey.data / "references").rglob("*.*"):
        sought[middle(path.read_bytes())] = "reference"
    for path in (journey.data / "exports").rglob(f"faceset_{number:03d}*/**/*.png"):
        if "mask" not in f"{path.parent.name} {path.name}":  # white shapes, alike for everybody
            sought[middle(path.read_bytes())] = "picture in a face set"
    return Known(number, frozenset(rows["pictures"]), sought)


def middle(body: bytes) -> bytes:
    """Bytes of a picture that no other one has: from the middle of its compressed part."""
    return body[len(body) // 2 : len(body) // 2 + 48]


def of_person(tx: Connection, number: int) -> dict[str, list[Any]]:
    mine = select(memberships.c.face_id).where(memberships.c.identity == number)
    return {
        "vectors": list(tx.scalars(select(vectors.c.vector).where(vectors.c.face_id.in_(mine)))),
        "files": [
            *tx.scalars(select(crops.c.file).where(crops.c.face_id.in_(mine))),
            *tx.scalars(select(cuts.c.file).where(cuts.c.face_id.in_(mine))),
        ],
        "references": list(tx.scalars(select(reference_vectors.c.vector))),
        "pictures": list(tx.scalars(select(faces.c.sha256).where(faces.c.face_id.in_(mine)))),
    }


def findings(folder: Path, known: Known) -> Iterator[tuple[str, str]]:
    """Yield what of a person the files below a folder hold, also compressed ones, and names of files; and which file."""
    for path in sorted(folder.rglob("*")):
        if NAME.casefold().replace(" ", "") in "".join(filter(str.isalnum, path.name.casefold())):
            yield "name", str(path)
        if path.is_file() and not path.is_symlink():
            for body in unpacked(path.read_bytes()):
                yield from ((what, str(path)) for text, what in known.sought.items() if text in body)


def unpacked(body: bytes) -> Iterator[bytes]:
    """Yield a file, and the members of an archive (npz, fsz) unpacked."""
    yield body
    if body[:2] == b"\x1f\x8b":
        yield gzip.decompress(body)
    if zipfile.is_zipfile(io.BytesIO(body)):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for name in archive.namelist():
                yield from unpacked(archive.read(name))


def test_the_search_sees_through_compression() -> None:
    vector = np.arange(512, dtype="<f4") / 7
    known = Known(1, frozenset(), {vector.tobytes()[64:192]: "vector", vector.astype("<f2").tobytes()[32:128]: "half"})
    stream = io.BytesIO()
    np.savez_compressed(stream, whole=vector, half=vector.astype("<f2"))
    assert vector.tobytes()[64:192] not in stream.getvalue()
    found = {what for body in unpacked(stream.getvalue()) for text, what in known.sought.items() if text in body}
    assert found == {"vector", "half"}


async def test_no_byte_of_a_forgotten_person_is_left_and_none_comes_back(
    journey: Journey, unkilled: Unkilled, tmp_path: Path
) -> None:
    known = await synced_with_her(journey, unkilled)
    copy = tmp_path / "copy"
    await told(journey, "export", "--profile", "plain", "--to", str(copy))
    number = str(known.number)
    assert "say --yes" in await told(journey, "identities", "forget", number, code=3)
    preview = await told(journey, "identities", "forget", number, "--dry-run")
    assert f"To be forgotten: identity {number}.\nTo be erased: " in preview
    assert "nobody" not in preview, "erased faces are no faces of nobody"
    assert str(copy) in preview, "the user learns of copies elsewhere"
    printed = await told(journey, "identities", "forget", number, "--yes", "--reason", "asked for by letter")
    assert "nothing takes it back" in printed
    assert "not everything is erased" not in printed
    assert NAME not in printed
    assert list(findings(journey.data, known)) == []
    assert not (journey.data / "facesets.db-wal").exists() or not (journey.data / "facesets.db-wal").stat().st_size
    assert read(journey.data, still_open) == []
    others = {path.name for path in (journey.data / "exports").glob("faceset_*")}
    assert others, "other people's face sets stay"

    for arguments in ((), ("--full",)):
        logged = await told(journey, "sync", *arguments)
        assert NAME not in logged
        assert list(findings(journey.data, known)) == []
    listed = json.loads(await told(journey, "identities", "list", "--json"))
    assert known.number not in {one["number"] for one in listed}
    assert list((journey.data / "exports").rglob("*.npz")), "forms of everybody are there again"
    assert "was erased" in await told(journey, "identities", "lock", number, code=3)
    assert "erased" in await told(journey, "decisions", "undo", "1", code=3)
    file = tmp_path / "decisions.jsonl"
    await told(journey, "decisions", "export", str(file))
    assert NAME not in file.read_text(encoding="utf-8")
    assert not [sha256 for sha256 in known.pictures if sha256 in file.read_text(encoding="utf-8")]


@pytest.mark.slow
async def test_over_the_api_while_the_service_runs(journey: Journey, unkilled: Unkilled) -> None:
    known = await synced_with_her(journey, unkilled)
    body = {"decisions": [{"action": "forget", "identity": known.number, "confirm": known.number}]}
    async with serving(journey, FORMS) as (service, client):
        preview = (await client.post("api/decisions/preview", json=body)).json()
        answer = await client.post("api/decisions", json=body, headers={"Idempotency-Key": "forget-her"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["erased"] == preview["erased"]
        assert answer.json()["remark"] == ""
        again = await client.post("api/decisions", json=body, headers={"Idempotency-Key": "forget-her"})
        assert again.json() == answer.json()
        assert (await client.get(f"api/identities/{known.number}")).status_code == 404
        undo = await client.post(f"api/decisions/{answer.json()['decisions'][0]}/undo", json={})
        assert undo.status_code == 410
        assert NAME not in service.stderr
    assert list(findings(journey.data, known)) == []


@pytest.mark.slow
async def test_on_a_terminal_it_asks_for_the_number_again(journey: Journey, unkilled: Unkilled, tmp_path: Path) -> None:
    journey.begin_from(unkilled.synced)
    command = (sys.executable, "-m", "service", "identities", "forget", "1")
    for answer, number, line in (
        ("2", 3, "the numbers differ: nothing was erased"),
        ("1", 0, "Decision 1: nothing takes"),
    ):
        async with on_terminal(journey.environ, tmp_path, *command) as shown:
            await shown.answer("Repeat the number 1 to erase it", answer)
            await asyncio.wait_for(shown.process.wait(), PATIENCE)
            await until(lambda text=line, to=shown: text in to.printed)
            assert "To be erased: " in shown.printed
            assert shown.process.returncode == number
    assert [one["kind"] for one in json.loads(await told(journey, "decisions", "list", "--json"))] == ["forget"]


@pytest.mark.kill
@pytest.mark.slow
@pytest.mark.parametrize("moment", ["during", "before", "after"])
async def test_an_erasure_that_is_killed_anywhere_is_finished_by_the_next_sync(
    journey: Journey, unkilled: Unkilled, moment: str
) -> None:
    known = await synced_with_her(journey, unkilled)
    forget = ("identities", "forget", str(known.number), "--yes")
    await told(journey, *forget, code=KILLED, die_at=("decide", "during", 1))
    assert "name" in dict(findings(journey.data, known)), "nothing was decided"
    await told(journey, *forget, code=KILLED, die_at=("record_erased_pictures", moment, 1))
    assert "was erased" in await told(journey, *forget, code=3)
    assert read(journey.data, still_open) == [None]
    for point in ("record_erased_directory", "record_erased_folder", "end_erasures"):
        await told(journey, "sync", code=KILLED, die_at=(point, moment, 1))
    await told(journey, "sync")
    assert list(findings(journey.data, known)) == []
    assert None not in read(journey.data, ended_at)
    assert journey.result().loose_ends() == []


def still_open(tx: Connection) -> list[Any]:
    return list(tx.scalars(select(erasures.c.ended_at).where(erasures.c.ended_at.is_(None))))


def ended_at(tx: Connection) -> list[Any]:
    return list(tx.scalars(select(erasures.c.ended_at)))
