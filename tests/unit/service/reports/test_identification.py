"""Identification over a real store: who is named, what follows decisions at once, and what fails clearly."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
import structlog
from builders import NOON
from counted_statements import counted_statements
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from identify_scene import FakeEmbedder, IdentifyScene, identifying, picture_of

from immich_facesets import wire
from immich_facesets.errors import FacesetsError, ItemError, SetupError, TransientError
from immich_facesets.moderation.requests import (
    ConfirmFaces,
    IgnoreStrangers,
    MarkNotAFace,
    MergePeople,
    MoveFaces,
    NameIdentity,
    NeverExportIdentity,
    RejectFaces,
    Request,
    UndoDecision,
)
from service.reports.identification.known_exemplars import KnownExemplars
from service.settings import Settings
from service.store import named_values, tables
from service.store.database import Store, open_engine

ANNA, BEN, NOBODY = 1, 2, 77


async def test_people_are_named_and_strangers_are_nobody(store: Store) -> None:
    async with identifying(store) as scene:
        answer = await scene.identify.answer(picture_of(BEN, NOBODY, ANNA), 2)
        assert [one.verdict for one in answer.faces] == ["known", "nobody", "known"], "largest first"
        first, stranger, last = answer.faces
        assert (first.identities[0].number, first.identities[0].label) == (scene.number(BEN), "Ben")
        assert last.identities[0].label == "Anna"
        assert [len(one.identities) for one in answer.faces] == [2, 2, 2]
        assert first.identities[0].confidence > 0.99
        assert stranger.nobody > 0.9
        assert first.identities[0].address == f"/api/identities/{scene.number(BEN)}"
        assert (answer.width, answer.height, answer.compared) == (4000, 3000, 2)
        assert (await scene.identify.answer(picture_of(), 5)).faces == ()


async def test_a_decision_counts_at_the_next_question(store: Store) -> None:
    async with identifying(store) as scene:
        anna, ben = scene.number(ANNA), scene.number(BEN)
        assert await scene.verdicts(ANNA, BEN) == [("known", anna), ("known", ben)]
        scene.library.decide(NameIdentity(identity=anna, label="Anne"))
        scene.library.decide(NeverExportIdentity(identity=anna))
        (face,) = (await scene.identify.answer(picture_of(ANNA), 1)).faces
        assert (face.identities[0].label, face.identities[0].is_never_exported) == ("Anne", True), "known all the same"
        scene.library.decide(MergePeople(numbers=(ben,), into=anna, label="Anne"))
        assert await scene.verdicts(ANNA, BEN) == [("known", anna), ("known", anna)]
        scene.library.decide(UndoDecision(decision=scene.library.records()[-1].decision_id))
        assert await scene.verdicts(BEN) == [("known", ben)]
        scene.library.decide(IgnoreStrangers(identity=ben))
        answer = await scene.identify.answer(picture_of(BEN), 5)
        assert answer.faces[0].verdict == "nobody"
        assert {one.number for one in answer.faces[0].identities} == {anna}, "a stranger is never named"


async def test_a_face_that_a_decision_took_away_answers_for_nobody(store: Store) -> None:
    async with identifying(store) as scene:
        faces = [scene.library.face(name) for name, who in scene.library.pictures.items() if BEN in who]
        scene.library.decide(MarkNotAFace(faces=tuple(faces)))
        assert await scene.verdicts(BEN) == [("nobody", None)]


async def test_a_question_costs_no_statement_while_nothing_changed(store: Store) -> None:
    async with identifying(store) as scene:
        await scene.verdicts(ANNA)
        with counted_statements(store) as sent:
            await scene.verdicts(ANNA, BEN, NOBODY)
        assert sent == []
        scene.library.decide(NameIdentity(identity=scene.number(ANNA), label="Anne"))
        with counted_statements(store) as sent:
            await scene.verdicts(ANNA)
        assert not any("vectors.vector" in one for one in sent), "a name changes no exemplar"


async def test_a_picture_leaves_nothing_behind(store: Store) -> None:
    with structlog.testing.capture_logs() as lines:
        async with identifying(store) as scene:
            before = store.changes
            await scene.verdicts(ANNA)
            assert store.changes == before
    assert not [line for line in lines if line["log_level"] != "debug"]


REQUESTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=6)


def request_of(scene: IdentifyScene, kind: int, one: int, two: int) -> Request:
    names = list(scene.library.pictures)
    face, other = scene.library.face(names[one]), scene.library.face(names[two])
    anna, ben = scene.number(ANNA), scene.number(BEN)
    return (
        ConfirmFaces(faces=(face,)),
        MoveFaces(faces=(face, other), into=anna),
        MoveFaces(faces=(face,)),
        RejectFaces(faces=(face,)),
        IgnoreStrangers(faces=(face,)),
        MergePeople(numbers=(ben,), into=anna),
    )[kind]


@pytest.mark.slow
@given(REQUESTS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_kept_bank_is_the_bank_that_would_be_built_anew(
    migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory, made: Sequence[tuple[int, int, int]]
) -> None:
    file = tmp_path_factory.mktemp("bank") / "facesets.db"
    shutil.copy(migrated_sqlite, file)
    store = Store(open_engine(f"sqlite:///{file}"))
    asyncio.run(check_banks(store, made))
    store.close()


async def check_banks(store: Store, made: Sequence[tuple[int, int, int]]) -> None:
    async with identifying(store) as scene:
        kept = KnownExemplars(store, scene.settings)
        for kind, one, two in made:
            before = store.changes
            try:
                scene.library.decide(request_of(scene, kind, one, two))
            except (FacesetsError, AssertionError):  # it is impossible, or a person has no picture any more
                assert store.changes == before
            here, anew = await kept.now(), await KnownExemplars(store, scene.settings).now()
            assert here.bank.numbers.tolist() == anew.bank.numbers.tolist()
            np.testing.assert_array_equal(here.bank.vectors, anew.bank.vectors)
            assert (here.people.labels, here.people.hidden) == (anew.people.labels, anew.people.hidden)


async def test_a_confirmed_face_and_another_era_change_the_exemplars(store: Store) -> None:
    async with identifying(store) as scene:
        kept = KnownExemplars(store, scene.settings)
        before = (await kept.now()).people.versions
        scene.library.decide(ConfirmFaces(faces=(scene.library.face("p0"),)))
        confirmed = (await kept.now()).people.versions
        assert confirmed[scene.number(ANNA)] != before[scene.number(ANNA)]
        assert confirmed[scene.number(BEN)] == before[scene.number(BEN)]
        place = {"identity": scene.number(BEN), "name": "2011"}
        with store.engine.begin() as tx:
            tx.execute(tables.eras.insert(), [{**place, "kind": "years", "made_at": NOON}])
        store.write_now(
            lambda tx: tx.execute(
                tables.era_faces.insert(), [{**place, "face_id": scene.library.face("p4"), "is_founder": True}]
            )
        )
        split = (await kept.now()).people.versions
        assert split[scene.number(BEN)] != confirmed[scene.number(BEN)]


async def test_other_distances_count_at_the_next_question(store: Store) -> None:
    async with identifying(store) as scene:
        kept = KnownExemplars(store, scene.settings)
        used = (await kept.now()).people.used
        closer = replace(used, measured=replace(used.measured, chosen=replace(used.measured.chosen, cluster=0.61)))
        store.write_now(named_values.write_thresholds, closer)
        assert (await kept.now()).points.cluster != used.points.cluster


async def test_vectors_of_another_space_are_never_compared(store: Store) -> None:
    async with identifying(store, embedder=FakeEmbedder(space="space-2")) as scene:
        with pytest.raises(SetupError, match="another space"):
            await scene.verdicts(ANNA)


async def test_an_embedder_that_is_down_is_an_outage(store: Store) -> None:
    async with identifying(store, embedder=FakeEmbedder(is_down=True)) as scene:
        with pytest.raises(TransientError) as told:
            await scene.verdicts(ANNA)
        assert "embedder" in str(told.value)


async def test_what_is_no_picture_is_refused_with_the_reason(store: Store) -> None:
    body, kind = wire.encode(wire.ErrorBody(reason="not_a_picture", message="these bytes are no picture"))
    refusal = httpx.Response(422, content=body, headers={"Content-Type": kind})
    async with identifying(store, embedder=FakeEmbedder(refusal=refusal)) as scene:
        with pytest.raises(ItemError, match="no picture"):
            await scene.verdicts(ANNA)


async def test_before_the_first_grouping_there_is_nobody_to_compare_with(store: Store) -> None:
    with pytest.raises(SetupError, match="nothing was grouped yet"):
        await KnownExemplars(store, Settings()).now()


async def test_poor_faces_are_said_to_be_poor(store: Store) -> None:
    async with identifying(store, settings=Settings(min_blur=1000)) as scene:
        assert not (await scene.identify.answer(picture_of(ANNA), 1)).faces[0].is_clear
