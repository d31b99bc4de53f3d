"""Forms without pictures in a whole service, with an embedder whose recogniser is the one that their readers know."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fork_server import PUBLISHED_MODEL, ForkServer
from journey import announced_embedder
from numpy.typing import NDArray
from pydantic import SecretStr
from safetensors.numpy import load_file
from small_library import SmallLibrary, place
from synced_app import decide

from immich_facesets.exports.requests import read_export_requests
from immich_facesets.moderation.requests import HoldFromSets, SwitchProfiles
from immich_facesets.quality.landmarks import Enriched
from service.app import App, open_app
from service.demo.immich import FakeImmich
from service.files.export_tree import ExportTree
from service.settings import Settings
from service.store.enrichments import record_enrichment
from service.store.placed_pictures import exportable_faces
from service.sync.outcome import Outcome
from service.users import User

pytestmark = pytest.mark.timeout(300)

FIELDS: dict[str, Any] = {"min_face_short": 40, "export_min_face_short": 40, "crop_size": 128, "min_faces": 3}


@pytest.fixture(scope="module")
def embedder(forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    announcement = tmp_path_factory.mktemp("embedder") / "first.json"
    process, url = announced_embedder(forks, announcement, settings={PUBLISHED_MODEL: "w600k_r50"})
    yield url
    process.close()


@contextlib.asynccontextmanager
async def service(embedder: str, drawn: SmallLibrary, folder: Path) -> AsyncIterator[App]:
    """A service after its first sync, with the two profiles whose files hold vectors."""
    async with FakeImmich("3.1.0") as immich:
        placed = place(immich, drawn)
        users = tuple(User(name=name, api_key=SecretStr(user.api_key)) for name, user in placed.users.items())
        settings = Settings(
            immich_url=immich.url,
            data_dir=folder / "data",
            embedder_urls=embedder,
            export_profiles="visomaster,reactor",
            **FIELDS,
        )
        async with open_app(settings, users, asyncio.Event()) as app:
            assert (await app.runner.run("full")).outcome is Outcome.DONE
            yield app


@pytest.mark.slow
async def test_each_person_has_one_vector_in_every_file_and_one_list_has_everybody(
    embedder: str, drawn: SmallLibrary, tmp_path: Path
) -> None:
    async with service(embedder, drawn, tmp_path) as app:
        root = app.settings.export_dir / "_profiles"
        one_by_one = people_of(*root.glob("visomaster/faceset_*/*.json"))
        assert len(one_by_one) > 1
        everybody = people_of(root / "visomaster/everybody/Everybody.json")
        models = models_in(root / "reactor")
        assert everybody.keys() == models.keys() == one_by_one.keys()
        for name, vector in one_by_one.items():
            np.testing.assert_array_equal(everybody[name], vector)
            np.testing.assert_allclose(models[name]["embedding"], vector, atol=1e-6)
        assert (await app.runner.publish_now()).forms == 0, "nothing has changed"
        (tmp_path / "copy").mkdir()
        await app.runner.copy_now(read_export_requests("visomaster")[0], 1, ExportTree(tmp_path / "copy"))
        assert [path.name for path in (tmp_path / "copy").iterdir()] == ["faceset_001"], "one person is not everybody"
        await check_one_alone(app, root)


async def check_one_alone(app: App, root: Path) -> None:
    """Check that the list of everybody has the new vector of a person who is written alone, and all others."""
    before = people_of(root / "visomaster/everybody/Everybody.json")
    faces = await app.store.read(exportable_faces, app.pool.info.space)
    number = min(owner for _, owner in faces if owner)
    shown = json.loads((root / f"visomaster/faceset_{number:03d}/manifest.json").read_bytes())["faces"][0]["sha256"]
    one = tuple(face.face_id for face, owner in faces if owner == number and face.sha256 == shown)
    await decide(app, HoldFromSets(faces=one))
    await app.runner.publish_now(frozenset({number}))
    after = people_of(root / "visomaster/everybody/Everybody.json")
    assert after.keys() == before.keys()
    assert sum(not np.array_equal(after[name], vector) for name, vector in before.items()) == 1
    assert (await app.runner.publish_now()).forms == 0, "an export of everybody writes the same"
    await decide(app, HoldFromSets(faces=tuple(face.face_id for face, owner in faces if owner == number)))
    await app.runner.publish_now(frozenset({number}))
    assert len(people_of(root / "visomaster/everybody/Everybody.json")) == len(before) - 1
    await decide(app, SwitchProfiles(identity=number, off=("visomaster",)))
    assert not (root / "visomaster/everybody").exists(), "at once"
    await app.runner.publish_now(frozenset({number}))
    assert len(people_of(root / "visomaster/everybody/Everybody.json")) == len(before) - 1, "all others"
    damage_one(root)
    counts = await app.runner.publish_now(frozenset({number}))
    assert counts.left == ["the file of everybody for visomaster, as files of somebody else in it were changed"]
    remove_one(root)
    counts = await app.runner.publish_now(frozenset({number}))
    assert counts.left == ["the file of everybody for visomaster, as others have no files there yet"]


def remove_one(root: Path) -> None:
    """Remove the directory of one person and the list of everybody, as before the first export of this form."""
    shutil.rmtree(root / "visomaster/everybody")
    shutil.rmtree(min(root.glob("visomaster/faceset_*")))


def damage_one(root: Path) -> None:
    """Change the vector of one person on the disk."""
    path = next(one for one in sorted(root.glob("visomaster/faceset_*/*.json")) if one.name != "manifest.json")
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))


@pytest.mark.slow
async def test_a_face_model_has_the_points_of_the_face_that_it_describes(
    embedder: str, drawn: SmallLibrary, tmp_path: Path
) -> None:
    async with service(embedder, drawn, tmp_path) as app:
        faces = [face for face, _ in await app.store.read(exportable_faces, app.pool.info.space)]
        for face in faces:
            points = np.full((106, 2), face.face_id, dtype=np.float32)
            await app.store.write(record_enrichment, face.face_id, Enriched(of_106=points), models="drawn")
        boxes = {face.face_id: [face.box.x1, face.box.y1, face.box.x2, face.box.y2] for face in faces}
        await app.runner.publish_now()
        models = models_in(app.settings.export_dir / "_profiles/reactor")
        assert len(models) > 1
        for model in models.values():
            (face_id,) = set(model["landmark_2d_106"].ravel().tolist())
            np.testing.assert_allclose(model["bbox"], boxes[face_id], rtol=1e-5)


def models_in(root: Path) -> dict[str, dict[str, NDArray[Any]]]:
    """The tensors of all face models, by the name in ReActor's list, when they are copied into its folder."""
    files = list(root.glob("*/*.safetensors"))
    found = {file.name.removesuffix(".safetensors"): load_file(file) for file in files}
    assert len(found) == len(files), "no model replaces another one"
    return found


def people_of(*files: Path) -> dict[str, NDArray[np.float64]]:
    """The people that VisoMaster loads from these files, manifests left out."""
    return {
        person["name"]: np.array(person["embedding_store"]["Inswapper128ArcFace"])
        for file in files
        if file.name != "manifest.json"
        for person in json.loads(file.read_bytes())
    }
