"""Export profiles in a whole service: written, kept, renamed and removed with their identity."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pydantic import SecretStr
from small_library import HEIGHT, WIDTH, Placed, SmallLibrary, place
from sqlalchemy import Connection, func, select, update

from immich_facesets.errors import RequestError, SetupError
from immich_facesets.exports.requests import read_export_requests
from immich_facesets.faces import Box
from immich_facesets.moderation.decisions import FaceRef
from immich_facesets.moderation.records import Author
from immich_facesets.moderation.requests import IncludeInSets
from service.app import App, open_app
from service.demo.immich import FakeImmich
from service.files.export_tree import ExportTree
from service.settings import Settings
from service.store import exports, members, moderation, runs
from service.store.tables import crops, export_ledger, faces
from service.store.tables import identities as identity_rows
from service.sync.outcome import Outcome
from service.users import User

SYNTHETIC: Mapping[str, str] = {"FACESETS_EMBEDDER_ENGINE": "synthetic"}
FIELDS: dict[str, Any] = {
    "min_face_short": 40,
    "export_min_face_short": 40,
    "crop_size": 128,
    "min_faces": 3,
    "listen": "127.0.0.1:0",
    "export_profiles": "fsz,facefusion:2,kohya:3:96,lora:3:96,imagefolder,aligned,xmp,npz,plain",
}


@pytest.fixture
async def placed(drawn: SmallLibrary) -> AsyncIterator[Placed]:
    async with FakeImmich("3.1.0") as immich:
        yield place(immich, drawn)


async def opened(placed: Placed, tmp_path: Path, **fields: Any) -> Any:
    settings = Settings(immich_url=placed.immich.url, data_dir=tmp_path / "data", **(FIELDS | fields))
    users = tuple(User(name=name, api_key=SecretStr(user.api_key)) for name, user in placed.users.items())
    return open_app(settings, users, asyncio.Event(), embedder_environ=SYNTHETIC)


@pytest.fixture(scope="module")
def synced(drawn: SmallLibrary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a service after its first sync; tests work on a copy."""
    folder = tmp_path_factory.mktemp("synced")

    async def sync() -> Path:
        async with FakeImmich("3.1.0") as immich, await opened(place(immich, drawn), folder) as app:
            assert (await app.runner.run("full")).outcome is Outcome.DONE
        return folder / "data"

    with ThreadPoolExecutor(1) as pool:  # a thread, because the event loop of the test starts later
        return pool.submit(asyncio.run, sync()).result()


@pytest.fixture
async def app(placed: Placed, synced: Path, tmp_path: Path) -> AsyncIterator[App]:
    shutil.copytree(synced, tmp_path / "data")
    async with await opened(placed, tmp_path) as found:
        yield found


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def times(root: Path) -> dict[str, int]:
    return {path.relative_to(root).as_posix(): path.stat().st_mtime_ns for path in root.rglob("*")}


async def number_of(app: App, label: str) -> int:
    return next(row.number for row in await app.store.read(members.list_identities) if row.label == label)


def manifest_of(root: Path, path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / path / "manifest.json").read_bytes())
    return found


async def test_every_profile_is_written_and_a_second_publish_touches_nothing(app: App) -> None:
    root = app.settings.export_dir
    before = times(root)
    names = [name for name in before if name.startswith("_profiles/")]
    assert {name.split("/")[1] for name in names if "/" in name} == {
        "aligned",
        "facefusion",
        "imagefolder",
        "kohya",
        "lora",
        "npz",
        "plain",
        "xmp",
    }
    counts = await app.runner.publish_now()
    assert counts.written == counts.forms == counts.removed == 0
    directories = ExportTree(root).on_disk()
    assert (await app.store.read(runs.census)).facesets == sum("_profiles" not in name for name in directories)
    assert await app.store.read(exports.recorded) == directories
    assert times(root) == before


