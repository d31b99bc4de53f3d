"""A face set as it would be now, on the pages that decide about it; and the switches of programs."""

import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from browsed_pages import browsed_scene, filled, members
from web_scene import BEARER, HTML, Scene, visit

from immich_facesets.errors import SetupError
from immich_facesets.facesets.faceset import Reason
from service.store.database import Store
from service.web import examples
from service.web.library.facesets import PlannedSet, PlannedSetQuery
from service.web.library.identities import MadeDecision
from service.web.pages.export_words import REASON_WORDS, reason_words
from service.web.pages.wording import decision_words

__all__ = ["filled"]
BROWSER = {**BEARER, **HTML}
PLAN = examples.PLANNED_SET
SETS = "/people/3/sets"


def scene_with(planned: PlannedSet | None = PLAN, made: str = "for_sets", profiles: str = "fsz,kohya,xmp") -> Scene:
    """A scene with this plan, in which every decision is of this kind."""
    scene, one = Scene(), examples.DECISIONS.decisions[0]
    setting = msgspec.structs.replace(
        examples.SETTINGS.settings[0], name="FACESETS_EXPORT_PROFILES", value=profiles, is_secret=False
    )

    async def plan(_: int, query: PlannedSetQuery) -> PlannedSet:
        if planned is None:
            raise SetupError("nothing was grouped yet")
        return msgspec.structs.replace(planned, era=query.era)

    async def decision(_: int) -> MadeDecision:
        return msgspec.structs.replace(
            one, kind=made, body={"identity": 3, "faces": [{}], "is_on": True}, is_undone=False
        )

    async def settings() -> object:
        return msgspec.structs.replace(examples.SETTINGS, settings=(setting,))

    scene.library = replace(scene.library, planned_set=plan, decision=decision, settings=settings)  # type: ignore[arg-type]
    return scene


async def page_of(scene: Scene, path: str) -> str:
    async with visit(scene) as client, client.get(path, headers=BROWSER) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


async def test_the_face_sets_of_a_person_show_what_comes_in_and_goes_out() -> None:
    page = await page_of(scene_with(), SETS)
    told = text_of(page)
    for phrase in (
        "Written now, the face set changes",
        "45 faces before, 45 then, 2 of them included by hand",
        "1 face comes in",
        "1 face goes out",
        "1 included face cannot be in it with another face",
        "1 picture gets a second look",
    ):
        assert phrase in told, phrase
    assert 'name="back" value="/people/3/sets"' in page


async def test_a_face_set_that_stays_as_it_is_says_so() -> None:
    same = msgspec.structs.replace(PLAN, coming=0, going=0, comes_in=(), goes_out=(), refused=())
    told = text_of(await page_of(scene_with(same), SETS))
    assert "Written now, the face set stays as it is: 45 faces, 2 of them included by hand." in told
    assert "Write now" in told, "other forms and eras may change"


async def test_each_era_has_a_plan_of_its_own() -> None:
    page = await page_of(scene_with(), SETS)
    assert re.findall(r'href="/people/3/sets(\?era=\w+)?"[^>]*>(All years|Around 20\d\d)<', page) == [
        ("", "All years"),
        ("?era=2011", "Around 2011"),
        ("?era=2015", "Around 2015"),
    ]
    page = await page_of(scene_with(), f"{SETS}?era=2015")
    assert "Around 2015: written now, the face set changes" in text_of(page)
    assert 'name="back" value="/people/3/sets?era=2015"' in page
    alone = msgspec.structs.replace(PLAN, eras=(), is_thin=True)
    told = await page_of(scene_with(alone), SETS)
    assert "planned-eras" not in told
    assert "With so few faces it is kept apart" in text_of(told)
    assert "?era=2015" not in await page_of(scene_with(), "/people/3?done=17"), "after a decision all years are shown"


async def test_the_button_writes_the_face_sets_of_this_person_alone() -> None:
    scene = scene_with()
    page = await page_of(scene, SETS)
    assert page.count(">Write now</button>") == 1
    assert 'name="person" value="3"' in page
    async with visit(scene) as client:
        for fields, status in (({"person": "3"}, 303), ({"person": "three"}, 400), ({"person": "9" * 30}, 400)):
            form = {"back": SETS, **fields}
            async with client.post("/facesets", headers=BROWSER, data=form, allow_redirects=False) as answer:
                assert answer.status == status, await answer.text()
    assert (scene.wishes, scene.people_to_write) == ([("export", None)], frozenset({3}))


@pytest.mark.parametrize("kind", ["is_stranger", "is_never_exported"])
async def test_who_is_never_written_has_no_plan_and_no_button(kind: str) -> None:
    scene, found = scene_with(), examples.IDENTITY
    found = msgspec.structs.replace(found, is_stranger=kind == "is_stranger")
    is_barred = kind == "is_never_exported"
    found = msgspec.structs.replace(
        found, identity=msgspec.structs.replace(found.identity, is_never_exported=is_barred)
    )

    async def identity(_: int) -> object:
        return found

    scene.library = replace(scene.library, identity=identity)  # type: ignore[arg-type]
    page = await page_of(scene, SETS)
    assert "Write now" not in page
    assert "Written now" not in page


