"""Reference pictures: what they are for, what is kept of them, and what takes them away again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from builders import NOON, RECIPE
from identify_scene import FakeEmbedder, IdentifyScene, identifying, picture_of
from moderated_library import BY, Moderated

from immich_facesets.errors import ItemError, RequestError, SetupError
from immich_facesets.faces import Box
from immich_facesets.moderation.requests import (
    AssignReference,
    KeepTwoApart,
    MergePeople,
    NewPerson,
    RemoveReference,
    UndoDecision,
)
from service.files.references import ReferenceFolder
from service.moderation.references import References, tidy_references
from service.store import identities, reference_pictures
from service.store.browsing.review_page import review_page
from service.store.browsing.slices import Slice
from service.store.database import Store
from service.store.kept_answers import Key
from service.store.references import AddedReference
from service.web.library.references import SeveralFacesError

ANNA, BEN, ZOE = 1, 2, 77


@dataclass
class ReferenceScene:
    """The scene of identification, with the application of reference pictures over it."""

    scene: IdentifyScene
    references: References
    folder: ReferenceFolder

    @property
    def library(self) -> Moderated:
        return self.scene.library

    async def add(self, picture: bytes, person: int | NewPerson, **options: object) -> AddedReference:
        done = await self.references.add(picture, person, BY, **options)  # type: ignore[arg-type]
        assert done is not None
        return done

    async def remove(self, reference: int) -> None:
        self.library.decide(RemoveReference(reference=reference))
        await tidy_references(self.scene.store, self.folder)

    def files(self) -> set[str]:
        return {path.suffix for path in self.folder.path.rglob("*") if path.is_file()}

    def count(self) -> int:
        return len([path for path in self.folder.path.rglob("*") if path.is_file()])


@asynccontextmanager
async def referring(store: Store, folder: Path, embedder: FakeEmbedder | None = None) -> AsyncIterator[ReferenceScene]:
    async with identifying(store, embedder=embedder) as scene:
        kept = ReferenceFolder(folder / "references")
        references = References(store, scene.settings, scene.pool, kept, scene.identify.rival, lambda: NOON)
        yield ReferenceScene(scene, references, kept)


async def test_a_person_in_no_library_is_known_by_a_picture_and_takes_their_own_pictures(
    store: Store, tmp_path: Path
) -> None:
    async with referring(store, tmp_path) as at:
        assert await at.scene.verdicts(ZOE) == [("nobody", None)]
        done = await at.add(picture_of(ZOE), NewPerson(label="Zoe"))
        number = done.identity
        assert (done.rival, done.done.effect.new) == (None, (number,))
        assert await at.scene.verdicts(ZOE, ANNA) == [("known", number), ("known", at.scene.number(ANNA))]
        names = at.library.add(ZOE, count=2)  # fewer than make a person
        plan = at.library.group()
        assert {at.library.number(name) for name in names} == {number}
        assert all(one.face_id > 0 for one in plan.joins)
        assert plan.report.faces == len(at.library.members())
        assert store.read_now(identities.labels)[number] == "Zoe"
        assert not at.library.plan().joins, "grouping again changes nothing"


async def test_only_the_square_and_the_aligned_face_are_kept_unless_the_original_is_wanted(
    store: Store, tmp_path: Path
) -> None:
    async with referring(store, tmp_path) as at:
        await at.add(picture_of(ZOE), NewPerson(label="Zoe"))
        assert (at.count(), at.files()) == (2, {".jpg"})
        other = await at.add(
            picture_of(ZOE, ANNA), at.scene.number(ANNA), box=Box(400, 100, 680, 380), keeps_original=True
        )
        assert (at.count(), at.files()) == (5, {".jpg", ".original"})
        (one,) = await at.references.of_identity(other.identity)
        assert one.picture.original is not None
        assert at.folder.read(one.picture.original) == picture_of(ZOE, ANNA)
        assert one.is_used
        await at.remove(other.reference)
        assert at.count() == 2


async def test_a_removed_picture_no_longer_matters(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        done = await at.add(picture_of(ZOE), NewPerson(label="Zoe"))
        await at.remove(done.reference)
        assert at.count() == 0
        assert await at.scene.verdicts(ZOE) == [("nobody", None)]
        names = at.library.add(ZOE, count=2)
        at.library.group()
        assert {at.library.number(name) for name in names} == {None}
        with pytest.raises(RequestError, match="add the picture again"):
            at.library.decide(UndoDecision(decision=len(at.library.records())))


async def test_an_undone_picture_counts_no_more_and_is_asked_about(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        done = await at.add(picture_of(ZOE), NewPerson(label="Zoe"))
        at.library.decide(UndoDecision(decision=done.done.decisions[0]))
        assert await at.scene.verdicts(ZOE) == [("nobody", None)]
        (one,) = await at.references.of_identity(done.identity)
        assert (one.is_open, one.is_used) == (True, False)


async def test_several_faces_need_a_box_and_none_is_refused(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        for box in (None, Box(3000, 2000, 3100, 2100)):
            with pytest.raises(SeveralFacesError, match="400,100,680,380") as refused:
                await at.add(picture_of(ANNA, ZOE), NewPerson(label="Zoe"), box=box)
            assert len(refused.value.boxes) == 2
        with pytest.raises(ItemError, match="no face was found"):
            await at.add(picture_of(), NewPerson(label="Zoe"))
        assert at.count() == 0
        done = await at.add(picture_of(ANNA, ZOE), NewPerson(label="Zoe"), box=Box(405, 110, 670, 375))
        assert await at.scene.verdicts(ZOE) == [("known", done.identity)]


async def test_a_picture_that_two_people_match_waits_for_an_answer(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        anna = at.scene.number(ANNA)
        done = await at.add(picture_of(ANNA), NewPerson(label="Zoe"))
        assert (done.rival, at.count()) == (anna, 2)
        assert await at.scene.verdicts(ANNA) == [("known", anna)]
        page = store.read_now(review_page, Slice(9), "reference")
        (queued,) = page.page.items
        assert queued.item.identities == (done.identity, anna)
        assert queued.item.evidence is not None
        assert len(queued.item.evidence[1]) == 4, "faces of Anna to compare"
        at.library.decide(AssignReference(reference=done.reference, identity=anna))
        assert store.read_now(review_page, Slice(9), "reference").total == 0
        (one,) = await at.references.of_identity(anna)
        assert (one.identity, one.is_open, one.is_used) == (anna, False, True)
        assert await at.references.of_identity(done.identity) == []


async def test_an_answer_that_it_is_nobody_deletes_the_picture(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        done = await at.add(picture_of(ANNA), at.scene.number(BEN))
        assert done.rival == at.scene.number(ANNA)
        await at.remove(done.reference)
        assert (at.count(), store.read_now(review_page, Slice(9)).total) == (0, 0)


async def test_a_picture_follows_a_merge_and_its_undo(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        anna = at.scene.number(ANNA)
        done = await at.add(picture_of(ZOE), NewPerson(label="Zoe"))
        merged = at.library.decide(MergePeople(numbers=(done.identity,), into=anna, label="Anna"))
        assert await at.scene.verdicts(ZOE) == [("known", anna)]
        assert [one.identity for one in await at.references.of_identity(anna)] == [anna]
        at.library.decide(UndoDecision(decision=merged.decisions[0]))
        assert await at.scene.verdicts(ZOE) == [("known", done.identity)]
        assert await at.references.of_identity(anna) == []


async def test_a_picture_is_embedded_again_for_another_model(store: Store, tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    async with referring(store, tmp_path, embedder) as at:
        await at.add(picture_of(ZOE), NewPerson(label="Zoe"))
        waiting = store.read_now(reference_pictures.waiting_pictures, "another")
        assert len(waiting) == 1
        assert store.read_now(reference_pictures.waiting_pictures, RECIPE.space) == []


async def test_the_same_request_is_done_once_and_the_same_picture_too(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        anna, key = at.scene.number(ANNA), Key("a key", "digest")
        first = await at.add(picture_of(ANNA), anna, key=key)
        assert await at.add(picture_of(ANNA), anna, key=key) == first
        again = await at.add(picture_of(ANNA), anna)
        assert (again.reference, again.done.decisions) == (first.reference, ())
        with pytest.raises(RequestError, match=f"of identity {anna}"):
            await at.add(picture_of(ANNA), at.scene.number(BEN))
        assert at.count() == 2


async def test_nothing_is_added_after_another_decision(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        last = await at.references.last_decision()
        at.library.decide(KeepTwoApart(identity=at.scene.number(ANNA), other=at.scene.number(BEN)))
        assert await at.references.add(picture_of(ZOE), at.scene.number(ANNA), BY, after=last) is None
        assert at.count() == 0


async def test_a_name_that_somebody_has_and_a_number_that_nobody_has_are_refused(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        with pytest.raises(RequestError, match="has this name"):
            await at.add(picture_of(ZOE), NewPerson(label="anna"))
        with pytest.raises(RequestError, match="there is no identity 99"):
            await at.add(picture_of(ZOE), 99)
        assert at.count() == 0
        assert (await at.add(picture_of(ZOE), NewPerson(label="anna", is_namesake=True))).rival is None


async def test_neither_names_nor_pictures_are_logged(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        with structlog.testing.capture_logs() as lines:
            await at.add(picture_of(ZOE), NewPerson(label="Zoe"))
        assert [line["event"] for line in lines] == ["reference_added"]
        assert "Zoe" not in str(lines)


async def test_the_embedder_of_another_model_adds_nothing(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path, FakeEmbedder(space="another")) as at:
        with pytest.raises(SetupError, match="cannot be compared"):
            await at.add(picture_of(ZOE), NewPerson(label="Zoe"))
        assert at.count() == 0