async def test_a_form_that_lost_a_file_is_written_again(app: App) -> None:
    root = app.settings.export_dir
    lost = next((root / "_profiles/kohya").glob("*/img/*/0001.png"))
    lost.unlink()
    assert (await app.runner.publish_now()).forms == 1
    assert lost.is_file()


async def test_pictures_and_masks_of_a_training_form_are_one_file_each(app: App) -> None:
    root = app.settings.export_dir / "_profiles/lora"
    shutil.rmtree(root)
    await app.runner.publish_now()
    for path in root.glob("*/onetrainer/*.png"):
        manifest = manifest_of(root, path.parent.parent.name)
        assert path.stat().st_nlink >= 2
        assert any(f"onetrainer/{path.name}" in entry["further"] for entry in manifest["faces"])
    assert len(list(root.glob("*/masks/*.png"))) == len(list(root.glob("*/onetrainer/*-masklabel.png"))) > 3


async def test_equal_pictures_of_the_export_folder_are_one_file_and_those_of_a_copy_are_not(
    app: App, tmp_path: Path
) -> None:
    root, target, number = app.settings.export_dir, tmp_path / "copy", await number_of(app, "Mira")
    shutil.rmtree(root / "_profiles/plain")
    await app.runner.publish_now()
    plain = sorted((root / f"_profiles/plain/faceset_{number:03d}").glob("*.png"))
    faces = sorted((root / f"faceset_{number:03d}/faces").glob("*.png"))
    assert len(plain) == len(faces) > 1
    assert {path.stat().st_nlink for path in plain} == {2}
    target.mkdir()
    await app.runner.copy_now(read_export_requests("plain")[0], number, ExportTree(target))
    copied = sorted(target.rglob("*.png"))
    assert [path.read_bytes() for path in copied] == [path.read_bytes() for path in plain]
    assert {path.stat().st_nlink for path in copied} == {1}


async def test_pictures_of_a_form_have_its_number_and_its_size_and_say_where_they_came_from(app: App) -> None:
    root = app.settings.export_dir
    folder = root / "_profiles/kohya" / f"faceset_{await number_of(app, 'Mira'):03d}"
    pictures = sorted(folder.glob("img/*/*.png"))
    assert [path.name for path in pictures] == ["0001.png", "0002.png", "0003.png"]
    for path in pictures:
        with Image.open(path) as image:
            image.load()
            assert image.size == (96, 96)
            assert image.info.keys() >= {"Software", "Asset", "Identity"}
            assert not image.getexif()


async def test_nothing_of_a_person_who_must_never_be_exported_stays_in_any_form(app: App) -> None:
    root, number = app.settings.export_dir, await number_of(app, "Mira")
    name = f"faceset_{number:03d}"
    before = files(root / "_profiles")
    assert any(name in path for path in before)
    assert any(b">Mira<" in body for path, body in before.items() if path.endswith(".xmp"))

    def never(tx: Connection) -> None:
        tx.execute(update(identity_rows).where(identity_rows.c.number == number).values(never_export=True))

    await app.store.write(never)
    await app.runner.publish_now()
    after = files(root / "_profiles")
    assert after
    assert not any(f"{name}/" in path or "/Mira/" in path for path in after)
    assert not any(b"Mira<" in body for path, body in after.items() if path.endswith(".xmp"))
    for path in (root / "_profiles/npz").glob("*/cache.npz"):
        with np.load(path, allow_pickle=False) as cache:
            assert number not in cache["identity"]
            assert len(cache["identity"])
    with pytest.raises(RequestError, match="nothing is to be exported"):
        await app.runner.copy_now(read_export_requests("plain")[0], number, ExportTree(root))


