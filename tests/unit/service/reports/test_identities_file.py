"""The list of all identities over a real store: what it has, whom it leaves out, and the download."""

import msgspec
import numpy as np
import pytest
from builders import RECIPE, unit_like
from identify_scene import library_of
from moderated_library import Moderated
from web_scene import BEARER, Scene, visit

from immich_facesets.exports.identities_file import IdentitiesFile
from immich_facesets.moderation.requests import (
    ChooseCover,
    ConfirmFaces,
    IgnoreStrangers,
    LockIdentity,
    NeverExportIdentity,
)
from service.reports.library import library_reads
from service.settings import Settings
from service.store import named_values
from service.store.browsing.identity_records import read_identities
from service.store.database import Store


@pytest.fixture
def library(store: Store) -> Moderated:
    return library_of(store)


def read(library: Moderated, *, for_export: bool = False) -> IdentitiesFile:
    body = library.store.read_now(read_identities, {}, for_export).body
    return msgspec.json.decode(body, type=IdentitiesFile)


def test_every_identity_is_there_with_its_members_and_figures(library: Moderated) -> None:
    library.store.write_now(named_values.write_value, named_values.GUARDRAILS, ["half of the faces stand alone"])
    library.decide(LockIdentity(identity=library.number("p0") or 0))
    library.decide(ChooseCover(face=library.face("p2")))
    found = read(library)
    assert (found.schema, found.space) == (1, RECIPE.space)
    assert found.guardrails == ("half of the faces stand alone",)
    assert found.distances["cluster"] == pytest.approx(0.625)
    anna, ben = found.identities
    assert (anna.number, anna.label, anna.is_locked, anna.faces, anna.pictures) == (
        library.number("p0"),
        "Anna",
        True,
        4,
        4,
    )
    assert (ben.label, ben.is_locked) == ("Ben", False)
    assert [one.sha256 for one in anna.members] == [f"{number:064x}" for number in (1, 2, 3, 4)]
    assert anna.how == {"asserted": 4}
    assert anna.cover is not None
    assert (anna.cover.sha256, anna.cover.box) == (f"{3:064x}", (100.0, 100.0, 300.0, 300.0))
    vectors = np.stack([np.frombuffer(unit_like(1, 2 * number), dtype="<f4") for number in range(4)]).astype(np.float64)
    mean = vectors.mean(axis=0)
    assert anna.centroid_norm == pytest.approx(np.linalg.norm(mean), abs=1e-4)
    assert anna.variance == pytest.approx(((vectors - mean) ** 2).sum(axis=1).mean(), abs=1e-4)


def test_who_must_not_be_exported_stands_in_the_download_alone(library: Moderated) -> None:
    anna, ben = library.number("p0"), library.number("p4")
    library.decide(NeverExportIdentity(identity=anna or 0))
    assert [(one.number, one.is_never_exported) for one in read(library).identities] == [(anna, True), (ben, False)]
    assert [one.number for one in read(library, for_export=True).identities] == [ben]
    library.decide(IgnoreStrangers(identity=ben))
    assert [one.number for one in read(library).identities] == [anna], "strangers are in no list"
    assert read(library, for_export=True).identities == ()


def test_the_same_library_has_the_same_bytes(library: Moderated) -> None:
    first = library.store.read_now(read_identities, {}, True)
    again = library.store.read_now(read_identities, first.means, True)
    assert again.body == first.body
    library.decide(ConfirmFaces(faces=(library.face("p1"),)))
    assert (
        library.store.read_now(read_identities, first.means, True).body
        == library.store.read_now(read_identities, {}, True).body
    )


def test_before_the_first_sync_the_list_is_empty(store: Store) -> None:
    body = store.read_now(read_identities, {}, False).body
    assert msgspec.json.decode(body, type=IdentitiesFile) == IdentitiesFile(
        schema=1, space=None, distances={}, guardrails=(), identities=()
    )


async def test_the_list_is_a_download(library: Moderated) -> None:
    scene = Scene()
    scene.library = library_reads(library.store, Settings(), scene.board)
    async with visit(scene) as client, client.get("/api/identities.json", headers=BEARER) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Disposition"] == 'attachment; filename="identities.json"'
        assert msgspec.json.decode(await answer.read(), type=IdentitiesFile) == read(library)
        tag = answer.headers["ETag"]
        async with client.get("/api/identities.json", headers=BEARER | {"If-None-Match": tag}) as again:
            assert again.status == 304
