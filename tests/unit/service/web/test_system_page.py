"""The page about the service itself."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

import msgspec
import pytest
from web_scene import BEARER, HTML, Scene, busy_scene, visit

from service.progress import RemoteState
from service.web import examples
from service.web.library.decisions import DecisionsPage, DecisionsQuery
from service.web.library.service import (
    Setting,
    SettingsAnswer,
    Source,
    SourcesAnswer,
    StorageAnswer,
    StoredPart,
)
from service.web.pages.system import PARTS, source_words
from service.web.schemas import SourceCounts, StatusFacts

BROWSER = {**BEARER, **HTML}


async def page_of(scene: Scene) -> str:
    async with visit(scene) as client, client.get("/system", headers=BROWSER) as answer:
        assert answer.status == 200
        return await answer.text()


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


async def test_models_embedders_and_storage_are_told_in_words() -> None:
    words = words_of(await page_of(busy_scene()))
    for phrase in (
        "buffalo_l",
        "insightface models: non-commercial research only",
        "CUDA on GeForce RTX 3060",
        "Embedder connected",
        "41,020 pictures, of which 17,200 may show a usable face. 17,200 of these are read.",
        "3.4 GiB 41,556 files",
        PARTS["crops"].why,
        "384 GiB are free in the data folder.",
        "immich-facesets decisions export decisions.jsonl",
        "Version 1.2.3",
    ):
        assert phrase in words, phrase
    assert "Pictures in work" not in words, "an empty part says nothing"


async def test_an_embedder_that_is_down_says_why() -> None:
    scene = busy_scene()
    down = RemoteState(name="embedder", circuit="open", message="nobody answers", advice="Start it.")
    scene.board.update_remote(down)
    assert "Embedder not reachable: nobody answers. Start it." in words_of(await page_of(scene))


async def test_secrets_are_only_set_or_not() -> None:
    one = examples.SETTINGS.settings[0]
    settings = SettingsAnswer(
        settings=(
            one,
            msgspec.structs.replace(one, name="IMMICH_API_KEY", is_set=False, is_default=True),
            Setting(
                name="FACESETS_DETECTION",
                value="guided",
                is_set=True,
                is_default=False,
                is_secret=False,
                description="`full` or <guided>",
            ),
        )
    )

    async def given() -> SettingsAnswer:
        return settings

    scene = Scene()
    scene.library = replace(scene.library, settings=given)
    page = await page_of(scene)
    words = words_of(page)
    assert "Set by you 2" in words
    assert "FACESETS_TOKEN set, and not shown" in words
    assert "IMMICH_API_KEY not set" in words
    assert "<code>guided</code>" in page
    assert "<code>full</code> or &lt;guided&gt;" in page


async def test_the_age_of_the_latest_decision_says_which_backup_lacks_it() -> None:
    async def none(query: DecisionsQuery) -> DecisionsPage:
        del query
        return DecisionsPage(decisions=())

    scene = Scene()
    assert "The latest decision is from" in words_of(await page_of(scene))
    scene.library = replace(scene.library, decisions=none)
    assert "There is no decision yet that could be lost." in words_of(await page_of(scene))


@pytest.mark.parametrize(("database", "tool"), [("sqlite", ".backup"), ("postgresql", "pg_dump")])
async def test_the_backup_fits_the_database(database: str, tool: str) -> None:
    assert tool in await page_of(Scene(facts=StatusFacts(database=database)))


async def test_a_new_service_has_a_page_too() -> None:
    async def nothing() -> SourcesAnswer:
        return SourcesAnswer(sources=())

    async def unmeasured() -> StorageAnswer:
        return StorageAnswer(parts=(), data_free_bytes=None, export_free_bytes=None, measured_at=None)

    scene = Scene()
    scene.library = replace(scene.library, sources=nothing, storage=unmeasured)
    words = words_of(await page_of(scene))
    assert "It is known once the embedder answers." in words
    assert "There is none yet." in words
    assert "The folders are being measured" in words


def test_every_part_of_what_is_stored_has_words() -> None:
    assert tuple(PARTS) == get_args(StoredPart)


def test_a_source_is_said_to_be_what_it_is() -> None:
    counts = SourceCounts(name="scans", kind="folder", full_listing_at=datetime.now(UTC))
    assert "one person in each" in source_words(Source(counts=counts, root="/photos", mode="trusted"))
    assert "anybody anywhere" in source_words(Source(counts=counts, root="/photos", mode="mixed"))
    assert source_words(examples.SOURCES.sources[0]) == "An account of Immich."