async def test_the_ledger_says_what_was_written_for_which_profile_and_by_whom(app: App, tmp_path: Path) -> None:
    target = tmp_path / ("long" * 60) / "copy"  # longer than the ledger's column
    target.mkdir(parents=True)
    number = await number_of(app, "Mira")
    counts = await app.runner.copy_now(read_export_requests("imagefolder:2")[0], number, ExportTree(target))
    assert counts.forms == 1
    assert set(files(target)) == {
        f"train/Mira/{name}" for name in ("0001.png", "0002.png", "metadata.jsonl", "manifest.json", "SHA256SUMS")
    }

    def rows(tx: Connection) -> list[Any]:
        return list(tx.execute(select(export_ledger)))

    ledger = await app.store.read(rows)
    assert {row.profile for row in ledger} == set(
        FIELDS["export_profiles"].replace(":2", "").replace(":3:96", "").split(",")
    )
    (copied,) = (row for row in ledger if row.made_by != "sync")
    assert (copied.profile, copied.identity, copied.faces) == ("imagefolder", number, 2)
    assert copied.made_by == "export command"
    assert (await app.runner.publish_now()).removed == 0  # the service does not keep copies
    assert files(target)


async def test_a_library_for_cameras_has_named_people_cut_to_their_faces_and_no_grey_picture(
    placed: Placed, synced: Path, tmp_path: Path
) -> None:
    """The colours of crops that were checked before are found without the embedder, and kept."""
    shutil.copytree(synced, tmp_path / "data")
    async with await opened(placed, tmp_path, export_profiles="fsz,plain") as app:
        number = await number_of(app, "Mira")
        before = manifest_of(app.settings.export_dir / "_profiles/plain", f"faceset_{number:03d}")["faces"]
        grey = before[0]
        file = app.settings.data_dir / "crops" / await app.store.read(crop_file_of, grey)
        picture = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        assert picture is not None
        cv2.imwrite(str(file), picture)
    async with await opened(placed, tmp_path, export_profiles="frigate:0:96") as app:
        root = app.settings.export_dir / "_profiles/frigate/clips/faces"
        await app.runner.publish_now()
        named = {row.label for row in await app.store.read(members.list_identities) if row.label and row.faces}
        assert {path.name for path in root.iterdir()} == named
        manifest = manifest_of(root, "Mira")
        assert manifest["left_out"].get("without_colour") == 1
        assert [face["box"] for face in manifest["faces"]] == [face["box"] for face in before[1:]]
        for face in manifest["faces"]:
            x1, y1, x2, y2 = face["box"]
            with Image.open(root / "Mira" / face["file"]) as image:
                assert max(image.size) == 96
                assert image.width / image.height == pytest.approx((x2 - x1) / (y2 - y1), rel=0.05)
        assert (await app.runner.publish_now()).forms == 0
        mine = FaceRef(grey["sha256"], Box(*grey["box"]))
        now = app.context.clock()
        await app.store.write(moderation.decide, [IncludeInSets(faces=(mine,))], Author("anna", "command"), now)
        await app.runner.publish_now()
        manifest = manifest_of(root, "Mira")
        assert grey["sha256"] in {face["sha256"] for face in manifest["faces"]}, "somebody included it by hand"
        assert "without_colour" not in manifest["left_out"]


def crop_file_of(tx: Connection, face: Mapping[str, Any]) -> str:
    """The file of the crop of a manifest's face."""
    query = select(crops.c.file).join(faces, faces.c.face_id == crops.c.face_id)
    is_it = faces.c.sha256 == face["sha256"], func.abs(faces.c.x1 - face["box"][0]) < 1
    return str(tx.execute(query.where(*is_it)).scalar_one())


async def test_a_face_set_that_cannot_be_written_stops_no_other(app: App) -> None:
    root = app.settings.export_dir
    before = files(root)
    for name in ("_profiles/plain", "faceset_001", "_profiles/kohya"):
        shutil.rmtree(root / name)
    (root / "faceset_001").mkdir()
    (root / "faceset_001/mine.txt").write_text("a note of somebody else", encoding="utf-8")
    with pytest.raises(SetupError, match=r"brought up to date: 1, .* is faceset_001: .* not written by this program"):
        await app.runner.publish_now()
    after = files(root)
    assert {name for name in before if name not in after} == {
        name for name in before if name.startswith("faceset_001/")
    }
    named = [entry["directory"] for entry in json.loads(after["manifest.json"])["facesets"]]
    assert named
    assert "faceset_001" not in named
    shutil.rmtree(root / "faceset_001")
    await app.runner.publish_now()
    assert files(root).keys() == before.keys()


