"""The pages of a person's eras: those in force, the comparison with a new split, and changes by hand."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from invented_reads import MERGED, SURVIVOR
from web_scene import BEARER, HTML, Scene, visit

from immich_facesets.eras import EraChange, MergeEras, RenameEra, SplitEras
from immich_facesets.errors import RequestError
from immich_facesets.moderation.records import Author
from service.web import examples
from service.web.library.eras import EraProbe, EraQuestion
from service.web.library.identities import ErasAnswer
from service.web.pages import era_charts
from service.web.pages.wording import decision_words, era_title

BROWSER = {**BEARER, **HTML}
(ERA,) = examples.ERAS.eras
TWO = ErasAnswer(eras=(msgspec.structs.replace(ERA, name="school", from_year=1996, to_year=1999, faces=24), ERA))


def always(answer: Any) -> Callable[..., Awaitable[Any]]:
    async def call(*_: object) -> Any:
        return answer

    return call


def scene_with(**reads: Any) -> Scene:
    scene = Scene()
    scene.library = replace(scene.library, **{name: always(answer) for name, answer in reads.items()})
    return scene


def noted(scene: Scene) -> list[tuple[int, EraQuestion]]:
    """The changes that the pages of a scene ask for."""
    made: list[tuple[int, EraQuestion]] = []

    async def make(number: int, question: EraQuestion, _: Author) -> Any:
        made.append((number, question))
        return msgspec.structs.replace(examples.ERA_PLAN, decision=17)

    scene.eras = replace(scene.eras, make=make)
    return made


async def page_of(scene: Scene, path: str) -> str:
    async with visit(scene) as client, client.get(path, headers=BROWSER) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


async def test_the_eras_in_force_have_years_faces_examples_and_forms() -> None:
    page = await page_of(scene_with(eras=TWO), "/people/3/eras")
    told = text_of(page)
    for phrase in (
        "Around 2011",
        "2009\N{EN DASH}2014",
        "88 faces",
        "3 undated, placed by looks",
        "school",
        "300 faces in no era",
    ):
        assert phrase in told, phrase
    assert page.count('name="action" value="rename"') == 2
    assert page.count('id="into-') == 2
    assert 'aria-current="page">Eras</a>' in page
    assert "taken_since=2009&amp;taken_before=2015" in page


async def test_one_era_cannot_be_merged_and_eras_by_age_can_be_renamed_alone() -> None:
    assert 'id="into-' not in await page_of(Scene(), "/people/3/eras")
    by_age = ErasAnswer(eras=tuple(msgspec.structs.replace(era, kind="ages") for era in TWO.eras))
    page = await page_of(scene_with(eras=by_age), "/people/3/eras")
    assert page.count('name="action" value="rename"') == 2
    assert 'id="into-' not in page
    assert "FACESETS_ERA_AGES" in page


async def test_who_has_no_eras_is_told_when_somebody_has_some() -> None:
    page = await page_of(scene_with(eras=ErasAnswer(eras=())), "/people/3/eras")
    assert "Anna has no eras" in page
    assert 'href="/people/3/eras/compare"' in page


async def test_the_comparison_shows_distances_groups_and_what_would_change() -> None:
    page = await page_of(Scene(), "/people/3/eras/compare")
    told = text_of(page)
    for phrase in (
        "can be sorted by age",
        "412 faces may be exported, 390 of them with a date",
        "24 faces would move",
        "24 of no era",
    ):
        assert phrase in told, phrase
    assert page.count('class="other"') == len(examples.ERA_PROBE.between)
    assert 'name="version" value="5b1d"' in page
    assert 'aria-current="page">Eras</a>' in page


async def test_many_faces_are_compared_on_request_only() -> None:
    large = msgspec.structs.replace(
        examples.IDENTITY, identity=msgspec.structs.replace(examples.IDENTITY.identity, faces=20_000)
    )
    scene = scene_with(identity=large)
    page = await page_of(scene, "/people/3/eras/compare")
    assert "To compare 20,000 faces" in page
    assert "can be sorted" in await page_of(scene, "/people/3/eras/compare?all=true")


async def test_nothing_to_change_and_nobody_to_compare_are_said() -> None:
    scene = Scene()
    scene.eras = replace(scene.eras, plan=always(msgspec.structs.replace(examples.ERA_PLAN, is_done=True)))
    assert "A new split changes nothing" in await page_of(scene, "/people/3/eras/compare")

    async def nobody(_: int) -> EraProbe:
        raise RequestError("there is no identity 3 that may be exported", status=404)

    scene.eras = replace(scene.eras, probe=nobody)
    assert "nothing to sort into eras" in await page_of(scene, "/people/3/eras/compare")


@pytest.mark.parametrize(
    ("fields", "change", "version"),
    [
        ([("action", "split"), ("version", "5b1d")], SplitEras(), "5b1d"),
        (
            [("action", "rename"), ("era", "2011"), ("name", "School time")],
            RenameEra(era="2011", name="School time"),
            None,
        ),
        (
            [
                ("action", "merge"),
                ("eras", "1998"),
                ("eras", "2003"),
                ("into", "2011"),
                ("is_seen", "true"),
                ("version", "x"),
            ],
            MergeEras(eras=("1998", "2003"), into="2011"),
            "x",
        ),
    ],
)
async def test_a_change_is_made_and_leads_back(
    fields: list[tuple[str, str]], change: EraChange, version: str | None
) -> None:
    scene = Scene()
    made = noted(scene)
    async with visit(scene) as client, client.post("/people/3/eras", data=fields, headers=BROWSER) as answer:
        assert answer.url.path_qs == "/people/3/eras?done=17"
        page = await answer.text()
    assert "The face sets follow with the next sync." in page
    toast = page.partition('id="toast"')[2].partition("</form>")[0]
    assert 'data-key="u">Undo' in toast
    assert dict(re.findall(r'name="([^"]+)" value="([^"]*)"', toast)).items() >= {
        ("action", "undo"),
        ("decision", "17"),
        ("back", "/people/3/eras"),
    }
    assert made == [(3, EraQuestion(change=change, version=version))]


async def test_a_merge_shows_its_result_first() -> None:
    scene = Scene()
    made = noted(scene)
    fields = {"action": "merge", "eras": "1998", "into": "2011"}
    async with visit(scene) as client, client.post("/people/3/eras", data=fields, headers=BROWSER) as answer:
        page = await answer.text()
    assert made == []
    assert "Make these eras of Anna one?" in page
    assert dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.partition("data-question")[2])) == {
        **fields,
        "is_seen": "true",
        "version": "5b1d",
    }


@pytest.mark.parametrize(
    "fields", [{}, {"action": "sell"}, {"action": "rename", "era": "2011"}, {"action": "merge", "into": "x"}]
)
async def test_a_form_that_asks_for_no_change_is_refused(fields: dict[str, str]) -> None:
    scene = Scene()
    made = noted(scene)
    async with visit(scene) as client, client.post("/people/3/eras", data=fields, headers=BROWSER) as answer:
        assert answer.status == 400
    assert made == []


async def test_a_merged_number_leads_to_the_eras_of_the_other() -> None:
    async with visit(Scene()) as client, client.get(f"/people/{MERGED}/eras", headers=BROWSER) as answer:
        assert answer.url.path == f"/people/{SURVIVOR}/eras"


async def test_the_api_makes_a_change_once_under_its_key() -> None:
    scene = Scene()
    made = noted(scene)
    body = {"change": {"action": "rename", "era": "2011", "name": "School"}}
    async with visit(scene) as client:
        async with client.post("/api/identities/3/eras", json=body, headers=BEARER) as answer:
            assert (answer.status, (await answer.json())["version"]) == (200, "5b1d")
        async with client.post("/api/identities/3/eras/preview", json=body, headers=BEARER) as answer:
            assert answer.status == 200
        wrong = {"change": {"action": "rename", "era": "2011"}}
        async with client.post("/api/identities/3/eras", json=wrong, headers=BEARER) as answer:
            assert answer.status == 400
            assert "name" in (await answer.json())["detail"]
    assert made == [(3, EraQuestion(change=RenameEra(era="2011", name="School")))]


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("2011", "Around 2011"),
        ("2011_2", "Around 2011 (2)"),
        ("undated", "undated"),
        ("age_03_05", "Age 3\N{EN DASH}5"),
        ("age_05_05", "Age 5"),
        ("School", "School"),
    ],
)
def test_a_year_is_a_title_too(name: str, title: str) -> None:
    assert era_title(name) == title


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"change": "rename", "eras": ["2011"], "name": "School"}, "The era around 2011 of Anna is called School"),
        (
            {"change": "rename", "eras": ["age_03_05"], "name": "Small"},
            "The era age 3\N{EN DASH}5 of Anna is called Small",
        ),
        (
            {"change": "merge", "eras": ["1998", "Sea"], "name": "2011"},
            "The eras around 1998 and Sea of Anna became part of around 2011",
        ),
        ({"change": "split"}, "The eras of Anna split anew"),
    ],
)
def test_a_change_is_told_in_words(body: dict[str, Any], words: str) -> None:
    made = msgspec.structs.replace(examples.DECISIONS.decisions[0], kind="eras", body={"identity": 3, **body})
    assert decision_words(made, {3: "Anna"}) == words


def test_charts_of_nothing_have_no_bars_and_no_division_by_nothing() -> None:
    nothing = msgspec.structs.replace(examples.ERA_PROBE, faces=0, within=(), between=(), cuts=())
    assert era_charts.pair_chart(nothing).bars == ()
    assert era_charts.group_charts(nothing) == ()
    assert era_charts.year_colours(nothing) == ()


def test_the_bar_of_a_distance_is_as_wide_as_all_its_faces() -> None:
    (row,) = era_charts.group_charts(msgspec.structs.replace(examples.ERA_PROBE, faces=112))
    assert sum(bar.width for bar in row.bars) == pytest.approx(era_charts.WHOLE)
    assert [bar.x for bar in row.bars] == [0, row.bars[0].width]
    assert len({bar.colour for bar in row.bars}) == 2


async def test_the_pages_have_no_inline_script_or_style() -> None:
    for path in ("/people/3/eras", "/people/3/eras/compare"):
        page = await page_of(scene_with(eras=TWO), path)
        assert "<style" not in page, path
        assert " style=" not in page, path
        assert re.search(r"\son\w+=", page) is None, path
