"""Reference pictures on the page of their person."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from web_scene import BEARER, HTML, Scene, visit

from service.web import examples
from service.web.library.faces import FacesAnswer
from service.web.library.identities import IdentityAnswer
from service.web.library.references import ReferencesAnswer
from service.web.library.service import JobsAnswer, JobsQuery
from service.web.pages.kept_references import standing_of

PICTURE = examples.REFERENCES.references[0]
SYNC = msgspec.structs.replace(examples.JOBS.jobs[0], kind="incremental", outcome="done", started_at=PICTURE.made_at)
BEFORE = msgspec.structs.replace(SYNC, started_at=PICTURE.made_at - timedelta(minutes=1))
AFTER = msgspec.structs.replace(SYNC, started_at=PICTURE.made_at + timedelta(minutes=1))


async def page_with(jobs: Any, *pictures: Any, faces: int = 1) -> str:
    async def references(_: int) -> ReferencesAnswer:
        return ReferencesAnswer(references=pictures)

    async def listed(query: JobsQuery) -> JobsAnswer:
        return JobsAnswer(jobs=jobs[: query.limit])

    async def identity(_: int) -> IdentityAnswer:
        return msgspec.structs.replace(
            examples.IDENTITY, identity=msgspec.structs.replace(examples.IDENTITY.identity, faces=faces)
        )

    async def face_page(*_: object) -> FacesAnswer:
        return examples.FACES if faces else FacesAnswer(total=0, faces=(), next=None)

    scene = Scene()
    scene.library = replace(scene.library, references=references, jobs=listed, identity=identity, faces=face_page)
    async with visit(scene) as client, client.get("/people/3", headers={**BEARER, **HTML}) as answer:
        assert answer.status == 200
        return await answer.text()


async def test_a_picture_that_no_sync_has_read_is_said_to_wait() -> None:
    page = await page_with((BEFORE,), PICTURE)
    assert "1 reference picture waits for the next sync." in page
    assert f'src="{PICTURE.display}"' in page
    assert "2 reference pictures wait for the next sync." in await page_with((), PICTURE, PICTURE)
    assert "1 reference picture is in use." in await page_with((AFTER, BEFORE), PICTURE)


async def test_many_exports_after_the_sync_change_nothing() -> None:
    exports = (msgspec.structs.replace(AFTER, kind="export"),) * 100
    assert "1 reference picture is in use." in await page_with((*exports, AFTER), PICTURE)


async def test_pictures_that_a_review_asks_about_lead_there() -> None:
    asked = msgspec.structs.replace(PICTURE, state="asked")
    page = await page_with((AFTER,), asked, PICTURE)
    assert '/review?kind=reference">1 reference picture is asked about in the review</a>.' in page
    assert "1 reference picture is in use." in page


async def test_a_person_without_faces_has_no_charts_and_a_word_of_what_comes() -> None:
    page = await page_with((), PICTURE, faces=0)
    assert "Likeness" not in page
    assert "No face is known now." in page
    assert "A sync</a> finds faces that look like a reference picture." in page
    assert "Likeness" in await page_with((), PICTURE)


async def test_nothing_stands_there_without_a_reference_picture() -> None:
    assert "eference picture" not in await page_with(())


@pytest.mark.parametrize(
    "job",
    [
        BEFORE,
        msgspec.structs.replace(AFTER, kind="export"),
        msgspec.structs.replace(AFTER, outcome="outage"),
        msgspec.structs.replace(AFTER, outcome=None),
    ],
)
def test_only_a_sync_that_began_later_and_ended_well_has_read_a_picture(job: Any) -> None:
    assert standing_of(PICTURE, (job,)) == "waiting"
    assert standing_of(PICTURE, (job, AFTER)) == "used"
    assert standing_of(msgspec.structs.replace(PICTURE, state="waiting"), (AFTER,)) == "waiting"