async def test_a_job_writes_some_people_and_refuses_those_who_cannot_be_written() -> None:
    scene, anna = scene_with(), examples.IDENTITY

    async def identity(number: int) -> object:
        found = msgspec.structs.replace(anna.identity, number=number, is_never_exported=number == 4)
        return None if number == 5 else msgspec.structs.replace(anna, identity=found)

    scene.library = replace(scene.library, identity=identity)  # type: ignore[arg-type]
    async with visit(scene) as client:
        for people, status in (([3, 4], 409), ([5], 404), ([0], 400), ([3, 6], 202)):
            body = {"kind": "export", "people": people}
            async with client.post("/api/jobs", headers=BEARER, json=body) as answer:
                assert answer.status == status, await answer.text()
    assert (scene.wishes, scene.people_to_write) == ([("export", None)], frozenset({3, 6}))


async def test_a_job_for_a_number_that_was_merged_names_the_other(filled: Store, tmp_path: Path) -> None:
    async with visit(browsed_scene(filled, tmp_path)) as client:
        form = {"back": "/people", "action": "merge", "numbers": "7", "into": "2", "is_seen": "true"}
        async with client.post("/decide", headers=BROWSER, data=form, allow_redirects=False) as answer:
            assert answer.status == 303, await answer.text()
        async with client.post("/api/jobs", headers=BEARER, json={"kind": "export", "people": [7]}) as answer:
            assert answer.status == 404, await answer.text()
            assert "identity 7 was merged: it is identity 2 now" in await answer.text()


async def test_before_the_first_grouping_nothing_is_planned() -> None:
    assert "Written now" not in text_of(await page_of(scene_with(None), SETS))


@pytest.mark.parametrize("path", ["/people/3", "/faces/512", "/facesets/faceset_003/left-out"])
async def test_a_page_shows_the_face_set_after_a_decision_about_it_alone(path: str) -> None:
    assert "Write now" in text_of(await page_of(scene_with(), f"{path}?done=17"))
    assert "Write now" in text_of(await page_of(scene_with(made="not_for_sets"), f"{path}?done=17.1"))
    assert "Write now" not in text_of(await page_of(scene_with(made="confirm"), f"{path}?done=17"))
    assert "Write now" not in text_of(await page_of(scene_with(), path))


async def test_a_long_plan_leads_to_the_whole_of_it() -> None:
    long = msgspec.structs.replace(PLAN, coming=40, comes_in=PLAN.comes_in * 40)
    page = await page_of(scene_with(long), "/people/3?done=17")
    assert '<a href="/people/3/sets#planned">and 34 more</a>' in page
    assert "more</a>" not in await page_of(scene_with(long), SETS)


async def test_each_program_that_is_written_has_a_switch() -> None:
    scene = scene_with()
    anna = msgspec.structs.replace(examples.IDENTITY, profiles_off=("xmp", "frigate"))

    async def identity(_: int) -> object:
        return anna

    scene.library = replace(scene.library, identity=identity)  # type: ignore[arg-type]
    page = await page_of(scene, SETS)
    switches = dict(re.findall(r'name="(o[nf]f?)" value="(\w+)"', page))
    assert switches == {"off": "kohya", "on": "xmp"}
    assert "Frigate is off, and not written for anybody now" in text_of(page)
    assert "Written for 2 of 2 other programs" in text_of(await page_of(scene, "/facesets"))
    assert "Written for these programs" not in await page_of(scene_with(profiles="fsz"), SETS)


def test_every_reason_of_a_face_set_has_words_for_a_person() -> None:
    assert {str(reason) for reason in Reason} <= REASON_WORDS.keys()
    told = reason_words(Reason.NO_CROP)
    assert "too small" not in told.words
    assert "nothing was cut" in told.sentence


def test_decisions_about_face_sets_have_words_of_their_own() -> None:
    def words(kind: str, **body: object) -> str:
        made = msgspec.structs.replace(examples.DECISIONS.decisions[0], kind=kind, body={"identity": 3, **body})
        return decision_words(made, {3: "Anna"})

    assert words("for_sets", faces=[{}], is_on=True) == "1 face included in the face sets of Anna"
    assert words("for_sets", faces=[{}], is_on=False) == "1 face not included by hand any more"
    assert words("profiles", off=["kohya", "xmp"]) == "Not written of Anna: LoRA folders, Photo programs"
    assert words("profiles", off=[]) == "Every form is written of Anna"


async def test_a_face_says_that_it_was_included_until_it_is_of_somebody_else(filled: Store, tmp_path: Path) -> None:
    face = members(filled, 3)[0]
    async with visit(browsed_scene(filled, tmp_path)) as client:

        async def submit(**fields: str) -> None:
            form = {"back": f"/faces/{face}", **fields}
            async with client.post("/decide", headers=BROWSER, data=form, allow_redirects=False) as answer:
                assert answer.status == 303, await answer.text()

        async def told() -> str:
            async with client.get(f"/api/faces/{face}", headers=BEARER) as answer:
                return str((await answer.json())["for_sets"])

        assert await told() == ""
        await submit(action="for_sets", faces=str(face), identity="3")
        assert await told() == "included"
        await submit(action="not_for_sets", faces=str(face))
        assert await told() == "left_out"
        await submit(action="for_sets", faces=str(face))
        await submit(action="move", faces=str(face), into="7")
        assert await told() == ""
        await submit(action="for_sets", faces=str(face))
        await submit(action="merge", numbers="7", into="2", is_seen="true")
        assert await told() == "included", "a merge takes it along"
        await submit(action="for_sets", faces=str(face), is_on="false")
        assert await told() == ""
        await submit(action="profiles", identity="2", off="kohya")
        async with client.get("/api/identities/2", headers=BEARER) as answer:
            assert (await answer.json())["profiles_off"] == ["kohya"]
