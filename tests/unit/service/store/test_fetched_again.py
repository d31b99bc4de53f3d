"""Pictures that another setting makes a sync fetch again, and the faces in them that are not new."""

from dataclasses import replace
from datetime import timedelta

import pytest
from builders import NOON, RECIPE, asset, content, face_answer, plans

from immich_facesets.faces import Box
from service.passes.fetched_again import warning
from service.store import assets, contents, embedding_work, sources
from service.store.database import Store
from service.store.embedding_work import FetchedAgain, Recipe

LATER = NOON + timedelta(days=1)
SMALL = replace(RECIPE, crop_size=256)
"""The crops show 400 pixels, so they were reduced."""


def remember(store: Store, *asset_ids: str) -> None:
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    store.write_now(assets.remember_page, plans(*(asset(asset_id) for asset_id in asset_ids)), run_id=1)


@pytest.mark.parametrize(
    ("recipe", "pictures"),
    [
        (SMALL, 0),
        (replace(SMALL, crop_size=128), 0),
        (replace(SMALL, crop_size=512), 2),
        (replace(SMALL, crop_padding=1.0), 2),
        (replace(SMALL, detection="guided"), 2),
        (replace(SMALL, space="space-2"), 0),
    ],
)
def test_what_a_setting_costs_is_known_before_it_is_fetched(store: Store, recipe: Recipe, pictures: int) -> None:
    remember(store, "a1", "a2", "never-fetched")
    for asset_id in ("a1", "a2"):
        store.write_now(contents.record_content, content(asset(asset_id), face_answer(), recipe=SMALL), NOON)
    again = store.read_now(embedding_work.fetched_again, recipe, LATER)
    assert again == FetchedAgain(pictures, 1234 * pictures)


def test_a_picture_of_two_places_costs_once(store: Store) -> None:
    remember(store, "a1", "a2")
    for asset_id in ("a1", "a2"):
        found = content(asset(asset_id), face_answer(), sha256="e" * 64, recipe=SMALL)
        store.write_now(contents.record_content, found, NOON)
    assert store.read_now(embedding_work.fetched_again, RECIPE, LATER) == FetchedAgain(1, 1234)


def test_the_sentence_has_the_number_the_size_and_the_settings() -> None:
    told = warning(FetchedAgain(882, 3 * 2**30))
    assert "882 pictures again, about 3.0 GiB" in told
    assert "FACESETS_CROP_SIZE" in told


def test_only_faces_that_were_not_known_are_new(store: Store) -> None:
    remember(store, "a1")
    other = face_answer(2, box=Box(600, 600, 800, 800))
    assert store.write_now(contents.record_content, content(asset(), face_answer()), NOON) == 1
    assert store.write_now(contents.record_content, content(asset(), face_answer()), LATER) == 0
    assert store.write_now(contents.record_content, content(asset(), face_answer(), other), LATER) == 1
    moved = content(asset(), face_answer(), other, recipe=replace(RECIPE, space="space-2"))
    assert store.write_now(contents.record_content, moved, LATER) == 0, "another model finds the same faces"
