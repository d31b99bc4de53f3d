"""A complete sync of real photos with real models, for two users of one Immich."""

import json
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from real_library import ENVIRONMENT, Photo, add_photo, labelled_photos, two_users, write_users
from service_process import environment, run, tree
from sqlalchemy import Connection, select
from testdata import shared_data

from immich_facesets.evaluation.metrics import bcubed
from immich_facesets.faces import Box
from service.demo.immich import FakeImmich
from service.store import identities
from service.store.database import Store, open_engine
from service.store.members import list_identities, members_of
from service.store.tables import assets, faces, fingerprints

pytestmark = [pytest.mark.models, pytest.mark.timeout(900)]


@dataclass(frozen=True, slots=True)
class Library:
    """A fake Immich with real photos, and the settings of a service beside it."""

    immich: FakeImmich
    environ: Mapping[str, str]
    folder: Path
    placed: dict[tuple[str, str], Photo]
    late: list[Photo]
    least_facesets: int

    @property
    def exports(self) -> Path:
        return self.folder / "data" / "exports"


@pytest.fixture(params=[8, pytest.param(1000, marks=pytest.mark.slow)])
async def library(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Library]:
    """Every labelled photo in the slow run; in the quick one those of the eight people with fewest of five and more."""
    data = shared_data()
    photos = labelled_photos(data)
    shots = Counter(photo.identity for photo in photos)
    if request.param < len(shots):
        few = sorted(
            (identity for identity in shots if identity and shots[identity] >= 5), key=lambda name: shots[name]
        )
        few = few[: request.param]
        photos = [photo for photo in photos if photo.identity in few]
    known = [photo for photo in photos if shots[photo.identity] >= 5]
    late = [known[number] for number in range(4, len(known), 5)]  # the fifth shot of people with four others
    immich = FakeImmich("3.1.0")
    placed = two_users(immich, [photo for photo in photos if photo not in late])
    url = await immich.start()
    models = {**ENVIRONMENT, "FACESETS_EMBEDDER_ENGINE": "onnx", "FACESETS_MODELS_DIR": str(data / "data" / "models")}
    environ = environment(url, write_users(immich, tmp_path), tmp_path, **models)
    yield Library(immich, environ, tmp_path, placed, late, least_facesets=min(request.param, 40))
    await immich.stop()


def members(library: Library) -> dict[int, set[str]]:
    """The photos of every identity, by number."""
    store = Store(open_engine(f"sqlite:///{library.folder / 'data' / 'facesets.db'}"))
    try:
        found: dict[int, set[str]] = {}
        for row in store.read_now(list_identities):
            for member in store.read_now(members_of, row.number):
                found.setdefault(row.number, set()).update(
                    library.placed[user, asset_id].name for user, asset_id, _ in member.places
                )
        return found
    finally:
        store.close()


def labelled(library: Library) -> tuple[list[str], list[int]]:
    """
    For every labelled face that was found: its person and its identity (a different one for each unassigned face).
    """
    store = Store(open_engine(f"sqlite:///{library.folder / 'data' / 'facesets.db'}"))
    try:
        table = store.read_now(rows_of_faces)
        membership = store.read_now(identities.all_memberships)
    finally:
        store.close()
    truth, predicted = [], []
    for places, found in table:
        photo = library.placed[places[0]]
        if not photo.identity:
            continue
        width, height = photo.size
        face_id, _ = min(found, key=lambda face: off_centre(face[1], width, height))
        truth.append(photo.identity)
        predicted.append(membership.get(face_id, -face_id))
    return truth, predicted


def off_centre(box: Box, width: int, height: int) -> float:
    """Return the face of the labelled person: large and in the middle."""
    x, y = (box.x1 + box.x2) / 2 / width - 0.5, (box.y1 + box.y2) / 2 / height - 0.5
    return float(np.hypot(x, y) - box.face_short / min(width, height))


def rows_of_faces(tx: Connection) -> list[tuple[list[tuple[str, str]], list[tuple[int, Box]]]]:
    places: dict[str, list[tuple[str, str]]] = {}
    for row in tx.execute(
        select(fingerprints.c.sha256, assets.c.source, assets.c.asset_id).join(
            assets, assets.c.fingerprint == fingerprints.c.fingerprint
        )
    ):
        places.setdefault(row.sha256, []).append((row.source, row.asset_id))
    found: dict[str, list[tuple[int, Box]]] = {}
    for row in tx.execute(select(faces)):
        found.setdefault(row.sha256, []).append((row.face_id, Box(row.x1, row.y1, row.x2, row.y2)))
    return [(places[sha256], items) for sha256, items in found.items()]


