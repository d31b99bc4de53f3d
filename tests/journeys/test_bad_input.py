"""Bad pictures, names, settings and disks: the message names the remedy, and no data is lost."""

import asyncio
import json
import re
import shutil
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import service_process
from bad_pictures import black_png, exploding_png, with_broken_pixels
from embedder_scene import ScriptedEngine, running
from fork_server import ForkedProcess
from journey import Journey, ended
from pydantic import SecretStr

from embedder.engine import EngineFacts
from service.demo.immich import FakeAsset

pytestmark = pytest.mark.timeout(600)

NASTY = "../../etc/[/] [red]Änne 🦊\r\n\x1b[2J"
"""One name with a path, markup of our own output, an emoji, a line break and a terminal escape sequence."""


def add(journey: Journey, name: str, data: bytes, **fields: Any) -> FakeAsset:
    """A picture of Anna's with a face that Immich detected."""
    immich = journey.immich
    number = len(immich.library.assets)
    usual: dict[str, Any] = {
        "file_name": name,
        "original_path": f"/photos/{name}",
        "owner": "anna",
        "width": 480,
        "height": 360,
        "taken_at": datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=number),
        "created_at": datetime(2024, 5, 5, tzinfo=UTC) + timedelta(seconds=number),
    }
    asset = immich.add_asset(data=data, **(usual | fields))
    immich.add_face(asset, box=(200, 80, 290, 190), image_width=480, image_height=360)
    return asset


def start(journey: Journey, *arguments: str, **settings: str) -> ForkedProcess:
    return journey.forks.start("service", *arguments, environ={**journey.environ, **settings})


async def sync(journey: Journey, *arguments: str, **settings: str) -> ForkedProcess:
    """The counts of one finished sync."""
    service = start(journey, "sync", *arguments, **settings)
    await ended(service)
    return service


async def told(service: ForkedProcess) -> str:
    """Return the line that names the remedy, of a command that must fail with exit code 3 and no other error line."""
    assert await ended(service) == 3, service.stderr[-3000:]
    lines = [line for line in service.stderr.splitlines() if line.strip() and '"level": "info"' not in line]
    progress = [line for line in lines if re.match(r"[A-Z][a-z]+ [a-z ]+: (running|done|failed), ", line)]
    (line,) = (line for line in lines if line not in progress)
    assert "Traceback" not in service.stderr
    return line


async def status(journey: Journey) -> dict[str, Any]:
    service = start(journey, "status", "--json")
    assert await ended(service) == 0, service.stderr[-3000:]
    found: dict[str, Any] = json.loads(service.stdout)
    return found


def failures(found: Mapping[str, Any]) -> dict[str, str]:
    """The reason of every failure, by the name of the picture."""
    return {failure["name"].rsplit("/", 1)[-1]: failure["reason"] for failure in found["failures"]}


def let_pauses_end(journey: Journey) -> dict[str, float]:
    """End all pauses; return the length of each in hours, by the picture's fingerprint."""
    with sqlite3.connect(journey.data / "facesets.db") as database:
        rows = database.execute("SELECT item, last_at, retry_at FROM failures").fetchall()
        database.execute("UPDATE failures SET retry_at = last_at")
    database.close()
    hours = {
        item: (datetime.fromisoformat(retry) - datetime.fromisoformat(last)) / timedelta(hours=1)
        for item, last, retry in rows
    }
    return {item: round(pause, 3) for item, pause in hours.items()}


# pictures


