"""A face set that somebody chose by hand: sync, include a face, export, read it; and a form that is switched off."""

import json
from pathlib import Path
from typing import Any

import pytest
from journey import Journey, Unkilled, ended, serving

SETTINGS = {
    "FACESETS_OUTLIER_DISTANCE": "0.06",
    "FACESETS_EXPORT_PROFILES": "fsz,kohya:3:96,plain",
}


async def told(journey: Journey, *arguments: str, code: int = 0) -> str:
    """Run a command, and return what it printed."""
    service = journey.start(*arguments, settings=SETTINGS)
    assert await ended(service) == code, (service.stdout + service.stderr)[-3000:]
    assert "Traceback" not in service.stderr
    return service.stdout if code == 0 else service.stderr


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


@pytest.mark.slow
async def test_a_face_that_is_included_is_in_the_set_and_a_switched_off_form_is_not_there(
    journey: Journey, unkilled: Unkilled, tmp_path: Path
) -> None:
    journey.begin_from(unkilled.synced)
    exports = journey.data / "exports"
    await told(journey, "export")
    report = next(
        path
        for path in sorted(exports.glob("faceset_*/preflight.json"))
        if any(one["reason"] == "outlier" for one in read(path)["left_out_faces"])
    )
    name, number = report.parent.name, str(read(report)["identity"])
    before = read(report.parent / "manifest.json")
    (gone, *_) = [one["sha256"] for one in read(report)["left_out_faces"] if one["reason"] == "outlier"]
    shown = json.loads(await told(journey, "identities", "show", number, "--json"))
    face = next(str(one["face_id"]) for one in shown["faces"] if one["sha256"] == gone)

    refused = await told(journey, "identities", "for-sets", face, "--off", code=3)
    assert "was not included by hand" in refused
    assert "writes the face sets" in await told(journey, "identities", "for-sets", face, "--reason", "her best smile")
    await told(journey, "export")
    after = read(report.parent / "manifest.json")
    assert {one["sha256"] for one in after["faces"]} == {one["sha256"] for one in before["faces"]} | {gone}
    assert gone in {one["sha256"] for one in read(exports / "_profiles" / "kohya" / name / "manifest.json")["faces"]}
    assert read(report)["included"] == {"faces": 1, "left_out": {}}

    assert await told(journey, "identities", "profiles", number) == "kohya: written\nplain: written\n"
    refused = await told(journey, "identities", "profiles", number, "--off", "koya", code=3)
    assert "there is no profile koya" in refused
    await told(journey, "identities", "profiles", number, "--off", "kohya")
    assert not (exports / "_profiles" / "kohya" / name).exists(), "at once"
    await told(journey, "export")
    assert not (exports / "_profiles" / "kohya" / name).exists()
    assert (exports / "_profiles" / "plain" / name).is_dir()
    shown = json.loads(await told(journey, "identities", "profiles", number, "--json"))
    assert (shown["profiles"], shown["off"]) == ({"kohya": False, "plain": True}, ["kohya"])

    async with serving(journey, settings={**SETTINGS, "FACESETS_OUTLIER_DISTANCE": "0.3"}) as (_, client):
        planned = (await client.get(f"/api/identities/{number}/planned-set")).json()
        assert (planned["included"], planned["refused"]) == (1, [])
        body = {"decisions": [{"action": "profiles", "identity": int(number), "on": ["kohya"]}]}
        assert (await client.post("/api/decisions", json=body)).status_code == 200
        assert (await client.get(f"/api/identities/{number}")).json()["profiles_off"] == []

    file = tmp_path / "decisions.jsonl"
    await told(journey, "decisions", "export", str(file))
    kinds = [json.loads(line)["decision"]["kind"] for line in file.read_text(encoding="utf-8").splitlines()]
    assert kinds == ["for_sets", "profiles", "profiles"]
