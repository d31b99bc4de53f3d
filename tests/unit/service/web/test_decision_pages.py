"""Decisions by forms of pages, without scripts, on a real database: what is done, and what is asked first."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from browsed_pages import ask_whether_members, browsed_scene, filled, members
from counted_statements import counted_statements
from web_scene import BEARER, HTML, Scene, visit

from immich_facesets.moderation.requests import KeepTwoApart, RejectFaces
from service.store.database import Store
from service.web.pages.decision_forms import DecisionForm

__all__ = ["filled"]

BROWSER = {**BEARER, **HTML}
Fields = list[tuple[str, str]]


@asynccontextmanager
async def browsing(store: Store, folder: Path) -> AsyncIterator["Browser"]:
    async with visit(browsed_scene(store, folder)) as client:
        yield Browser(client)


class Browser:
    """A browser without scripts."""

    def __init__(self, client: ClientSession) -> None:
        self.client = client

    async def page(self, path: str) -> str:
        async with self.client.get(path, headers=BROWSER) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.text()

    async def submit(self, *fields: tuple[str, str], back: str = "/people") -> tuple[int, str]:
        """Submit a form, follow the way back, and return the first status and the page."""
        form = [*fields, ("back", back)]
        async with self.client.post("/decide", data=form, headers=BROWSER, allow_redirects=False) as answer:
            if answer.status != 303:
                return answer.status, await answer.text()
            return 303, await self.page(answer.headers["Location"])

    async def told(self, path: str) -> Any:
        async with self.client.get(f"/api/{path}", headers=BEARER) as answer:
            return await answer.json()

    async def decisions(self) -> list[str]:
        return [one["kind"] for one in (await self.told("decisions"))["decisions"]]


def forms(page: str) -> dict[str, Fields]:
    """The forms of a question: the title of each button, with the hidden fields that go with it."""
    found: dict[str, Fields] = {}
    for form in re.findall(r'<form method="post" action="/decide" data-live>(.*?)</form>', page, re.DOTALL):
        fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form)
        (title,) = re.findall(r"<button[^>]*>(.*?)</button>", form)
        found[html.unescape(title)] = [(name, html.unescape(value)) for name, value in fields if name != "back"]
    return found


def toast(page: str) -> str:
    (found,) = re.findall(r'<div class="toast"[^>]*>(.*?)</div>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found).split())


def question(page: str) -> str:
    (section,) = re.findall(r"<section[^>]*data-question[^>]*>(.*?)</section>", page, re.DOTALL)
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", section).split()))


async def test_a_name_is_given_and_taken_back(filled: Store, tmp_path: Path) -> None:
    async with browsing(filled, tmp_path) as browser:
        status, page = await browser.submit(("action", "label"), ("identity", "7"), ("label", "Zoe"))
        assert (status, toast(page)) == (303, "Named Zoe Undo")
        assert (await browser.told("identities/7"))["identity"]["label"] == "Zoe"
        undo = forms(page)["Undo"]
        status, page = await browser.submit(*undo)
        assert (status, toast(page)) == (303, "Undone: Named Zoe Redo")
        assert (await browser.told("identities/7"))["identity"]["label"] is None
        made = (await browser.told("decisions"))["decisions"]
        assert {one["made_from"] for one in made} == {"page"}
        status, page = await browser.submit(*forms(page)["Redo"])
        assert (status, toast(page)) == (303, "Done again: Named Zoe Undo")
        assert (await browser.told("identities/7"))["identity"]["label"] == "Zoe"


async def test_an_undo_that_takes_the_person_of_the_page_away_leads_to_all_people(
    filled: Store, tmp_path: Path
) -> None:
    faces = [("faces", str(face)) for face in members(filled, 3)[:4]]
    async with browsing(filled, tmp_path) as browser:
        status, page = await browser.submit(("action", "split"), ("identity", "3"), *faces, back="/people/3")
        (new,) = re.findall(r"became person (\d+)", toast(page))
        assert "administrator, on a page" in await browser.page(f"/people/{new}/history")
        status, page = await browser.submit(
            *forms(await browser.page("/people?done=1"))["Undo"], back=f"/people/{new}/history?limit=5"
        )
        assert status == 303
        assert "<title>People" in page
        assert toast(page) == f"Undone: 4 faces of person 3 became person {new} Redo"


async def test_the_same_form_is_done_once(filled: Store, tmp_path: Path) -> None:
    fields = [("action", "lock"), ("identity", "3"), ("key", "a")]
    async with browsing(filled, tmp_path) as browser:
        first, second = await browser.submit(*fields), await browser.submit(*fields)
        other = await browser.submit(("action", "lock"), ("identity", "4"), ("key", "a"))
        assert [first[0], second[0], other[0]] == [303, 303, 303]
        assert await browser.decisions() == ["lock", "lock"]


async def test_a_taken_name_asks_whether_it_is_the_same_person(filled: Store, tmp_path: Path) -> None:
    fields = [("action", "label"), ("identity", "7"), ("label", "person 2"), ("key", "a")]
    async with browsing(filled, tmp_path) as browser:
        status, page = await browser.submit(*fields)
        assert status == 409
        assert question(page).startswith("Person 2 is there already Person 2 25 faces Person 7 3 faces")
        assert await browser.decisions() == []
        choices = forms(page)
        namesake = await browser.submit(*choices["Another person with this name"])
        assert toast(namesake[1]) == "Named person 2 Undo"
        await browser.submit(*forms(namesake[1])["Undo"])
        shown = await browser.submit(*choices["The same person: merge into Person 2 (2)"])
        merged = await browser.submit(*forms(shown[1])["Merge into Person 2"])
        assert toast(merged[1]) == "Person 7 and Person 2 are one person Undo"
        assert (await browser.told("identities/2"))["identity"]["faces"] == 28


async def test_a_merge_shows_its_result_first_and_the_named_one_stays(filled: Store, tmp_path: Path) -> None:
    async with browsing(filled, tmp_path) as browser:
        status, page = await browser.submit(("action", "merge"), ("numbers", "7"), ("numbers", "2"))
        assert status == 200
        assert "Person 7 becomes part of Person 2. Person 2 gets 3 faces, and has 28 then." in question(page)
        assert await browser.decisions() == []
        status, page = await browser.submit(*forms(page)["Merge into Person 2"])
        assert (status, toast(page)) == (303, "Person 7 and Person 2 are one person Undo")
        async with browser.client.get("/people/7", headers=BROWSER, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/people/2")


async def test_two_who_are_seen_together_become_one_person_only_in_a_mirror(filled: Store, tmp_path: Path) -> None:
    async with browsing(filled, tmp_path) as browser:
        together = (await browser.told("identities/3/together"))["identities"]
        other, pictures = next((one["number"], one["pictures"]) for one in together if one["number"] > 3)
        asked = (("action", "merge"), ("numbers", str(other)), ("into", "3"))
        status, page = await browser.submit(*asked)
        assert status == 409
        assert question(page).startswith("Two faces in one picture")
        assert ("One picture holds" if pictures == 1 else f"{pictures} pictures hold") in question(page)
        assert page.count('="A face of these pictures') == min(6, 2 * pictures)
        assert await browser.decisions() == []
        status, page = await browser.submit(*forms(page)["A mirror or a collage: allow it there"])
        assert (status, await browser.decisions()) == (200, [])
        (merge,) = forms(page).values()
        status, page = await browser.submit(*merge)
        assert status == 303
        assert sorted(await browser.decisions()) == ["allow_together", "merge"]


async def test_a_merge_of_two_names_asks_for_one(filled: Store, tmp_path: Path) -> None:
    async with browsing(filled, tmp_path) as browser:
        _, page = await browser.submit(("action", "merge"), ("numbers", "6"), ("numbers", "8"))
        assert set(forms(page)) == {"Merge as Person 6", "Merge as Person 8"}
        await browser.submit(*forms(page)["Merge as Person 8"])
        assert (await browser.told("identities/6"))["identity"]["label"] == "Person 8"


async def test_a_locked_person_changes_after_a_question_alone(filled: Store, tmp_path: Path) -> None:
    face = str(members(filled, 3)[0])
    async with browsing(filled, tmp_path) as browser:
        await browser.submit(("action", "lock"), ("identity", "3"))
        status, page = await browser.submit(("action", "reject"), ("faces", face))
        assert (status, await browser.decisions()) == (423, ["lock"])
        status, page = await browser.submit(*forms(page)["Change it nevertheless"])
        assert (status, toast(page)) == (303, "1 face no longer person 3 Undo")


async def test_two_tabs_cannot_overwrite_each_other(filled: Store, tmp_path: Path) -> None:
    async with browsing(filled, tmp_path) as browser:
        (seen,) = set(re.findall(r'name="etag" value="([^"]+)"', await browser.page("/people/7")))
        await browser.submit(("action", "label"), ("identity", "7"), ("label", "Zoe"), ("etag", seen))
        status, page = await browser.submit(("action", "label"), ("identity", "7"), ("label", "Eva"), ("etag", seen))
        assert status == 412
        assert "Zoe is not as this page showed it. The latest decision: Named Zoe." in question(page)
        assert (await browser.told("identities/7"))["identity"]["label"] == "Zoe"
        await browser.submit(*forms(page)["Do it nevertheless"])
        assert (await browser.told("identities/7"))["identity"]["label"] == "Eva"


async def test_faces_move_to_somebody_by_name(filled: Store, tmp_path: Path) -> None:
    one, two, three = map(str, members(filled, 3)[:3])
    async with browsing(filled, tmp_path) as browser:
        status, page = await browser.submit(("action", "move"), ("faces", one), ("into_name", " PERSON 2 "))
        assert (status, toast(page)) == (303, "1 face moved to Person 2 Undo")
        status, page = await browser.submit(("action", "move"), ("faces", two), ("into_name", "#7"))
        assert (status, toast(page)) == (303, "1 face moved to person 7 Undo")
        status, page = await browser.submit(("action", "move"), ("faces", three), ("into_name", "Zoe"))
        assert (status, question(page)) == (200, "Nobody is called Zoe Make a new person Change nothing")
        status, page = await browser.submit(*forms(page)["Make a new person"])
        found = await browser.told(f"faces/{three}")
        assert (status, found["label"]) == (303, "Zoe")
        await browser.submit(*forms(page)["Undo"])
        assert (await browser.told(f"faces/{three}"))["face"]["identity"] == 3, "both decisions are taken back"


async def test_one_of_several_namesakes_is_chosen(filled: Store, tmp_path: Path) -> None:
    face = str(members(filled, 3)[0])
    async with browsing(filled, tmp_path) as browser:
        await browser.submit(("action", "label"), ("identity", "7"), ("label", "Person 2"), ("is_namesake", "true"))
        _, page = await browser.submit(("action", "move"), ("faces", face), ("into_name", "Person 2"))
        assert set(forms(page)) == {"Person 2 (2)", "Person 2 (7)"}
        _, page = await browser.submit(*forms(page)["Person 2 (7)"])
        assert (await browser.told(f"faces/{face}"))["face"]["identity"] == 7


@pytest.mark.parametrize("path", ["/people", "/people/3", "/people/3/similar", "/faces/512"])
async def test_every_button_of_a_page_asks_for_what_it_says(path: str) -> None:
    async with visit(Scene()) as client, client.get(path, headers=BROWSER) as answer:
        page = await answer.text()
    found = re.findall(r'<form class="(?:bar|face-decisions)".*?</form>', page, re.DOTALL)
    (form,) = found
    hidden = [
        (name, html.unescape(value))
        for name, value in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form)
    ]
    actions = set(re.findall(r'name="action" value="(\w+)"', form))
    assert len(actions) > 2
    chosen = [("numbers", "3"), ("into", "4")] if path == "/people" else [("faces", "512")]
    for action in sorted(actions):
        (request,) = DecisionForm([*hidden, *chosen, ("action", action), ("into_name", "")]).requests()
        assert request.__struct_config__.tag == action


async def test_a_move_without_a_name_is_refused(filled: Store, tmp_path: Path) -> None:
    face = str(members(filled, 3)[0])
    async with browsing(filled, tmp_path) as browser:
        status, page = await browser.submit(("action", "move"), ("faces", face), ("into_name", " "))
        assert (status, "Say who it is" in page) == (400, True)
        assert await browser.decisions() == []


async def test_an_answer_of_the_review_about_a_locked_person_is_made_after_the_question(
    filled: Store, tmp_path: Path
) -> None:
    requests = msgspec.json.encode([RejectFaces(faces=(members(filled, 1)[0],), identity=1)]).decode()
    async with browsing(filled, tmp_path) as browser:
        status, page = await browser.submit(("requests", requests), back="/review")
        assert status == 423
        status, page = await browser.submit(*forms(page)["Change it nevertheless"], back="/review")
        assert (status, toast(page)) == (303, "1 face no longer person 1 Undo")


async def test_several_people_are_ignored_in_one_step(filled: Store, tmp_path: Path) -> None:
    async with browsing(filled, tmp_path) as browser:
        _, page = await browser.submit(("action", "ignore"), ("numbers", "5"), ("numbers", "7"))
        assert toast(page) == "Person 5 ignored as a stranger, and 1 more Undo"
        assert await browser.decisions() == ["ignore", "ignore"]
        await browser.submit(*forms(page)["Undo"])
        assert (await browser.told("identities/7"))["is_stranger"] is False


async def test_faces_of_a_persons_page_are_ignored_and_not_the_person(filled: Store, tmp_path: Path) -> None:
    face = str(members(filled, 3)[0])
    async with browsing(filled, tmp_path) as browser:
        await browser.submit(("action", "ignore"), ("identity", "3"), ("faces", face))
        assert (await browser.told("identities/3"))["is_stranger"] is False
        assert (await browser.told(f"faces/{face}"))["face"]["identity"] is None


async def test_a_selection_is_decided_only_as_it_was_counted(filled: Store, tmp_path: Path) -> None:
    async with browsing(filled, tmp_path) as browser:
        page = await browser.page("/people/1?farther_than=0.1&sort=distance")
        (count,) = re.findall(r'name="select.count" value="(\d+)"', page)
        fields = [("action", "not_for_sets"), ("select.identity", "1"), ("select.farther_than", "0.1")]
        status, _ = await browser.submit(*fields, ("select.count", str(int(count) + 1)))
        assert (status, await browser.decisions()) == (409, [])
        status, page = await browser.submit(*fields, ("select.count", count))
        faces = "1 face" if count == "1" else f"{count} faces"
        assert (status, toast(page)) == (303, f"{faces} left out of face sets Undo")


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("action", "dance")],
        [("action", "reject")],
        [("action", "reject"), ("faces", "x")],
        [("action", "cover"), ("faces", "1"), ("faces", "2")],
        [("action", "merge"), ("numbers", "2")],
        [("requests", "{}")],
        [("requests", "[]")],
        [("requests", '[{"action": "lock", "identity": 3}]' + " " * 3000), ("action", "lock")],
    ],
)
async def test_a_form_that_asks_for_nothing_is_refused(filled: Store, tmp_path: Path, fields: Fields) -> None:
    async with browsing(filled, tmp_path) as browser:
        status, page = await browser.submit(*fields)
        expected = 303 if fields and fields[0][1].startswith('[{"action"') else 400
        assert status == expected, page


async def test_a_question_of_the_review_is_answered_by_its_form(filled: Store, tmp_path: Path) -> None:
    requests = msgspec.json.encode([KeepTwoApart(identity=1, other=2)]).decode()
    async with browsing(filled, tmp_path) as browser:
        status, page = await browser.submit(("requests", requests), ("key", "k"), back="/review")
        assert (status, toast(page)) == (303, "Person 1 and Person 2 are two people Undo")


@pytest.mark.parametrize("back", ["//elsewhere.example/", "https://elsewhere.example/", "people", "/a/../../b", "/\\x"])
async def test_the_way_back_stays_here(filled: Store, tmp_path: Path, back: str) -> None:
    async with browsing(filled, tmp_path) as browser:
        form = [("action", "lock"), ("identity", "3"), ("back", back)]
        async with browser.client.post("/decide", data=form, headers=BROWSER, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"].partition("?")[0]) == (303, "/")


async def test_a_form_names_as_many_faces_as_a_part_of_a_person_has(filled: Store, tmp_path: Path) -> None:
    faces = [("faces", str(number)) for number in members(filled, 3)[:5]]
    async with browsing(filled, tmp_path) as browser:
        absent = [("faces", str(10**9 + number)) for number in range(20_000)]
        status, page = await browser.submit(("action", "split"), *faces, *absent)
        assert (status, "1000000000" in page) == (404, True), "the size of a form refuses nobody"
        status, page = await browser.submit(("action", "split"), *faces)
        assert (status, toast(page)) == (303, "5 faces of person 3 became person 9 Undo")


async def test_the_list_of_people_is_filtered_and_goes_on(filled: Store, tmp_path: Path) -> None:
    async with browsing(filled, tmp_path) as browser:
        page = await browser.page("/people?limit=3&sort=number&show=unnamed")
        shown = re.findall(r'id="person-(\d+)"', page)
        (following,) = re.findall(r'href="([^"]+)" data-more', page)
        more = re.findall(r'id="person-(\d+)"', await browser.page(html.unescape(following)))
        every = await browser.told("identities?named=false&sort=number")
        empty = await browser.page("/people?q=nosuchname")
    assert [*shown, *more] == [str(one["number"]) for one in every["identities"]][: len(shown) + len(more)]
    assert len(shown) == 3
    assert more
    assert "Nobody is like that" in empty


async def test_a_year_of_a_person_leads_to_its_faces(filled: Store, tmp_path: Path) -> None:
    async with browsing(filled, tmp_path) as browser:
        page = await browser.page("/people/1")
        years = re.findall(r'<a href="([^"]*taken_since=(\d+)[^"]*)"><title>\d+: (\d+) face', page)
        for address, year, count in years:
            shown = await browser.page(html.unescape(address))
            assert f"{count} face{'s' if count != '1' else ''} of {year}" in " ".join(shown.split())
    assert years


async def test_there_is_nothing_at_other_numbers(filled: Store, tmp_path: Path) -> None:
    async with browsing(filled, tmp_path) as browser:
        for path in ("/people/999", "/people/0", "/people/x", "/faces/99999", "/people/999/history", "/people/1/x"):
            async with browser.client.get(path, headers=BROWSER) as answer:
                assert answer.status == 404, path


async def test_a_page_asks_the_database_as_often_for_many_entries_as_for_few(filled: Store, tmp_path: Path) -> None:
    ask_whether_members(filled, 3, 20)
    async with browsing(filled, tmp_path) as browser:
        for path, few, many in (
            ("/people", "?limit=1", "?limit=200"),
            ("/people/1", "?limit=1", "?limit=200"),
            ("/review", "?limit=1", "?limit=50"),
        ):
            await browser.page(path + many)  # what is kept from then on is read once
            counts = []
            for query in (few, many):
                with counted_statements(filled) as sent:
                    await browser.page(path + query)
                counts.append(len(sent))
            assert counts[0] == counts[1], (path, counts)


async def test_the_page_of_people_counts_no_pictures_of_sources(filled: Store, tmp_path: Path) -> None:
    async with browsing(filled, tmp_path) as browser:
        with counted_statements(filled) as sent:
            page = await browser.page("/people")
    assert "<option>scans</option>" in page
    assert not [statement for statement in sent if "is_wanted" in statement]