async def test_bad_pictures_are_recorded_rest_and_stop_nothing(journey: Journey) -> None:
    good = journey.placed.library.files[0].read_bytes()
    bad = {
        "zero-bytes.jpg": (b"", "empty"),
        "broken.png": (with_broken_pixels(good), "corrupt"),
        "cut.jpg": (good[: len(good) // 4], "corrupt"),
        "noise.jpg": (good[:2] + bytes(range(256)) * 9, "corrupt"),
        "huge.png": (black_png(20_000, 10_000), "too_many_pixels"),
        "bomb.png": (black_png(40_000, 40_000), "too_many_pixels"),
        "bomb-of-text.png": (exploding_png(), "corrupt"),
        "page.jpg": (b"<!DOCTYPE html><html><body>Not Found</body></html>", "not_a_picture"),
        "letter.jpg": (b"Dear Anna,\nhere are the pictures you asked for.\n", "not_a_picture"),
        "film.jpg": (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2mp41" + bytes(200), "unsupported"),
        "odd\r\n\x1b[2J[/red] 🦊.jpg": (b"odd", "not_a_picture"),
    }
    for name, (data, _) in bad.items():
        add(journey, name, data)
    fine = [add(journey, "a-png.jpg", black_png(480, 360)), add(journey, "a-jpeg.png", good[:-2] + b"\0\xff\xd9")]
    fine += [add(journey, "no-end.jpg", good[:-2]), add(journey, "cut-late.jpg", good[: len(good) * 9 // 10])]
    ill = {
        "proxy.jpg": ("html", "not_a_picture"),
        "breaks-off.jpg": ("truncate", "truncated"),
        "garbled.jpg": ("corrupt", "checksum_mismatch"),
    }
    for number, (name, (kind, _)) in enumerate(ill.items()):
        asset = add(journey, name, good + bytes(number + 1))
        journey.immich.faults.add("original", kind, status=200, asset_id=asset.asset_id)  # type: ignore[arg-type]  # one of its kinds
    expected = {name.rsplit("/", 1)[-1]: reason for name, (_, reason) in (bad | ill).items()}
    journey.placed.broken.original_path = "/photos/broken.jpg"  # the small library has one, too
    expected["broken.jpg"] = "corrupt"

    service = await sync(journey)
    assert service.code == 0, service.stderr[-3000:]
    assert f"{len(expected)} pictures were not read: " in " ".join(service.stdout.split())
    found = await status(journey)
    assert failures(found) == expected
    assert {failure["tries"] for failure in found["failures"]} == {1}
    by_reason = {reason: list(expected.values()).count(reason) for reason in sorted(set(expected.values()))}
    assert found["failures_by_reason"] == by_reason
    assert journey.result().identities, "all others are assigned to identities"
    assert {asset.asset_id for asset in fine} <= set(journey.fetched())

    shown = start(journey, "status")
    assert await ended(shown) == 0
    for reason, count in by_reason.items():
        assert f"  {count} x {reason}\n" in shown.stdout
    assert "anna: cut.jpg: the embedder cannot use the picture: the picture is damaged" in shown.stdout
    assert "anna: odd \\x1b[2J[/red] 🦊.jpg: " in shown.stdout, "no markup, and no terminal escape sequence"
    assert "\x1b" not in shown.stdout

    asked = len(journey.fetched())
    assert (await sync(journey)).code == 0
    assert journey.fetched()[asked:] == [], "failed pictures are not retried during their pause"

    journey.immich.faults.clear()
    assert set(let_pauses_end(journey).values()) == {1.0}
    assert (await sync(journey)).code == 0
    found = await status(journey)
    assert failures(found) == {name: reason for name, reason in expected.items() if name not in ill}
    assert {failure["tries"] for failure in found["failures"]} == {2}
    assert set(let_pauses_end(journey).values()) == {4.0}, "each pause is longer than the one before"


@pytest.mark.slow
async def test_the_failure_of_a_deleted_picture_is_forgotten(journey: Journey) -> None:
    asset = add(journey, "cut.jpg", b"\xff\xd8\xff\xe0")
    assert (await sync(journey)).code == 0
    assert "cut.jpg" in failures(await status(journey))
    journey.immich.delete_asset(asset)
    assert (await sync(journey, "--full")).code == 0
    assert "cut.jpg" not in failures(await status(journey))


# names


@pytest.mark.slow
async def test_names_are_only_ever_shown(journey: Journey, tmp_path: Path) -> None:
    immich, user = journey.immich, "anna/../[/] 🦊"
    for person in immich.library.people.values():
        person.name = NASTY
    for asset in immich.library.assets.values():
        asset.file_name, asset.original_path = f"{NASTY}.jpg", f"/photos/{NASTY}/../../{NASTY}.jpg"
    users = tmp_path / "users.toml"
    lines = [
        f'[users."{name}"]\napi_key = "{immich.library.users[key].api_key}"\n'
        for name, key in ((user, "anna"), ("..", "ben"))
    ]
    users.write_text("".join(lines), encoding="utf-8")
    before = {path for path in tmp_path.parent.rglob("*") if not path.is_relative_to(journey.data)}
    service = await sync(journey)
    assert service.code == 0, service.stderr[-3000:]
    after = {path for path in tmp_path.parent.rglob("*") if not path.is_relative_to(journey.data)}
    assert after - before == set(), "nothing was written outside"
    exports = journey.data / "exports"
    assert not [path for path in journey.data.rglob("*") if not path.resolve().is_relative_to(journey.data)]

    top = json.loads((exports / "manifest.json").read_text(encoding="utf-8"))
    labelled = [entry for entry in top["facesets"] if entry["label"] == NASTY]
    assert labelled, "manifests hold the unchanged name"
    markers = [path.name for entry in labelled for path in (exports / entry["directory"]).glob("*.txt")]
    assert markers
    assert all("etc" in name and "🦊" in name and name.isprintable() and "/" not in name for name in markers)
    folders = {path.name for path in (exports / "users").iterdir()}
    assert len(folders) == 2
    told_users = {
        json.loads((exports / "users" / name / "manifest.json").read_text(encoding="utf-8"))["user"] for name in folders
    }
    assert told_users == {user, ".."}

    for arguments in (("identities", "list"), ("identities", "show", "1"), ("status",), ("config", "check")):
        shown = start(journey, *arguments)
        assert await ended(shown) == 0, shown.stderr[-3000:]
        assert "\x1b" not in shown.stdout
        if arguments[0] == "identities":
            assert "../../etc/[/] [red]Änne 🦊 \\x1b[2J" in " ".join(shown.stdout.split()).replace("- ", "-")
    listed = start(journey, "identities", "list", "--json")
    assert await ended(listed) == 0
    assert NASTY in {row["label"] for row in json.loads(listed.stdout)}
    poor = await service_process.run({**journey.environ, "PYTHONIOENCODING": "ascii"}, "identities", "list")
    assert poor.code == 0, poor.stderr[-3000:]
    assert "\\xc4nne \\U0001f98a" in poor.stdout


# Immich


async def test_a_wrong_key_is_told_with_its_user_and_never_shown(journey: Journey) -> None:
    journey.immich.revoke_key("key-of-anna")
    journey.immich.revoke_key("key-of-ben")
    line = await told(start(journey, "sync"))
    assert "Immich refused the API key of user 'anna' (Invalid API key): make a new one" in line
    assert "key-of-anna" not in line


@pytest.mark.parametrize("missing", ["asset.read", "face.read", "asset.download", "asset.view", "person.read"])
async def test_a_missing_permission_is_named(journey: Journey, missing: str) -> None:
    library = journey.immich.library
    for name in ("anna", "ben"):
        key = library.keys[f"key-of-{name}"]
        library.keys[f"key-of-{name}"] = replace(key, permissions=key.permissions - {missing})
    line = await told(start(journey, "sync"))
    assert f"the API key of user 'anna' lacks the permission {missing}: add what is missing in Immich" in line


async def test_a_login_proxy_in_front_of_immich_is_guessed(journey: Journey) -> None:
    journey.immich.faults.add("all", "html", status=200)
    line = await told(start(journey, "sync"))
    assert "answered HTML instead of Immich's data: is IMMICH_URL right, is a login proxy in front?" in line


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("{embedder}", "there is no Immich API at 127.0.0.1"),
        ("immich-server:2283", "IMMICH_URL: must be an address such as http://immich-server:2283"),
        ("ftp://immich-server", "IMMICH_URL: must be an address such as http://immich-server:2283"),
        ("http://", "IMMICH_URL: must be an address such as http://immich-server:2283"),
        ("", "IMMICH_URL is not set"),
    ],
)
async def test_a_wrong_address_of_immich_is_told(journey: Journey, embedder_url: str, address: str, said: str) -> None:
    line = await told(start(journey, "sync", IMMICH_URL=address.format(embedder=embedder_url)))
    assert said in line


async def test_an_address_without_a_server_is_an_outage(journey: Journey) -> None:
    service = await sync(journey, IMMICH_URL="http://127.0.0.1:9", FACESETS_BREAKER_FAILURES="1")
    assert service.code == 2
    assert "nobody answers at 127.0.0.1:9" in service.stderr
    assert "what is done stays done" in service.stderr


# the embedder and its models


class OtherSpace(ScriptedEngine):
    """An embedder whose vectors are of another kind."""


class UnknownFamily(ScriptedEngine):
    """An embedder with a model without measured thresholds."""

    @property
    def facts(self) -> EngineFacts:
        return replace(super().facts, family="a-model-of-my-own")


async def test_an_embedder_of_another_space_among_several_is_refused(journey: Journey, embedder_url: str) -> None:
    async with running(OtherSpace()) as other:
        url = str(other.client.base_url).rstrip("/")
        service = await sync(journey, FACESETS_EMBEDDER_URLS=f"{embedder_url},{url}")
    assert service.code == 3
    (line,) = (line for line in service.stderr.splitlines() if line.startswith("setup: "))
    assert "serve different spaces, whose vectors cannot be compared" in line
    assert f"{embedder_url} serves " in line
    assert f"{url} serves {other.pipeline.space} (scripted)" in line
    assert "Give all of them the same models and options" in line
    assert journey.fetched() == []


async def test_a_wrong_token_of_the_embedder_is_told(journey: Journey) -> None:
    async with running(token=SecretStr("the-right-token-of-the-embedder")) as other:
        url = str(other.client.base_url).rstrip("/")
        service = await sync(journey, FACESETS_EMBEDDER_URLS=url, FACESETS_EMBEDDER_TOKEN="hunter2")
    assert service.code == 3
    assert f"the embedder at {url} refuses the token: set FACESETS_EMBEDDER_TOKEN" in service.stderr
    assert "hunter2" not in service.stderr
    assert journey.fetched() == []


async def test_an_unknown_recognition_model_is_told_before_anything_is_fetched(journey: Journey) -> None:
    async with running(UnknownFamily()) as other:
        service = await sync(journey, FACESETS_EMBEDDER_URLS=str(other.client.base_url))
    assert service.code == 3
    assert "no operating points are known for the recognition model 'a-model-of-my-own'" in service.stderr
    assert "set FACESETS_MATCH_DISTANCE, FACESETS_CLUSTER_DISTANCE" in service.stderr
    assert journey.fetched() == []


async def test_missing_models_are_told_with_what_to_do(journey: Journey, tmp_path: Path) -> None:
    own = {
        "FACESETS_EMBEDDER_URLS": "",
        "FACESETS_EMBEDDER_ENGINE": "onnx",
        "FACESETS_MODELS_DIR": str(tmp_path / "m"),
        "FACESETS_MODEL_PACK": "buffalo_l",
    }
    line = await told(start(journey, "sync", **own))
    assert f"there are no models in {tmp_path / 'm' / 'buffalo_l'} (packs found: opencv_zoo)" in line
    assert "immich-facesets models install" in line
    (tmp_path / "m" / "models" / "buffalo_l").mkdir(parents=True)
    (tmp_path / "m" / "antelopev2").mkdir()
    for folder in ("models/buffalo_l", "antelopev2"):
        (tmp_path / "m" / folder / "det.onnx").write_bytes(b"not a model")
    line = await told(start(journey, "sync", **own))
    assert f"(packs found: antelopev2, opencv_zoo); set FACESETS_MODELS_DIR to {tmp_path / 'm' / 'models'}" in line


async def test_models_that_are_none_are_told_by_the_embedder_itself(journey: Journey, tmp_path: Path) -> None:
    pack = tmp_path / "models" / "buffalo_l"
    pack.mkdir(parents=True)
    (pack / "det_10g.onnx").write_bytes(b"not a model")
    own = {"FACESETS_EMBEDDER_URLS": "", "FACESETS_EMBEDDER_ENGINE": "onnx", "FACESETS_MODELS_DIR": str(pack.parent)}
    service = await sync(journey, FACESETS_MODEL_PACK="buffalo_l", **own)
    assert service.code == 3
    first, last = (line for line in service.stderr.splitlines() if '"level": "error"' in line)
    assert str(pack) in first
    assert "the embedder cannot start; its own message above says what to change" in last


# settings


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "FACESETS_EMBEDDER_URL",
            "http://embedder:8786",
            "FACESETS_EMBEDDER_URL (did you mean FACESETS_EMBEDDER_URLS?)",
        ),
        ("FACESETS_EXPORTS_DIR", "/exports", "FACESETS_EXPORTS_DIR (did you mean FACESETS_EXPORT_DIR?)"),
        ("FACESETS_MIN_FACES", "many", "FACESETS_MIN_FACES: "),
        ("FACESETS_TOKEN", "short", "FACESETS_TOKEN: must have 16 characters at least"),
        ("IMMICH_API_KEY", "a-key", "both IMMICH_API_KEY and FACESETS_USERS_FILE are set"),
        ("FACESETS_TOKEN_FILE", "/nowhere", "FACESETS_TOKEN_FILE names a file that cannot be read"),
        ("FACESETS_CONFIG", "/nowhere", "FACESETS_CONFIG names a file that cannot be read"),
        ("FACESETS_DATABASE_URL", "mysql://nobody@nowhere/none", "only SQLite and PostgreSQL are supported"),
        ("FACESETS_DATABASE_URL", "nonsense", "FACESETS_DATABASE_URL is not a database URL"),
    ],
)
@pytest.mark.parametrize("command", [("sync",), ("config", "check")])
async def test_a_wrong_setting_ends_a_command_with_one_line(
    journey: Journey, command: tuple[str, ...], name: str, value: str, said: str
) -> None:
    service = start(journey, *command, **{name: value})
    if command == ("sync",):
        assert said in await told(service)
    else:
        assert await ended(service) == 3
        assert said in service.stderr + service.stdout


async def test_a_time_that_is_none_ends_serve_with_one_line(journey: Journey) -> None:
    line = await told(start(journey, "serve", FACESETS_SYNC_CRON="whenever"))
    assert "FACESETS_SYNC_CRON is no crontab line (such as '*/30 * * * *')" in line


# folders and the database


async def test_a_file_in_the_place_of_a_folder_is_told(journey: Journey, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    line = await told(start(journey, "sync", FACESETS_DATA_DIR=str(file)))
    assert f"FACESETS_DATA_DIR is {file}, and a file is in the way: move it, or set another folder" in line
    line = await told(start(journey, "sync", FACESETS_DATA_DIR=str(file / "below")))
    assert "FACESETS_DATA_DIR is" in line
    line = await told(start(journey, "sync", FACESETS_EXPORT_DIR=str(file)))
    assert f"FACESETS_EXPORT_DIR is {file}, and a file is in the way: move it, or set another folder" in line
    journey.data.mkdir(exist_ok=True)
    (journey.data / "exports").touch()
    line = await told(start(journey, "sync"))
    assert "FACESETS_EXPORT_DIR is" in line


@pytest.mark.slow
async def test_an_export_folder_elsewhere_is_made_at_the_first_run_and_never_again(
    journey: Journey, tmp_path: Path
) -> None:
    mount = tmp_path / "mounted" / "exports"
    own = {"FACESETS_EXPORT_DIR": str(mount)}
    check = journey.start("config", "check", settings=own)
    await ended(check)
    assert f"ok   export folder: {mount}, made at the first sync" in check.stdout
    assert not mount.exists()
    assert (await journey.sync(settings=own)).code == 0
    assert (mount / "manifest.json").is_file()
    mount.parent.rename(tmp_path / "unmounted")
    line = await told(start(journey, "sync", FACESETS_EXPORT_DIR=str(mount)))
    assert f"the export folder {mount} does not exist: create or mount it, or set another one" in line
    check = journey.start("config", "check", settings=own)
    assert await ended(check) == 3
    assert "create or mount it" in check.stdout
    assert not mount.exists()
    (tmp_path / "unmounted").rename(mount.parent)
    assert (await journey.sync(settings=own)).code == 0


@pytest.mark.slow
async def test_face_sets_beside_a_lost_data_folder_are_kept(journey: Journey, tmp_path: Path) -> None:
    own = {"FACESETS_EXPORT_DIR": str(tmp_path / "exports")}
    assert (await journey.sync(settings=own)).code == 0
    before = service_process.tree(tmp_path / "exports")
    journey.data.rename(tmp_path / "unmounted")
    for _ in range(2):
        line = await told(start(journey, "sync", FACESETS_EXPORT_DIR=str(tmp_path / "exports")))
        assert "knows no person: its disk may not be mounted" in line
    assert service_process.tree(tmp_path / "exports") == before
    shutil.rmtree(journey.data)
    (tmp_path / "unmounted").rename(journey.data)
    assert (await journey.sync(settings=own)).code == 0


async def test_a_database_of_a_newer_version_is_left_alone(journey: Journey) -> None:
    assert (await sync(journey, IMMICH_URL="http://127.0.0.1:9", FACESETS_BREAKER_FAILURES="1")).code == 2
    database = journey.data / "facesets.db"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    connection.close()
    before = database.read_bytes()
    for command in (("sync",), ("export",), ("status",), ("identities", "list"), ("serve",)):
        line = await told(start(journey, *command))
        assert (
            "the database was written by a newer version of immich-facesets (revision 0099): run that version" in line
        )
    checked = start(journey, "config", "check")
    assert await ended(checked) == 3
    assert "fix  database: the database was written by a newer version" in checked.stdout
    assert database.read_bytes() == before


async def test_a_damaged_database_is_told(journey: Journey) -> None:
    journey.data.mkdir()
    (journey.data / "facesets.db").write_bytes(b"this is no database" * 1000)
    for command in (("sync",), ("status",)):
        line = await told(start(journey, *command))
        assert "the database file is damaged or no database: restore it from a backup" in line


@pytest.mark.slow
async def test_two_services_never_work_in_one_data_folder(journey: Journey) -> None:
    journey.immich.faults.add("original", "hang")
    first = start(journey, "sync")
    while not journey.fetched():
        assert first.is_running, first.stderr[-3000:]
        await asyncio.sleep(0.05)
    for command in (("sync",), ("serve",), ("export",)):
        line = await told(start(journey, *command))
        assert f"another immich-facesets is working in the data folder {journey.data}: stop it first" in line
        assert "FACESETS_DATA_DIR" in line
    looking = start(journey, "status")
    assert await ended(looking) == 0, "read-only commands are allowed"
    assert "incremental running" in looking.stdout
    journey.immich.faults.clear()
    assert await ended(first) == 0, first.stderr[-3000:]