@pytest.mark.slow
async def test_a_form_for_a_model_that_is_not_there_is_refused_and_everything_else_is_written(
    placed: Placed, tmp_path: Path
) -> None:
    async with await opened(placed, tmp_path, export_profiles="visomaster,plain") as app:
        result = await app.runner.run("full")
        assert result.outcome is Outcome.SETUP
        assert "visomaster needs vectors of w600k_r50" in result.message
        assert result.counts["publish_forms"] > 0
        assert [path.name for path in (app.settings.export_dir / "_profiles").iterdir()] == ["plain"]
    async with await opened(placed, tmp_path, export_profiles="fsz") as app:
        assert (await app.runner.publish_now()).removed > 0
        assert not (app.settings.export_dir / "_profiles").exists()


async def test_sidecars_lie_where_the_pictures_do_and_name_who_is_in_them(app: App, placed: Placed) -> None:
    root = app.settings.export_dir / "_profiles/xmp"
    shown = manifest_of(root, "anna")["faces"]
    assert shown
    for face in shown:
        assert face["file"].startswith(f"upload/{placed.users['anna'].user_id}/")
        assert face["file"].endswith(".jpg.xmp")
        body = (root / "anna" / face["file"]).read_text(encoding="utf-8")
        assert f'stDim:w="{WIDTH}" stDim:h="{HEIGHT}"' in body
        assert "<mwg-rs:Name>Mira</mwg-rs:Name>" in body


async def test_a_cache_holds_one_users_pictures_only(app: App, placed: Placed) -> None:
    for user in ("anna", "ben"):
        with np.load(app.settings.export_dir / f"_profiles/npz/{user}/cache.npz", allow_pickle=False) as cache:
            told = {*cache["path"].tolist(), *cache["noface_path"].tolist(), *cache["path_aliases"].ravel().tolist()}
            assert all(placed.users[user].user_id in path for path in told)
            assert len(cache["embedding"]) == len(cache["path"]) > 5


@pytest.mark.slow
async def test_known_faces_are_those_exported_and_those_left_out_whatever_the_setting_was_before(
    placed: Placed, tmp_path: Path
) -> None:
    """The smallest exported face is raised after the crops were made, or from the beginning: the numbers are the same."""
    async with await opened(placed, tmp_path / "raised", export_profiles="plain:2") as app:
        assert (await app.runner.run("full")).outcome is Outcome.DONE
        shorts = sorted(one.face.face_short for one in await app.store.read(exports.members, app.pool.info.space))
    size = round(shorts[len(shorts) // 3]) + 0.5  # of no face exactly
    found: list[dict[str, Any]] = []
    for name in ("raised", "fresh"):
        folder = tmp_path / name
        async with await opened(placed, folder, export_min_face_short=size, export_profiles="plain:2") as app:
            assert (await app.runner.run("full")).outcome is Outcome.DONE
            root = app.settings.export_dir
        manifests = {
            path.relative_to(root).parent.as_posix(): json.loads(path.read_bytes())
            for path in sorted(root.rglob("faceset_*/manifest.json"))
            if "_candidates" not in path.parts
        }
        assert any("too_small" in manifest["left_out"] for manifest in manifests.values())
        for manifest in manifests.values():
            counted = {key: value for key, value in manifest["left_out"].items() if "minor" not in key}
            assert manifest["known"] == len(manifest["faces"]) + sum(counted.values())
        users = {
            path.parent.name: sum(len(entry["assets"]) for entry in json.loads(path.read_bytes())["facesets"])
            for path in root.glob("users/*/manifest.json")
        }
        found.append({"users": users} | {key: (one["known"], one["left_out"]) for key, one in manifests.items()})
    assert found[0] == found[1]
