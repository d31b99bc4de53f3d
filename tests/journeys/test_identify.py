"""Identification by command: through a running service, without one, and files that are no pictures."""

import json
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from journey import NOTHING, Journey, Unkilled, ended, serving
from small_library import SmallLibrary


async def told(journey: Journey, *arguments: object, code: int = 0, settings: Mapping[str, str] = NOTHING) -> str:
    """Run a command, and return what it printed."""
    service = journey.start(*map(str, arguments), settings=settings)
    assert await ended(service) == code, (service.stdout + service.stderr)[-3000:]
    assert "Traceback" not in service.stderr
    return service.stdout


def people_in(found: list[dict[str, Any]]) -> list[list[tuple[str, int]]]:
    """The verdict and the most probable identity of each face of each file."""
    return [
        [(face["verdict"], face["identities"][0]["number"]) for face in one["answer"]["faces"]]
        for one in found
        if one["answer"] is not None
    ]


async def test_a_command_and_a_service_say_the_same_of_a_picture(
    journey: Journey, unkilled: Unkilled, drawn: SmallLibrary, tmp_path: Path
) -> None:
    journey.begin_from(unkilled.synced)
    picture = tmp_path / "somebody.jpg"
    shutil.copy(drawn.files[1], picture)
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    before = (journey.data / "facesets.db").read_bytes()
    own = json.loads(await told(journey, "identify", picture, text, tmp_path, "--json", code=3))
    assert [one["file"] for one in own] == [str(picture), str(text), str(tmp_path)]
    assert [bool(one["problem"]) for one in own] == [False, True, True]
    assert own[2]["problem"] == "it is a folder: name the files in it"
    (faces,) = people_in(own)
    assert {verdict for verdict, _ in faces} <= {"known", "nobody", "unsure"}
    assert "known" in {verdict for verdict, _ in faces}
    assert (journey.data / "facesets.db").read_bytes() == before, "nothing is stored"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listen = {"FACESETS_LISTEN": f"127.0.0.1:{port}", "FACESETS_TOKEN": "a token for the tests alone"}
    async with serving(journey, listen) as (service, client):
        unreachable = listen | {"FACESETS_EMBEDDER_URLS": "http://127.0.0.1:9"}  # so that only the service can answer
        through = json.loads(await told(journey, "identify", picture, "--json", settings=unreachable))
        assert people_in(through) == [faces]
        answer = await client.post("/api/identify", content=text.read_bytes(), headers={"Content-Type": "image/jpeg"})
        assert answer.status_code == 422
        line = await told(journey, "identify", picture, settings=unreachable)
        assert f"{len(faces)} face" in line
        assert str(picture.name) not in service.stderr