def check_tree(library: Library) -> dict[str, Any]:
    """Read the export tree as its consumers do; returns the top manifest."""
    top: dict[str, Any] = json.loads((library.exports / "manifest.json").read_text(encoding="utf-8"))
    assert top["schema"] == 1
    for entry in top["facesets"]:
        folder = library.exports / entry["directory"]
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["name"] == entry["name"]
        assert len(manifest["faces"]) == entry["faces"] == len(list((folder / "faces").iterdir()))
        assert [face["rank"] for face in manifest["faces"]] == list(range(1, entry["faces"] + 1))
        ranks = [(face["is_masked"], -face["score"]) for face in manifest["faces"]]  # painted crops come last
        assert ranks == sorted(ranks)
        picture = cv2.imread(str(folder / manifest["faces"][0]["file"]))
        assert picture is not None
        assert picture.shape == (512, 512, 3)
        with zipfile.ZipFile(folder / entry["bundles"]["all"]) as bundle:
            assert bundle.namelist() == [f"{number}.png" for number in range(entry["faces"])]
            assert bundle.read("0.png") == (folder / "faces/0001.png").read_bytes()
    return top


def pure(library: Library, top: dict[str, Any]) -> float:
    """The share of exported faces that are of the majority person of their face set."""
    right = total = 0
    for entry in top["facesets"]:
        manifest = json.loads((library.exports / entry["directory"] / "manifest.json").read_text(encoding="utf-8"))
        who = Counter(
            library.placed[face["assets"][0]["user"], face["assets"][0]["asset_id"]].identity
            for face in manifest["faces"]
        )
        right += max(who.values())
        total += sum(who.values())
    assert total
    return right / total


@pytest.mark.slow
async def test_a_real_library_becomes_the_right_facesets_and_stays_so(library: Library) -> None:
    first = await run(library.environ, "sync", seconds=600)
    assert first.code == 0, first.stderr[-2000:]
    truth, predicted = labelled(library)
    assert len(truth) >= 0.95 * len({photo.name for photo in library.placed.values() if photo.identity})
    assert bcubed(truth, predicted).f >= 0.97
    top = check_tree(library)
    assert len(top["facesets"]) >= library.least_facesets
    assert pure(library, top) == 1.0
    files = {photo.name: photo for photo in library.placed.values()}
    assert library.immich.requests.count("original") <= len(files)  # byte-identical files were fetched once

    for user in ("anna", "ben"):
        mine = json.loads((library.exports / "users" / user / "manifest.json").read_text(encoding="utf-8"))
        ids = {asset["asset_id"] for faceset in mine["facesets"] for asset in faceset["assets"]}
        assert ids
        assert ids <= {asset_id for owner, asset_id in library.placed if owner == user}

    before, downloads = tree(library.exports), library.immich.requests.count("original")
    second = await run(library.environ, "sync")
    assert second.code == 0, second.stderr[-2000:]
    assert library.immich.requests.count("original") == downloads
    assert "0 new faces" in " ".join(second.stdout.split())
    assert tree(library.exports) == before

    numbers = members(library)
    for number, photo in enumerate(library.late):
        asset = add_photo(library.immich, "anna", photo, 1000 + number)
        library.placed["anna", asset.asset_id] = photo
        library.immich.touch(asset)
    third = await run(library.environ, "sync")
    assert third.code == 0, third.stderr[-2000:]
    grown = members(library)
    for number, names in numbers.items():
        assert names <= grown[number]
    of_late = {photo.name: photo.identity for photo in library.late}
    who = {
        number: Counter(name.split("/")[-2] for name in names).most_common(1)[0][0] for number, names in numbers.items()
    }
    number_of = {identity: number for number, identity in who.items()}
    right = [name for name, identity in of_late.items() if name in grown.get(number_of[identity], ())]
    assert len(right) >= 0.9 * len(of_late)
    assert pure(library, check_tree(library)) == 1.0
