"""Every command on the command line: its output and its exit code."""

import asyncio
import json
import re
import shutil
import signal
import stat
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from embedder_scene import running
from fork_server import ForkedProcess, ForkServer
from journey import Journey, begun, ended, until
from service_process import tree
from small_library import SmallLibrary
from sqlalchemy import Connection, insert
from sqlalchemy.exc import SQLAlchemyError

from service.store.database import Store, migrate, open_engine
from service.store.tables import people, sources

pytestmark = pytest.mark.timeout(600)

NAME = "Mira Unsayable"
TOKEN = "a-token-that-nobody-may-read"


@pytest.fixture
async def journey(forks: ForkServer, drawn: SmallLibrary, embedder_url: str, tmp_path: Path) -> AsyncIterator[Journey]:
    async with begun(forks, drawn, embedder_url, tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def synced_data(
    forks: ForkServer, drawn: SmallLibrary, embedder_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The data folder of a service that has synced once; tests change a copy."""
    folder = tmp_path_factory.mktemp("synced")

    async def sync() -> Path:
        async with begun(forks, drawn, embedder_url, folder) as found:
            service = start(found, "sync")
            assert await ended(service) == 0, service.stderr[-3000:]
            return found.data

    with ThreadPoolExecutor(1) as pool:  # a thread, because the event loop of the test starts later
        return pool.submit(asyncio.run, sync()).result()


@pytest.fixture
def synced(journey: Journey, synced_data: Path) -> Journey:
    """A service that has synced once."""
    shutil.copytree(synced_data, journey.data)
    return journey


def start(journey: Journey, *arguments: str, **settings: str) -> ForkedProcess:
    return journey.forks.start("service", *arguments, environ={**journey.environ, **settings})


async def run(journey: Journey, *arguments: str, **settings: str) -> ForkedProcess:
    """A command that must succeed."""
    return await ends(start(journey, *arguments, **settings), 0)


async def refused(journey: Journey, *arguments: str, **settings: str) -> ForkedProcess:
    """A command that must end with "a person must change something"."""
    return await ends(start(journey, *arguments, **settings), 3)


async def ends(service: ForkedProcess, code: int) -> ForkedProcess:
    assert await ended(service) == code, (service.stdout + service.stderr)[-3000:]
    return service


# the command line itself


async def test_version_and_help_need_no_settings(journey: Journey) -> None:
    nothing = {"IMMICH_URL": "", "FACESETS_USERS_FILE": "", "FACESETS_MIN_FACES": "nonsense"}
    version = await run(journey, "--version", **nothing)
    assert re.fullmatch(r"\d[\w.+]*\n", version.stdout)
    shown = await run(journey, "--help", **nothing)
    for name in (
        "serve",
        "sync",
        "export",
        "import-facesets",
        "status",
        "evaluate",
        "duplicates",
        "clusters",
        "discover",
        "thresholds",
        "identities",
        "sources",
        "config",
        "models",
        "demo",
    ):
        assert re.search(rf"^\W*{name}\b", shown.stdout, re.MULTILINE), name
    for command in (("sync",), ("identities",), ("identities", "show"), ("config", "check"), ("models", "install")):
        assert "Usage: " in (await run(journey, *command, "--help", **nothing)).stdout


@pytest.mark.parametrize(
    "arguments",
    [("synchronise",), ("sync", "--source"), ("sync", "--fast"), ("identities", "show", "anna"), ("models", "install")],
)
async def test_a_command_that_is_none_is_refused_with_help(journey: Journey, arguments: tuple[str, ...]) -> None:
    service = await refused(journey, *arguments)
    assert "--help" in service.stderr
    assert "Traceback" not in service.stderr


# looking


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("status", "--json"),
        ("thresholds",),
        ("identities", "list"),
        ("identities", "show", "1"),
        ("duplicates",),
        ("clusters", "--to", "view"),
        ("discover", "--dry-run"),
    ],
)
async def test_looking_before_the_first_sync_is_told_so(journey: Journey, arguments: tuple[str, ...]) -> None:
    service = await refused(journey, *arguments)
    assert f"nothing was synced into {journey.data} yet: run 'immich-facesets sync' first" in service.stderr
    assert not journey.data.exists(), "a read-only command creates nothing"
    await run(journey, "config", "check")
    assert "nothing was synced" in (await refused(journey, *arguments)).stderr


async def test_status_says_how_much_there_is_and_how_the_last_sync_ended(synced: Journey) -> None:
    shown = (await run(synced, "status")).stdout.splitlines()
    found = json.loads((await run(synced, "status", "--json")).stdout)
    library = found["library"]
    assert library["assets"] == len(synced.immich.library.assets)
    assert {source["name"]: source["kind"] for source in library["sources"]} == {"anna": "immich", "ben": "immich"}
    assert shown[0] == (
        f"{library['assets']} pictures, {library['wanted']} with faces worth fetching, {library['embedded']} done; "
        f"{library['faces']} faces, {library['identities']} identities, {library['facesets']} face sets"
    )
    ended = r"1 picture was not read: 1 damaged; all others are up to date"
    assert re.fullmatch(rf"  \d{{4}}-\d\d-\d\d \d\d:\d\d incremental done: {ended}", shown[1])
    assert [(run["kind"], run["outcome"]) for run in found["runs"]] == [("incremental", "done")]
    assert found["failures_by_reason"] == {"corrupt": 1}
    assert {"stage", "source", "item", "reason", "message", "tries", "retry_at"} <= found["failures"][0].keys()
    assert (await run(synced, "status")).stderr == ""


async def test_thresholds_shows_the_distances_in_use_and_what_they_were_measured_on(synced: Journey) -> None:
    shown = (await run(synced, "thresholds")).stdout
    found = json.loads((await run(synced, "thresholds", "--json")).stdout)
    measured = found["measured"]
    assert found["points"] == measured["chosen"] == measured["defaults"]  # drawn people, and few of them
    assert measured["reason"] in shown
    assert re.search(rf"^cluster +{found['points']['cluster']:.3f} +0\.550$", shown, re.MULTILINE)
    assert "FACESETS_THRESHOLDS=fixed" in shown
    assert NAME not in shown


async def test_lists_of_an_identity_that_is_none_say_so(synced: Journey) -> None:
    for arguments in (
        ("decisions", "list", "--identity", "999"),
        ("eras", "list", "999"),
        ("identities", "show", "999"),
    ):
        for form in ((), ("--json",)):
            service = await refused(synced, *arguments, *form)
            assert ("there is no identity 999" in service.stderr, service.stdout) == (True, "")
    assert (await run(synced, "decisions", "list", "--identity", "1")).stdout == "No decision is about identity 1.\n"
    assert (await run(synced, "decisions", "list")).stdout == "No decision was made yet.\n"
    assert (await run(synced, "eras", "list", "1")).stdout == "Identity 1 has no eras.\n"
    assert (await run(synced, "decisions", "list", "--json")).stdout.strip() == "[]"


async def test_identities_are_listed_and_shown(synced: Journey) -> None:
    rows = json.loads((await run(synced, "identities", "list", "--json")).stdout)
    assert [row["number"] for row in rows] == sorted(row["number"] for row in rows)
    named = next(row for row in rows if row["label"] == "Mira")
    listed = (await run(synced, "identities", "list")).stdout
    assert re.search(rf"^ *{named['number']} +Mira +{named['faces']} +{named['pictures']} ", listed, re.MULTILINE)

    told = json.loads((await run(synced, "identities", "show", str(named["number"]), "--json")).stdout)
    members = told["faces"]
    assert (told["number"], told["label"]) == (named["number"], "Mira")
    assert len(members) == named["faces"]
    assert [member["distance"] for member in members] == sorted(member["distance"] for member in members)
    shown = (await run(synced, "identities", "show", str(named["number"]))).stdout
    squeezed = re.sub(r"\s", "", shown)
    for user, _, path in members[0]["places"]:
        assert f"{user}:{path}" in squeezed, "no path is cut short"

    unknown = await refused(synced, "identities", "show", "999")
    assert "there is no identity 999 with faces; 'immich-facesets identities list' lists them" in unknown.stderr


# syncing


async def test_one_source_alone_can_be_synced(journey: Journey) -> None:
    await run(journey, "sync", "--source", "ben")
    owners = {journey.immich.library.assets[asset_id].owner for asset_id in journey.fetched()}
    assert owners == {"ben"}
    found = json.loads((await run(journey, "status", "--json")).stdout)
    assert [source["name"] for source in found["library"]["sources"]] == ["ben"]
    assert found["library"]["wanted"] == found["library"]["embedded"], "also pictures that are in Anna's library, too"


async def test_a_source_that_does_not_exist_is_told_with_those_that_do(journey: Journey) -> None:
    service = await refused(journey, "sync", "--source", "nina")
    assert "there is no source 'nina'; there are: anna, ben" in service.stderr
    assert journey.immich.requests.count() == 0


async def test_a_whole_listing_can_be_asked_for(synced: Journey) -> None:
    def has_bounds(body: Any) -> bool:
        return "updatedAfter" in body

    await run(synced, "sync")
    assert all(map(has_bounds, synced.immich.requests.bodies()))
    synced.immich.requests.clear()
    await run(synced, "sync", "--full")
    assert not any(map(has_bounds, synced.immich.requests.bodies()))


async def test_without_a_terminal_progress_is_a_line_at_each_turn(journey: Journey) -> None:
    service = await run(journey, "sync")
    lines = service.stderr.splitlines()
    for words in ("Looking for new pictures", "Recognising faces", "Grouping faces", "Writing face sets"):
        mine = [line.removeprefix(f"{words}: ") for line in lines if line.startswith(words)]
        assert mine[0].startswith("running, "), lines
        assert re.fullmatch(r"done, (\d+)( of \1)?(, 1 failed)?", mine[-1]), lines
    assert "\x1b" not in service.stderr
    done, unread, again = service.stdout.splitlines()
    assert re.fullmatch(
        r"Done: \d+ pictures listed, \d+ fetched, \d+ new faces, \d+ new identities, (\d+) face sets \(\1 written\)\.",
        done,
    )
    assert unread == "1 picture was not read: 1 damaged; all others are up to date."
    assert again == "Such pictures are tried again after growing pauses; 'immich-facesets status' names them."


async def test_on_a_terminal_progress_is_a_bar_for_each_stage(journey: Journey) -> None:
    service = await run(journey, "sync", FORCE_COLOR="1", COLUMNS="120")
    for words in ("Looking for new pictures", "Recognising faces", "Grouping faces", "Writing face sets"):
        assert words in service.stderr
    assert "\x1b[" in service.stderr


# exporting


async def test_export_brings_back_what_is_missing_and_asks_immich_for_nothing(synced: Journey) -> None:
    exports = synced.data / "exports"
    before = tree(exports)
    lost = next(path for path in sorted(exports.iterdir()) if path.name.startswith("faceset_"))
    shutil.rmtree(lost)
    service = await run(synced, "export", IMMICH_URL="", FACESETS_USERS_FILE="")
    assert "1 written, 0 removed" in service.stdout
    assert {name: body for name, (_, body) in tree(exports).items()} == {
        name: body for name, (_, body) in before.items()
    }
    assert synced.immich.requests.count() == 0
    again = tree(exports)
    assert "0 written, 0 removed" in (await run(synced, "export")).stdout
    assert tree(exports) == again


async def test_a_lost_crop_is_told_by_export_and_brought_back_by_a_sync(synced: Journey) -> None:
    before = tree(synced.data / "exports")
    shutil.rmtree(synced.data / "crops")
    shutil.rmtree(
        next(path for path in sorted((synced.data / "exports").iterdir()) if path.name.startswith("faceset_"))
    )
    told = await refused(synced, "export")
    assert "a face crop is missing in" in told.stderr
    assert "run 'immich-facesets sync', which fetches its picture again" in told.stderr
    assert "Traceback" not in told.stderr
    await run(synced, "sync")
    after = tree(synced.data / "exports")
    bodies = [{name: body for name, (_, body) in found.items()} for found in (before, after)]
    tops = [
        json.loads(found.pop("manifest.json")) | {"generated_at": None} for found in bodies
    ]  # without the set, once
    assert tops[0] == tops[1]
    assert bodies[0] == bodies[1]


async def test_export_never_empties_the_folder_for_want_of_a_database(synced: Journey) -> None:
    before = tree(synced.data / "exports")
    (synced.data / "facesets.db").unlink()
    for suffix in ("-wal", "-shm"):
        (synced.data / f"facesets.db{suffix}").unlink(missing_ok=True)
    assert "restore the database from its backup" in (await refused(synced, "export")).stderr
    assert tree(synced.data / "exports") == before


async def test_export_never_empties_the_folder_for_an_embedder_of_another_space(synced: Journey) -> None:
    before = tree(synced.data / "exports")
    async with running() as other:
        service = await refused(synced, "export", FACESETS_EMBEDDER_URLS=str(other.client.base_url))
    assert f"the embedder serves another space ({other.pipeline.space}) than the one in use" in service.stderr
    assert "sync" in service.stderr
    assert tree(synced.data / "exports") == before


# config check


async def test_a_sound_installation_is_green_and_nothing_is_changed(synced: Journey) -> None:
    before = tree(synced.data)
    service = await run(synced, "config", "check")
    lines = service.stdout.splitlines()
    assert all(line.startswith("ok   ") for line in lines), service.stdout
    topics = [
        "settings",
        "data folder",
        "database",
        "export folder",
        "Immich, user anna",
        "Immich, user ben",
        "embedder",
    ]
    assert [line.removeprefix("ok   ").split(":")[0] for line in lines] == topics
    assert "database: sqlite, up to date" in service.stdout
    assert "version 3.1.0, every permission that is needed" in service.stdout
    assert "1 serving synthetic (synthetic) on cpu" in service.stdout
    after = {name: body for name, body in tree(synced.data).items() if name != "lock"}
    assert {name: body for name, (_, body) in after.items()} == {
        name: body for name, (_, body) in before.items() if name != "lock"
    }


async def test_a_fresh_installation_is_green_too_and_starts_its_own_embedder(journey: Journey) -> None:
    service = await run(journey, "config", "check", FACESETS_EMBEDDER_URLS="")
    assert "database: sqlite, made at the first sync" in service.stdout
    assert "models: none are needed for drawn faces" in service.stdout
    assert "embedder: 1 serving synthetic" in service.stdout
    assert not (journey.data / "facesets.db").exists()


async def test_every_problem_is_named_with_its_fix(journey: Journey, tmp_path: Path) -> None:
    journey.immich.revoke_key("key-of-ben")
    (tmp_path / "file").touch()
    async with running(token="right") as other:
        settings = {
            "FACESETS_EXPORT_DIR": str(tmp_path / "file"),
            "FACESETS_SYNC_CRON": "whenever",
            "FACESETS_EMBEDDER_URLS": str(other.client.base_url),
        }
        service = await refused(journey, "config", "check", **settings)
    lines = service.stdout.splitlines()
    fixes = {line[5:].split(":")[0]: line for line in lines if line.startswith("fix  ")}
    assert set(fixes) == {"settings", "export folder", "Immich, user ben", "embedder"}
    assert "FACESETS_SYNC_CRON is no crontab line" in fixes["settings"]
    assert "create or mount it, or set another one" in fixes["export folder"]
    assert "make a new one in Immich under Account settings, API keys" in fixes["Immich, user ben"]
    assert "set FACESETS_EMBEDDER_TOKEN" in fixes["embedder"]
    assert "ok   Immich, user anna" in service.stdout


async def test_what_is_down_is_told_apart_from_what_must_be_changed(journey: Journey) -> None:
    down = {"FACESETS_EMBEDDER_URLS": "http://127.0.0.1:9", "FACESETS_BREAKER_FAILURES": "1"}
    service = await ends(start(journey, "config", "check", **down), 2)
    assert "down embedder: embedder is down since" in service.stdout
    assert "fix" not in service.stdout
    service = await refused(journey, "config", "check", FACESETS_SYNC_CRON="sometimes", **down)
    assert "fix  settings: FACESETS_SYNC_CRON is no crontab line" in service.stdout


async def test_an_immich_in_maintenance_is_named_for_each_user_after_one_request(journey: Journey) -> None:
    journey.immich.maintenance = True
    service = await ends(start(journey, "config", "check"), 2)
    for user in ("anna", "ben"):
        assert re.search(rf"^down Immich, user {user}: .*: Immich is in maintenance mode", service.stdout, re.MULTILINE)
    assert "fix" not in service.stdout
    assert journey.immich.requests.count("key") == 1, "it is one server"


async def test_missing_models_are_named_once(journey: Journey, tmp_path: Path) -> None:
    own = {"FACESETS_EMBEDDER_URLS": "", "FACESETS_EMBEDDER_ENGINE": "onnx", "FACESETS_MODELS_DIR": str(tmp_path / "m")}
    service = await refused(journey, "config", "check", FACESETS_MODEL_PACK="buffalo_l", **own)
    assert f"fix  models: there are no models in {tmp_path / 'm' / 'buffalo_l'}" in service.stdout
    assert service.stdout.count("there are no models") == 1


# models


async def test_models_are_installed_listed_and_verified(journey: Journey, tmp_path: Path) -> None:
    archive, models = tmp_path / "archive", tmp_path / "models"
    archive.mkdir()
    (archive / "det_10g.onnx").write_bytes(b"\x08\x07 a detector")
    (archive / "w600k_r50.onnx").write_bytes(b"\x08\x07 a recogniser")
    where = {"FACESETS_MODELS_DIR": str(models), "FACESETS_MODEL_PACK": "buffalo_l"}
    install = ("models", "install", "buffalo_l", "--from", str(archive))

    unlicensed = await refused(journey, *install, **where)
    assert "the models of buffalo_l are licensed: " in unlicensed.stderr
    assert not models.exists()
    assert re.search(
        r"^ *buffalo_l \(in use\) +no ", (await run(journey, "models", "list", **where)).stdout, re.MULTILINE
    )
    assert "there are no models in" in (await refused(journey, "models", "verify", **where)).stderr

    installed = await run(journey, *install, "--accept-license", **where)
    assert "Installed buffalo_l: det_10g.onnx, w600k_r50.onnx" in installed.stdout
    assert "Licence: " in installed.stdout
    assert "det_10g.onnx is not the file that was published under this name" in installed.stderr
    listed = (await run(journey, "models", "list", **where)).stdout
    assert re.search(r"^ *buffalo_l \(in use\) +yes +yes ", listed, re.MULTILINE)
    assert "buffalo_l: not the files published under these names: det_10g.onnx, w600k_r50.onnx" in listed
    assert "raccoon_l: files are named in its manifest.json" in listed
    assert "Never tried here" in listed
    assert "antelopev2: its distances are not measured" in listed
    assert "every file is as it was installed" in (await run(journey, "models", "verify", **where)).stdout

    (models / "buffalo_l" / "det_10g.onnx").write_bytes(b"another one")
    changed = await refused(journey, "models", "verify", "buffalo_l", **where)
    assert "buffalo_l/det_10g.onnx: changed" in changed.stderr
    assert "install it again with 'immich-facesets models install'" in changed.stderr
    assert "there are no models in" in (await refused(journey, "models", "verify", "antelopev2", **where)).stderr


async def test_the_free_pack_is_installed_without_a_file_and_used_where_there_is_no_better(
    journey: Journey, tmp_path: Path
) -> None:
    where = {"FACESETS_MODELS_DIR": str(tmp_path / "models"), "FACESETS_EMBEDDER_ENGINE": "onnx"}
    installed = await run(journey, "models", "install", "opencv_zoo", **where)
    assert "Licence: OpenCV Zoo: YuNet under the MIT licence, SFace under Apache-2.0" in installed.stdout
    assert sorted(path.name for path in (tmp_path / "models" / "opencv_zoo").iterdir()) == [
        "MODEL.LICENSE",
        "MODELS.sha256",
        "face_detection_yunet_2023mar_int8bq_folded.onnx",
        "face_recognition_sface_2021dec_int8bq_folded.onnx",
    ]
    listed = (await run(journey, "models", "list", **where)).stdout
    assert re.search(r"^ *opencv_zoo \(in use\) +yes +yes ", listed, re.MULTILINE)
    assert "opencv_zoo: for any use; weaker than buffalo_l on children" in listed
    assert "opencv_zoo: every file is as it was installed" in (await run(journey, "models", "verify", **where)).stdout
    checked = await run(journey, "config", "check", FACESETS_EMBEDDER_URLS="", **where)
    assert re.search(
        r"^ok +models: opencv_zoo, OpenCV Zoo: .*; for any use; .*docs/models\.md", checked.stdout, re.MULTILINE
    )
    assert re.search(r"^ok +embedder: .* serving opencv_zoo \(onnx\) on cpu", checked.stdout, re.MULTILINE)
    unnamed = await refused(journey, "models", "install", "buffalo_l", **where)
    assert "immich-facesets models install buffalo_l --from FILE" in unnamed.stderr


# serving


async def address_of(service: ForkedProcess) -> str:
    """The logged address of a service."""

    def announced() -> str | None:
        assert service.is_running, service.stderr[-3000:]
        found = re.search(r'"address": "(http://[^"]+)"', service.stderr)
        return None if found is None else found[1]

    address: str = await until(announced)
    return address.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - read, not bound


async def test_serve_without_a_token_makes_one_and_shows_nothing_without_it(synced: Journey) -> None:
    service = start(synced, "serve", FACESETS_LISTEN="0.0.0.0:0")
    address = await address_of(service)
    file = synced.data / "token"
    token = file.read_text(encoding="ascii").strip()
    assert len(token) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        assert (await client.get("/api/status")).status_code == 401
        assert "anna" not in (await client.get("/")).text
        assert (await client.get("/healthz")).status_code == 200
        answer = await client.get("/api/status", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
    service.signal(signal.SIGTERM)
    assert await ended(service, 20) == 0
    assert token not in service.stderr + service.stdout

    again = start(synced, "serve", FACESETS_LISTEN="127.0.0.1:0")
    await address_of(again)
    assert file.read_text(encoding="ascii").strip() == token, "the printed value stays the same"
    again.signal(signal.SIGTERM)
    assert await ended(again, 20) == 0


@pytest.mark.parametrize(("content", "code"), [("short\n", 3), ("", 0), ("\u00fc\u00fc", 3)])
async def test_a_token_file_that_holds_no_token_is_told_or_made_anew(synced: Journey, content: str, code: int) -> None:
    file = synced.data / "token"
    file.write_text(content, encoding="latin-1")
    service = start(synced, "serve", FACESETS_LISTEN="127.0.0.1:0")
    if code == 0:
        await address_of(service)
        assert len(file.read_text(encoding="ascii").strip()) >= 32
        service.signal(signal.SIGTERM)
    assert await ended(service, 30) == code, service.stderr[-3000:]
    if code:
        assert f"{file} holds no token of 16 characters: delete it, and the next start makes one" in service.stderr


async def test_an_address_that_is_taken_or_none_is_told(synced: Journey, embedder_url: str) -> None:
    taken = embedder_url.removeprefix("http://")
    service = await refused(synced, "serve", FACESETS_LISTEN=taken)
    assert f"cannot listen on {taken}" in service.stderr
    assert "choose another address with FACESETS_LISTEN" in service.stderr
    service = await refused(synced, "serve", FACESETS_LISTEN="here")
    assert "not an address to listen on: 'here'" in service.stderr


# what is logged


def check_nothing_private(service: ForkedProcess) -> None:
    printed = service.stdout + service.stderr
    for secret in (NAME, "Unsayable", "key-of-anna", "key-of-ben", TOKEN, "Oma Erna", "Geburtstag"):
        assert secret not in printed, secret
    assert not re.search(r"(-?\d\.\d{3,}(e-\d+)?[,\s]+){4}", printed), "no vector"
    assert not re.search(r"(\\x[0-9a-f]{2}){4}", printed), "no bytes"


@pytest.mark.slow
async def test_neither_names_nor_keys_nor_vectors_are_logged(journey: Journey) -> None:
    immich = journey.immich
    for person in immich.library.people.values():
        person.name = NAME
    for number, asset in enumerate(immich.library.assets.values()):
        asset.file_name, asset.original_path = f"Geburtstag Oma Erna {number}.jpg", f"/photos/Oma Erna/{number}.jpg"
    bad = journey.placed.assets[:5]
    for asset, (route, kind) in zip(
        bad,
        [
            ("original", "status"),
            ("original", "html"),
            ("original", "truncate"),
            ("faces", "status"),
            ("faces", "html"),
        ],
        strict=True,
    ):
        immich.faults.add(route, kind, status=500 if kind == "status" else 200, asset_id=asset.asset_id)  # type: ignore[arg-type]  # they are kinds
    immich.faults.add("original", "reset", every=5)
    private = {"FACESETS_LOG_LEVEL": "DEBUG", "FACESETS_TOKEN": TOKEN, "FACESETS_EMBEDDER_TOKEN": TOKEN}
    own = {"FACESETS_EMBEDDER_URLS": "", "FACESETS_EMBEDDER_LOG_LEVEL": "DEBUG", **private}
    service = await run(journey, "sync", **own)
    assert '"level": "debug"' in service.stderr or '"level": "info"' in service.stderr, "the log is not empty"
    check_nothing_private(service)
    for command in (("sync", "--full"), ("export",), ("config", "check")):
        check_nothing_private(await run(journey, *command, **private))
    immich.faults.clear()
    serving = start(journey, "serve", FACESETS_LISTEN="127.0.0.1:0", **private)
    await until(lambda: "sync_ended" in serving.stderr)
    serving.signal(signal.SIGTERM)
    assert await ended(serving, 30) == 0
    check_nothing_private(serving)
    assert json.loads((journey.data / "exports" / "manifest.json").read_text(encoding="utf-8"))["facesets"]


def test_a_bug_in_the_database_shows_no_name_in_its_traceback(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'facesets.db'}")
    migrate(engine)
    store = Store(engine)
    row = {"source": "anna", "person_id": "1", "name": NAME, "birth_date": None, "is_hidden": False}

    def twice(tx: Connection) -> None:
        tx.execute(insert(sources), {"name": "anna", "kind": "immich", "user_id": "1"})
        tx.execute(insert(people), [row, row])

    try:
        with pytest.raises(SQLAlchemyError) as caught:
            store.write_now(twice)
        assert "people" in str(caught.value)
        assert NAME not in str(caught.value)
    finally:
        store.close()
