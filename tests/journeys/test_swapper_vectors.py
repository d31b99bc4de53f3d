"""Forms without pictures in a whole service, with an embedder whose recogniser is the one that their readers know."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fork_server import PUBLISHED_MODEL, ForkServer
from journey import announced_embedder
from numpy.typing import NDArray
from pydantic import SecretStr
from small_library import SmallLibrary, place

from immich_facesets.exports.requests import read_export_requests
from service.app import open_app
from service.demo.immich import FakeImmich
from service.files.export_tree import ExportTree
from service.settings import Settings
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


async def test_a_list_of_everybody_is_written_beside_the_lists_of_one_person(
    embedder: str, drawn: SmallLibrary, tmp_path: Path
) -> None:
    async with FakeImmich("3.1.0") as immich:
        placed = place(immich, drawn)
        users = tuple(User(name=name, api_key=SecretStr(user.api_key)) for name, user in placed.users.items())
        settings = Settings(
            immich_url=immich.url,
            data_dir=tmp_path / "data",
            embedder_urls=embedder,
            export_profiles="visomaster",
            **FIELDS,
        )
        async with open_app(settings, users, asyncio.Event()) as app:
            assert (await app.runner.run("full")).outcome is Outcome.DONE
            root = app.settings.export_dir / "_profiles/visomaster"
            one_by_one = people_of(*root.glob("faceset_*/*.json"))
            assert len(one_by_one) > 1
            assert people_of(root / "everybody/Everybody.json").keys() == one_by_one.keys()
            for name, vector in people_of(root / "everybody/Everybody.json").items():
                np.testing.assert_array_equal(vector, one_by_one[name])
            assert (await app.runner.publish_now()).forms == 0, "nothing has changed"
            (tmp_path / "copy").mkdir()
            await app.runner.copy_now(read_export_requests("visomaster")[0], 1, ExportTree(tmp_path / "copy"))
            assert [path.name for path in (tmp_path / "copy").iterdir()] == ["faceset_001"], (
                "one person is not everybody"
            )


def people_of(*files: Path) -> dict[str, NDArray[np.float64]]:
    """The people that VisoMaster loads from these files, manifests left out."""
    return {
        person["name"]: np.array(person["embedding_store"]["Inswapper128ArcFace"])
        for file in files
        if file.name != "manifest.json"
        for person in json.loads(file.read_bytes())
    }
