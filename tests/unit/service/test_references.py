"""Reference pictures: what they are for, what is kept of them, and what takes them away again."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import structlog
from builders import INFO, NOON, RECIPE
from identify_scene import FakeEmbedder, IdentifyScene, identifying, library_of, picture_of
from moderated_library import BY, Moderated
from msgspec.structs import replace as replace_struct
from sqlalchemy import Connection, select

from immich_facesets.errors import ItemError, RequestError, SetupError
from immich_facesets.faces import Box
from immich_facesets.moderation.decisions import Label
from immich_facesets.moderation.open_pictures import open_lines, open_pictures_in
from immich_facesets.moderation.records import Author, CarriedPicture, from_lines, to_lines
from immich_facesets.moderation.requests import (
    AssignReference,
    FaceSelection,
    ForgetPerson,
    KeepTwoApart,
    MergePeople,
    NewPerson,
    PutOff,
    RemoveReference,
    UndoDecision,
)
from immich_facesets.review.finding import find_items
from immich_facesets.spaces import OperatingPoints
from service.files.references import ReferenceFolder
from service.moderation.decisions import carried_pictures, import_lines, open_pictures
from service.moderation.references import References, tidy_references
from service.passes.context import PassContext
from service.passes.embed_references import embed_references
from service.progress import ProgressBoard
from service.reports.library import library_reads
from service.reports.library.known_figures import KnownFigures
from service.reports.library.proposals import Proposals
from service.settings import Settings
from service.store import identities, moderation, reference_pictures
from service.store import tables as t
from service.store.browsing.identity_faces import faces_by_column
from service.store.browsing.identity_lists import IdentityFilter, identity_page
from service.store.browsing.kept import Kept
from service.store.browsing.review_page import review_page
from service.store.browsing.slices import Slice
from service.store.database import Store, migrate, open_engine
from service.store.decision_imports import preview_import
from service.store.face_tables import face_table
from service.store.faces import read_library
from service.store.folders import stored_sources
from service.store.kept_answers import Key
from service.store.references import AddedReference, references_of
from service.store.review_items import stored_queue, write_queue
from service.store.runs import census
from service.web.library.identities import FacesQuery, NearestQuery, PageQuery
from service.web.library.proposals import SimilarQuery
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

    def ask(self) -> None:
        """Compute the review queue anew, as a grouping does."""
        before = self.scene.store.read_now(stored_queue)
        found = find_items(
            self.library.plan().report,
            self.scene.store.read_now(face_table, RECIPE.space, INFO.dimension),
            self.scene.store.read_now(identities.all_memberships),
            points=OperatingPoints(),
            settled=before.settled,
            stored=before.items,
            references=before.references,
        )
        self.scene.store.write_now(write_queue, found)

    def context(self) -> PassContext:
        """The context of a sync over the same store and folder."""
        settings = Settings(data_dir=self.folder.path.parent)
        return PassContext(self.scene.store, settings, ProgressBoard(), asyncio.Event(), lambda: NOON)

    def files(self) -> set[str]:
        return {path.suffix for path in self.folder.path.rglob("*") if path.is_file()}

    def count(self) -> int:
        return len([path for path in self.folder.path.rglob("*") if path.is_file()])


def vectors_of(tx: Connection, reference: int) -> dict[str, bytes]:
    """The vector of a reference picture in each space."""
    mine = t.reference_vectors.c.reference_id == reference
    return {row.space: row.vector for row in tx.execute(select(t.reference_vectors).where(mine))}


@asynccontextmanager
async def referring(store: Store, folder: Path, embedder: FakeEmbedder | None = None) -> AsyncIterator[ReferenceScene]:
    async with identifying(store, embedder=embedder) as scene:
        kept = ReferenceFolder(folder / "references")
        references = References(store, scene.settings, scene.pool, kept, scene.identify.rival, lambda: NOON)
        yield ReferenceScene(scene, references, kept)


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("has_rival", [True, False])
async def test_a_preview_says_what_adding_does_and_keeps_nothing(
    store: Store, tmp_path: Path, *, is_new: bool, has_rival: bool
) -> None:
    async with referring(store, tmp_path) as at:
        person = NewPerson(label="Zoe") if is_new else at.scene.number(BEN)
        picture = picture_of(ANNA) if has_rival else picture_of(ZOE)
        before = (at.library.records(), store.read_now(reference_pictures.all_pictures))
        seen = await at.references.preview(picture, person)
        assert (at.library.records(), store.read_now(reference_pictures.all_pictures)) == before
        assert (at.count(), store.read_now(review_page, Slice(9)).total) == (0, 0)
        done = await at.add(picture, person)
        assert (seen.known, seen.identity, seen.rival) == (None, done.identity, done.rival)
        assert (seen.done.kinds, seen.done.effect) == (done.done.kinds, done.done.effect)
        assert (seen.done.decisions, done.rival is not None) == ((), has_rival)
        again = await at.references.preview(picture, done.identity)
        assert (again.known, again.done.kinds) == (done.reference, ())


async def test_a_preview_refuses_what_adding_refuses(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        with pytest.raises(RequestError, match="has this name"):
            await at.references.preview(picture_of(ZOE), NewPerson(label="anna"))
        with pytest.raises(RequestError, match="there is no identity 99"):
            await at.references.preview(picture_of(ZOE), 99)
        with pytest.raises(SeveralFacesError):
            await at.references.preview(picture_of(ANNA, ZOE), at.scene.number(BEN))
        await at.add(picture_of(ANNA), at.scene.number(ANNA))
        with pytest.raises(RequestError, match="already"):
            await at.references.preview(picture_of(ANNA), at.scene.number(BEN))
        number = (await at.add(picture_of(ZOE), NewPerson(label="Zoe"))).identity
        at.library.decide(ForgetPerson(identity=number, confirm=number), by=Author("anna", "command"))
        with pytest.raises(RequestError, match="was erased"):
            await at.references.preview(picture_of(ZOE), at.scene.number(ANNA))


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


async def test_similar_faces_are_proposed_before_the_next_sync(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        names = at.library.add(ZOE, count=2)
        at.library.group()
        number = (await at.add(picture_of(ZOE), NewPerson(label="Zoe"))).identity
        proposals = Proposals(store, Settings(), KnownFigures(store))
        found = await proposals.similar(number)
        assert {one.face_id for one in found} == {at.library.face(name) for name in names}
        assert all(one.is_clear for one in found)
        await at.remove(1)
        assert await proposals.similar(number) == ()


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
        reads = library_reads(store, at.context().settings, ProgressBoard())
        (shown,) = (await reads.references(other.identity)).references
        assert shown.original == f"/api/references/{other.reference}/original"
        assert await reads.reference_original(other.reference) == picture_of(ZOE, ANNA)
        assert await reads.reference_original(1) is None, "not kept"
        await at.remove(other.reference)
        assert at.count() == 2
        assert await reads.reference_original(other.reference) is None


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
        (asked,) = store.read_now(review_page, Slice(9)).page.items
        assert (asked.item.reference, asked.item.identities) == (done.reference, (done.identity,))


@pytest.mark.parametrize("is_put_off", [False, True])
async def test_a_question_about_a_picture_is_asked_again_when_its_answer_is_taken_back(
    store: Store, tmp_path: Path, *, is_put_off: bool
) -> None:
    async with referring(store, tmp_path) as at:
        done = await at.add(picture_of(ANNA), NewPerson(label="Zoe"))
        (before,) = store.read_now(review_page, Slice(9)).page.items
        later = PutOff(identity=done.identity, other=done.rival, seen=before.item.seen)
        answer = later if is_put_off else AssignReference(reference=done.reference, identity=at.scene.number(ANNA))
        made = at.library.decide(answer)
        assert store.read_now(review_page, Slice(9)).total == 0
        at.library.decide(UndoDecision(decision=made.decisions[0]))
        assert store.read_now(review_page, Slice(9)).page.items == (before,)


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


async def test_a_grouping_keeps_the_question_with_fresh_evidence_and_a_merge_renews_it(
    store: Store, tmp_path: Path
) -> None:
    async with referring(store, tmp_path) as at:
        anna, ben = at.scene.number(ANNA), at.scene.number(BEN)
        done = await at.add(picture_of(ANNA), ben)
        for _ in range(2):
            at.ask()
            (queued,) = store.read_now(review_page, Slice(9), "reference").page.items
            assert (queued.item.reference, queued.item.identities) == (done.reference, (ben, anna))
            assert queued.item.faces == (4, 4)
            assert [len(faces) for faces in queued.item.evidence or ()] == [4, 4]
        at.library.decide(MergePeople(numbers=(ben,), into=anna, label="Anna"))
        (merged,) = store.read_now(review_page, Slice(9), "reference").page.items
        assert merged.item.identities == (anna,)
        at.ask()
        (queued,) = store.read_now(review_page, Slice(9), "reference").page.items
        assert queued.item.identities == (anna,)
        seen = PutOff(identity=anna, seen=queued.item.seen)
        at.library.decide(seen)
        at.ask()
        assert store.read_now(review_page, Slice(9), "reference").total == 0, "put off until there is more to see"


async def test_a_picture_is_counted_and_listed_nowhere(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        anna = at.scene.number(ANNA)

        def seen() -> list[object]:
            page = store.read_now(identity_page, IdentityFilter(), "number", Slice(50), Kept())
            faces = store.read_now(faces_by_column, FaceSelection(identity=anna), "time", Slice(50), Kept())
            library = repr(store.read_now(read_library, RECIPE.space))
            return [store.read_now(census), page.page, page.total, faces, library, store.read_now(stored_sources)]

        before = seen()
        await at.add(picture_of(ANNA), anna)
        await at.add(picture_of(ZOE), NewPerson(label="Zoe"))
        at.library.group()
        assert seen() == before


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


async def test_a_picture_is_embedded_again_for_another_model_from_what_is_kept(store: Store, tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    async with referring(store, tmp_path, embedder) as at:
        done = await at.add(picture_of(ZOE), NewPerson(label="Zoe"))
        before = store.read_now(vectors_of, done.reference)
        embedder.space = "another"
        await at.scene.pool.open()
        await embed_references(at.context(), at.scene.pool)
        after = store.read_now(vectors_of, done.reference)
        assert after.keys() == {RECIPE.space, "another"}
        assert (after[RECIPE.space], after["another"] != after[RECIPE.space]) == (before[RECIPE.space], True)
        assert store.read_now(reference_pictures.waiting_pictures, "another") == []
        asked = len(embedder.asked)
        await embed_references(at.context(), at.scene.pool)
        assert len(embedder.asked) == asked, "nothing is done twice"


async def test_a_lost_file_stops_no_sync(store: Store, tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    async with referring(store, tmp_path, embedder) as at:
        await at.add(picture_of(ZOE), NewPerson(label="Zoe"))
        shutil.rmtree(at.folder.path)
        embedder.space = "another"
        await at.scene.pool.open()
        with structlog.testing.capture_logs() as lines:
            await embed_references(at.context(), at.scene.pool)
        assert [line.get("reason") for line in lines] == ["lost"]


async def test_a_forgotten_person_leaves_no_picture_and_does_not_come_back(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        number = (await at.add(picture_of(ZOE), NewPerson(label="Zoe"))).identity
        asked = await at.add(picture_of(ZOE, 5), at.scene.number(ANNA), box=Box(0, 100, 300, 400))
        assert asked.rival == number
        await at.add(picture_of(BEN), at.scene.number(BEN))
        nobody_says = Author("anna", "command")
        done = at.library.decide(ForgetPerson(identity=number, confirm=number), by=nobody_says)
        assert done.erased is not None
        assert done.erased.references == 2
        await tidy_references(store, at.folder)
        assert at.count() == 2, "Ben's"
        assert store.read_now(review_page, Slice(9)).total == 0
        assert await at.scene.verdicts(ZOE, BEN) == [("nobody", None), ("known", at.scene.number(BEN))]
        assert not [one for one in at.library.records() if isinstance(one.decision, Label)]
        with pytest.raises(RequestError, match="was erased") as refused:
            await at.add(picture_of(ZOE), at.scene.number(ANNA))
        assert refused.value.status == 410
        assert at.count() == 2


async def test_an_export_of_decisions_carries_the_pictures_to_another_installation(
    store: Store, tmp_path: Path
) -> None:
    async with referring(store, tmp_path) as at:
        number = (await at.add(picture_of(ZOE), NewPerson(label="Zoe"))).identity
        pictures = await carried_pictures(store, at.folder)
        lines = from_lines(b"".join(to_lines(at.library.records(), pictures)))
        engine = open_engine(f"sqlite:///{tmp_path / 'there.db'}")
        migrate(engine)
        there = Store(engine)
        library_of(there)
        elsewhere = replace(
            at,
            scene=replace(at.scene, library=Moderated(there)),
            folder=ReferenceFolder(tmp_path / "there" / "references"),
        )
        for added in (2, 0):
            done = await import_lines(there, elsewhere.folder, lines, NOON)
            assert (done.added, done.renumbered) == (added, ())
            assert elsewhere.count() == 1
        (one,) = there.read_now(references_of, number)
        assert (one.is_open, one.is_used, one.picture.aligned) == (False, False, None)
        await at.scene.pool.open()
        await embed_references(elsewhere.context(), at.scene.pool)
        (one,) = there.read_now(references_of, number)
        assert (one.is_used, elsewhere.count()) == (True, 2)
        assert there.read_now(vectors_of, one.reference_id) == store.read_now(vectors_of, 1)
        assert there.read_now(identities.labels)[number] == "Zoe"
        there.close()


async def test_an_export_carries_open_pictures_and_originals_to_another_installation(
    store: Store, tmp_path: Path
) -> None:
    async with referring(store, tmp_path) as at:
        anna, ben = at.scene.number(ANNA), at.scene.number(BEN)
        new = await at.add(picture_of(ANNA), NewPerson(label="Zoe"), keeps_original=True)
        await at.add(picture_of(BEN), ben, keeps_original=True)
        pictures = await carried_pictures(store, at.folder, has_originals=True)
        content = b"".join(
            (*to_lines(at.library.records(), pictures), *open_lines(await open_pictures(store, pictures)))
        )
        engine = open_engine(f"sqlite:///{tmp_path / 'there.db'}")
        migrate(engine)
        there, folder = Store(engine), ReferenceFolder(tmp_path / "there" / "references")
        library_of(there)
        lines, undecided = from_lines(content), open_pictures_in(content)
        assert there.read_now(preview_import, lines, undecided).open_pictures == 1
        for count in (1, 0):
            done = await import_lines(there, folder, lines, NOON, undecided)
            assert done.open_pictures == count
        (one,) = there.read_now(references_of, anna)
        assert (one.identity, one.rival, one.is_open) == (new.identity, anna, True)
        (asked,) = there.read_now(review_page, Slice(9)).page.items
        assert (asked.item.reference, asked.item.identities) == (one.reference_id, (new.identity, anna))
        for number, who in ((anna, ANNA), (ben, BEN)):
            (one,) = there.read_now(references_of, number)
            assert one.picture.original is not None
            assert folder.read(one.picture.original) == picture_of(who)
        removed = there.write_now(moderation.decide, [RemoveReference(reference=asked.item.reference or 0)], BY, NOON)
        assert removed.kinds == ("reference",)
        assert (await import_lines(there, folder, lines, NOON, undecided)).open_pictures == 0, "it was answered here"
        there.close()


async def test_an_open_picture_of_a_person_who_was_forgotten_is_not_taken_in(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        number = (await at.add(picture_of(ZOE), NewPerson(label="Zoe"))).identity
        asked = await at.add(picture_of(ZOE, 5), at.scene.number(ANNA), box=Box(0, 100, 300, 400))
        undecided = await open_pictures(store, await carried_pictures(store, at.folder))
        assert [one.sent_for for one in undecided] == [asked.identity]
        at.library.decide(ForgetPerson(identity=number, confirm=number), by=Author("anna", "command"))
        done = await import_lines(store, at.folder, [], NOON, undecided)
        assert (done.open_pictures, at.count()) == (0, 0)


async def test_a_line_with_another_original_than_its_face_is_refused(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        await at.add(picture_of(ANNA), NewPerson(label="Zoe"), keeps_original=True)
        await at.add(picture_of(BEN), at.scene.number(BEN), keeps_original=True)
        pictures = await carried_pictures(store, at.folder, has_originals=True)
        other = {digest: replace_struct(one, original=b"another") for digest, one in pictures.items()}
        with pytest.raises(RequestError, match="line 2 has another reference picture"):
            from_lines(b"".join(to_lines(at.library.records(), other)))
        with pytest.raises(RequestError, match="line 1 has another original"):
            open_pictures_in(b"".join(open_lines(await open_pictures(store, other))))
        with pytest.raises(RequestError, match="line 2 is no open picture"):
            open_pictures_in(b'\n{"version": 1, "open_picture": {}}\n')


async def test_a_line_with_another_picture_than_its_decision_is_refused(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        await at.add(picture_of(ZOE), NewPerson(label="Zoe"))
        pictures = await carried_pictures(store, at.folder)
        swapped = {digest: CarriedPicture(area=one.area, image=b"another") for digest, one in pictures.items()}
        with pytest.raises(RequestError, match="line 2 has another reference picture"):
            from_lines(b"".join(to_lines(at.library.records(), swapped)))


async def test_the_same_request_is_done_once_and_the_same_picture_too(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        anna, key = at.scene.number(ANNA), Key("a key", "digest")
        first = await at.add(picture_of(ANNA), anna, key=key)
        assert await at.add(picture_of(ANNA), anna, key=key) == first
        again = await at.add(picture_of(ANNA), anna)
        assert (again.reference, again.done.decisions) == (first.reference, ())
        with pytest.raises(RequestError, match=f"of person {anna}"):
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


async def test_a_person_without_faces_is_shown_by_number(store: Store, tmp_path: Path) -> None:
    async with referring(store, tmp_path) as at:
        number = (await at.add(picture_of(ZOE), NewPerson(label="Zoe"))).identity
        reads = library_reads(store, at.context().settings, ProgressBoard())
        found = await reads.identity(number)
        assert found is not None
        assert (found.identity.label, found.identity.faces, found.why_not_exported) == ("Zoe", 0, "no_faces")
        assert (await reads.faces(number, FacesQuery())).faces == ()
        for part in (reads.nearest(number, NearestQuery()), reads.similar(number, SimilarQuery()), reads.parts(number)):
            await part
        (one,) = (await reads.references(number)).references
        assert (one.state, one.id) == ("used", 1)
        assert await reads.reference_picture(one.display.rpartition("/")[2]) is not None
        assert [made.kind for made in (await reads.history(number, PageQuery())).decisions] == ["reference", "label"]
