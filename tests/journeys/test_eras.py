"""Eras of a person with pictures over many years: from sync to sync, and by command."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fork_server import KILLED, ForkServer
from journey import NOTHING, Journey, begun, ended, serving
from PIL import Image
from small_library import LATE, add_shot, draw_small_library, known_id, long_life


async def told(
    journey: Journey,
    *arguments: str,
    code: int = 0,
    die_at: tuple[Any, ...] = (),
    settings: Mapping[str, str] = NOTHING,
) -> Any:
    """Return the JSON output of a command."""
    service = journey.start(*arguments, "--json", die_at=die_at, settings=settings)
    assert await ended(service) == code, service.stderr[-3000:]
    return json.loads(service.stdout) if code == 0 else None


async def names(journey: Journey) -> set[str]:
    return {row["name"] for row in await told(journey, "eras", "list")}


def eras_of(journey: Journey) -> dict[str, int]:
    """The directories of eras, and the possible numbers of faces in each."""
    found = {}
    for path in (journey.data / "exports").rglob("faceset_*_era_*/manifest.json"):
        manifest = json.loads(path.read_bytes())
        name = str(path.parent.relative_to(journey.data / "exports"))
        found[name] = len(manifest["faces"]) + sum(manifest["left_out"].values())
    return found


@pytest.mark.slow
async def test_eras_are_kept_while_their_faces_grow_and_follow_a_users_setting(
    forks: ForkServer, embedder_url: str, tmp_path: Path
) -> None:
    library = draw_small_library(tmp_path / "drawn", long_life())
    async with begun(forks, library, embedder_url, tmp_path) as journey:
        await journey.finish()
        first = eras_of(journey)
        assert set(first) == {"faceset_001_era_2001", "faceset_001_era_2023"}

        immich = journey.immich
        for number in range(len(library.shots) - LATE, len(library.shots)):
            add_shot(immich, library, number)
        await journey.finish("--full")
        assert eras_of(journey).keys() == first.keys()
        rows = await told(journey, "eras", "list")
        assert {row["name"]: row["faces"] for row in rows} == {"2001": 26, "2023": 28}

        picture = tmp_path / "probe.png"
        probe = await told(journey, "eras", "probe", "1", "--picture", str(picture))
        assert (probe["is_sortable"], probe["probe"]["verdict"]) == (True, "sortable")
        assert [part["dominant_year"] for part in probe["probe"]["anchors"]] == [2023, 2001]
        with Image.open(picture) as drawn:
            assert drawn.size[0] > 600

        (dry,) = await told(journey, "eras", "split", "1", "--dry-run")
        assert (dry["is_written"], dry["new"], dry["gone"], dry["moved_faces"]) == (False, [], [], 0)
        rows = await told(journey, "eras", "split", "--all")
        assert rows[0]["is_written"]
        assert [era["name"] for era in rows[0]["eras"]] == ["2001", "2023"]
        before = (journey.data / "exports/manifest.json").read_bytes()
        await journey.finish("--full")
        assert (journey.data / "exports/manifest.json").read_bytes() == before

        renamed = await told(journey, "eras", "rename", "1", "2001", "School time")
        assert (renamed["new"], renamed["gone"], renamed["moved_faces"]) == (["School time"], ["2001"], 0)
        await journey.finish("--full")
        assert set(eras_of(journey)) == {"faceset_001_era_School time", "faceset_001_era_2023"}
        dry = await told(journey, "eras", "merge", "1", "2023", "--into", "School time", "--dry-run")
        assert (dry["is_written"], dry["gone"]) == (False, ["2023"])
        merged = await told(journey, "eras", "merge", "1", "2023", "--into", "School time")
        assert [(era["name"], era["faces"]) for era in merged["eras"]] == [("School time", 54)]
        await journey.finish("--full")
        assert set(eras_of(journey)) == {"faceset_001_era_School time"}

        immich.library.people[
            "anna", known_id("person", "anna", library.shots[0].sitters[0][0])
        ].birth_date = "1993-05-01"
        service = await journey.sync("--full", settings={"FACESETS_ERA_AGES": "6-9,26-35"})
        assert service.code == 0, service.stderr[-3000:]
        assert set(eras_of(journey)) == {"faceset_001_era_age_06_09", "faceset_001_era_age_26_35"}
        ages = {"FACESETS_ERA_AGES": "6-9,26-35"}
        await told(journey, "eras", "rename", "1", "age_06_09", "Primary school", settings=ages)
        assert (await journey.sync("--full", settings=ages)).code == 0
        assert set(eras_of(journey)) == {"faceset_001_era_Primary school", "faceset_001_era_age_26_35"}
        top = json.loads((journey.data / "exports/manifest.json").read_bytes())
        assert [entry["era"] for entry in top["facesets"] if entry["era"]] == [
            {"from": 2001, "to": 2001},
            {"from": 2023, "to": 2023},
        ]


@pytest.mark.slow
async def test_eras_of_an_unknown_identity_are_refused_with_a_message(
    forks: ForkServer, embedder_url: str, tmp_path: Path
) -> None:
    library = draw_small_library(tmp_path / "drawn")
    async with begun(forks, library, embedder_url, tmp_path) as journey:
        early = journey.start("eras", "probe", "1")
        assert await ended(early) == 3
        assert "sync" in early.stderr
        await journey.finish()
        for arguments in (["probe", "999"], ["list", "999"], ["split", "999"], ["split"], ["split", "1", "--all"]):
            service = journey.start("eras", *arguments)
            assert await ended(service) == 3
            assert "eras" not in service.stdout
        service = journey.start("eras", "probe", "1")
        assert await ended(service) == 0, service.stderr[-2000:]
        assert "cannot be sorted by age" in service.stdout
        service = journey.start("eras", "split", "--all")
        assert await ended(service) == 0, service.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.kill
async def test_changes_of_eras_are_undone_survive_kills_and_move_to_another_installation(
    forks: ForkServer, embedder_url: str, tmp_path: Path
) -> None:
    library = draw_small_library(tmp_path / "drawn", long_life())
    (tmp_path / "here").mkdir()
    async with begun(forks, library, embedder_url, tmp_path / "here") as journey:
        await journey.finish()
        rename = ("eras", "rename", "1", "2001", "School", "--reason", "she asked")
        for moment in ("before", "during"):
            await told(journey, *rename, code=KILLED, die_at=("decide_eras", moment, 1))
            assert await names(journey) == {"2001", "2023"}
            assert await told(journey, "decisions", "list") == []
        await told(journey, *rename, code=KILLED, die_at=("decide_eras", "after", 1))
        assert await names(journey) == {"School", "2023"}
        (made,) = await told(journey, "decisions", "list", "--identity", "1")
        assert (made["kind"], made["made_from"], made["reason"]) == ("eras", "command", "she asked")
        await journey.finish("--full")
        assert set(eras_of(journey)) == {"faceset_001_era_School", "faceset_001_era_2023"}
        await told(journey, "decisions", "undo", "1")
        assert await names(journey) == {"2001", "2023"}
        await journey.finish("--full")
        assert set(eras_of(journey)) == {"faceset_001_era_2001", "faceset_001_era_2023"}
        await told(journey, "decisions", "redo", "1")
        async with serving(journey) as (_, client):
            merge = {"action": "merge", "eras": ["2023"], "into": "School"}
            merged = (await client.post("api/identities/1/eras", json={"change": merge, "reason": "one"})).json()
            assert [era["name"] for era in merged["after"]] == ["School"]
            undo = {"decisions": [{"action": "undo", "decision": merged["decision"]}]}
            answer = await client.post("api/decisions", json=undo)
            assert answer.status_code == 200, answer.text
            history = (await client.get("api/identities/1/history")).json()["decisions"]
            assert [(one["kind"], one["reason"]) for one in history] == [("eras", "one"), ("eras", "she asked")]
        assert await names(journey) == {"School", "2023"}
        before = {row["name"]: row["faces"] for row in await told(journey, "eras", "list")}
        file = tmp_path / "decisions.jsonl"
        service = journey.start("decisions", "export", str(file))
        assert await ended(service) == 0
    (tmp_path / "there").mkdir()
    async with begun(forks, library, embedder_url, tmp_path / "there") as journey:
        await told(journey, "decisions", "import", str(file))
        await journey.finish()
        assert {row["name"]: row["faces"] for row in await told(journey, "eras", "list")} == before
        assert set(eras_of(journey)) == {"faceset_001_era_School", "faceset_001_era_2023"}
