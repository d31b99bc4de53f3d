"""People, faces and the review queue in a real Chromium: keys, dialogs, conflicts, and moments without a connection."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin

import pytest
from browsed_pages import ask_whether_members, browsed_scene, filled, members, served
from chromium import BROWSER_TESTS, CONTRASTS, Visitor, chromium, visitor
from web_scene import ANY_PORT, BEARER

from service.store.database import Store
from service.web.library.identities import IdentitiesAnswer, IdentitiesQuery
from service.web.server import serve_web

axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
playwright_api = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

from playwright.async_api import Page, Route, expect  # noqa: E402  after the skip

__all__ = ["filled"]
pytestmark = BROWSER_TESTS

AXE = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
PAGES = ("/people", "/people/3", "/people/3/history", "/people/3/sets", "/people/3/forget", "/review", "/faces/1")
SERIOUS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .filter(({impact}) => impact === "serious" || impact === "critical")
  .map(({id, nodes}) => `${id}: ${nodes.map(({html}) => html.slice(0, 120)).join(" | ")}`)"""


async def signed_in(guest: Visitor, address: object, path: str) -> Page:
    await guest.log_in(f"http://{address}/login")
    await guest.page.goto(f"http://{address}{path}")
    return guest.page


async def decisions(page: Page) -> list[str]:
    answer = await page.request.get(urljoin(page.url, "/api/decisions"), headers=BEARER)
    return [one["kind"] for one in (await answer.json())["decisions"]]


async def test_pictures_change_their_size_where_the_browser_keeps_nothing(filled: Store, tmp_path: Path) -> None:
    refused = (
        """Object.defineProperty(window, "localStorage", {get() { throw new DOMException("no", "SecurityError"); }})"""
    )
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        await guest.page.add_init_script(refused)
        page = await signed_in(guest, listen, "/people/3")
        await page.get_by_role("button", name="Larger faces").click()
        await expect(page.locator("html")).to_have_attribute("data-size", "large")
        assert guest.complaints == []


async def test_people_are_named_one_after_the_other_by_keyboard(filled: Store, tmp_path: Path) -> None:
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/people")
        await page.locator("[data-naming] input[name=label]").first.focus()
        for name in ("Zoe", "Kim", "Uma"):
            await page.keyboard.type(name)
            await page.keyboard.press("Enter")
        for name in ("Zoe", "Kim", "Uma"):
            await expect(page.get_by_role("link", name=name, exact=True).first).to_be_visible()
        await expect(page.locator("#toast")).to_contain_text("Named Uma")
        last = page.locator("[data-naming] input[name=label]").first
        await expect(last).to_be_focused()
        await page.keyboard.type("Zo")
        await expect(last).to_have_value("Zoe")
        await page.keyboard.press("Tab")
        await expect(last).to_be_focused()
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("Zoe is there already")
        await dialog.get_by_role("button", name="Another person with this name").click()
        await expect(page.get_by_role("link", name="Zoe", exact=True)).to_have_count(4)  # a cover and a name each
        await page.keyboard.press("Escape")
        await page.keyboard.press("u")
        await expect(page.locator("#toast")).to_contain_text("Undone: Named Zoe")
        assert [text for text in guest.complaints if "409" not in text] == []


@pytest.mark.slow
async def test_names_that_are_typed_faster_than_they_are_answered_are_all_shown(filled: Store, tmp_path: Path) -> None:
    scene, pauses = browsed_scene(filled, tmp_path), list[float]()
    identities = scene.library.identities

    async def read_and_wait(query: IdentitiesQuery) -> IdentitiesAnswer:
        pause = pauses.pop(0) if pauses and not query.q else 0.0  # others propose names
        found = await identities(query)
        await asyncio.sleep(pause)
        return found

    scene.library = replace(scene.library, identities=read_and_wait)
    async with serve_web(scene.context(), ANY_PORT) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/people")
        pauses += [0.9, 0.4, 0.0]
        await page.locator("[data-naming] input[name=label]").first.focus()
        for name in ("Zoe", "Kim", "Uma"):
            await page.keyboard.type(name)
            await page.keyboard.press("Enter")
        await expect(page.locator("#toast")).to_contain_text("Named Uma")
        await asyncio.sleep(1.0)  # an older answer would come now
        for name in ("Zoe", "Kim", "Uma"):
            await expect(page.get_by_role("link", name=name, exact=True).first).to_be_visible()
        assert pauses == []
        assert guest.complaints == []


async def test_people_are_merged_and_parted_again_by_keyboard(filled: Store, tmp_path: Path) -> None:
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/people?sort=number")
        for number in (2, 7):
            await page.locator(f"#person-{number} a.cover").focus()
            await page.keyboard.press("s")
        await expect(page.locator(".chosen")).to_have_text("2 chosen")
        await page.keyboard.press("m")
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("Person 7 becomes part of Person 2")
        assert await decisions(page) == []
        await dialog.get_by_role("button", name="Merge into Person 2").click()
        await expect(page.locator("#person-7")).to_have_count(0)
        await expect(dialog).to_have_count(0)
        await page.keyboard.press("u")
        await expect(page.locator("#person-7")).to_be_visible()
        assert guest.complaints == []


async def test_faces_are_looked_at_and_rejected_by_one_key_and_the_place_is_kept(filled: Store, tmp_path: Path) -> None:
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/people/3?sort=distance")
        order = await page.locator("[data-face]").evaluate_all("all => all.map((one) => one.id)")
        for _ in range(3):
            await page.keyboard.press("ArrowRight")
        await page.keyboard.press("Space")
        await expect(page.get_by_role("dialog").get_by_role("img", name="The whole picture")).to_be_visible()
        await page.keyboard.press("Space")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await page.keyboard.press("Shift+ArrowRight")
        await expect(page.locator(".chosen")).to_have_text("2 chosen")
        before = await page.evaluate("scrollY")
        await page.keyboard.press("n")
        await expect(page.locator("#toast")).to_contain_text("2 faces no longer person 3")
        assert await page.locator("[data-face]").count() == len(order) - 2
        assert await page.evaluate("scrollY") == before
        await page.keyboard.press("u")
        await expect(page.locator("[data-face]")).to_have_count(len(order))
        assert guest.complaints == []


async def test_twenty_questions_are_answered_by_keyboard_while_each_next_card_is_there_at_once(
    filled: Store, tmp_path: Path
) -> None:
    ask_whether_members(filled, 3, 22)
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/review")
        await expect(page.locator("#left")).to_have_text("22 questions")
        for place in range(20):
            shown = page.locator("[data-card]").first
            await expect(shown).to_be_visible()
            card = await shown.get_attribute("id")
            await page.keyboard.press("yn"[place % 2])
            now = await page.evaluate("document.querySelector('[data-card]')?.id ?? null")
            assert now != card, "the next card is there before the answer"
        await expect(page.locator("#settled")).to_contain_text("20 answered")
        await expect(page.locator("#toast")).to_contain_text("no longer person 3")
        await expect(page.locator("#left")).to_have_text("2 questions")
        made = await decisions(page)
        assert (made.count("confirm"), made.count("reject")) == (10, 10)
        await page.keyboard.press("l")
        await page.keyboard.press("s")
        await expect(page.locator("#left")).to_have_text("1 question")
        await page.keyboard.press("u")
        await expect(page.locator("#left")).to_have_text("2 questions")
        assert guest.complaints == []


async def test_a_decision_in_an_offline_moment_is_made_once(filled: Store, tmp_path: Path) -> None:
    ask_whether_members(filled, 3, 3)
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/review")
        await page.context.set_offline(True)
        await page.keyboard.press("n")
        await expect(page.locator("#toast")).to_contain_text("No connection")
        await page.context.set_offline(False)
        await expect(page.locator("#toast")).to_contain_text("1 face no longer person 3")
        assert await decisions(page) == ["reject"]


@pytest.mark.slow
async def test_an_answer_that_was_lost_on_the_way_is_not_made_twice(filled: Store, tmp_path: Path) -> None:
    ask_whether_members(filled, 3, 3)
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/review")
        lost: list[str] = []

        async def lose(route: Route) -> None:
            if lost:
                await route.continue_()
                return
            lost.append(route.request.url)
            await route.fetch(max_redirects=0)  # the service has decided, and its answer does not arrive
            await route.abort("connectionreset")

        await page.route("**/decide", lose)
        await page.keyboard.press("n")
        await expect(page.locator("#toast")).to_contain_text("1 face no longer person 3", timeout=15_000)
        assert lost
        assert await decisions(page) == ["reject"]


@pytest.mark.slow
async def test_two_tabs_in_conflict_ask(filled: Store, tmp_path: Path) -> None:
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/people/7")
        other = await page.context.new_page()
        await other.goto(f"http://{listen}/people/7")
        await other.get_by_label("Name", exact=True).fill("Zoe")
        await other.keyboard.press("Enter")
        await expect(other.locator("#toast")).to_contain_text("Named Zoe")
        await page.get_by_label("Name", exact=True).fill("Eva")
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("Zoe is not as this page showed it")
        await dialog.get_by_role("link", name="Change nothing").click()
        assert await decisions(page) == ["label"]


@pytest.mark.slow
async def test_a_decision_that_leads_to_another_page_does_not_ask_whether_to_leave(
    filled: Store, tmp_path: Path
) -> None:
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/people/8")
        await page.get_by_label("Name", exact=True).fill("Zoe")
        await page.keyboard.press("Enter")
        await expect(page.locator("#toast")).to_contain_text("Named Zoe")
        await page.goto(f"http://{listen}/people/7")
        asked = list[str]()
        page.on("dialog", lambda dialog: asked.append(dialog.type))
        page.on("dialog", lambda dialog: dialog.accept())
        await page.get_by_label("Name", exact=True).fill("Zoe")
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button").filter(has_text="same person").click()
        await dialog.get_by_role("button").filter(has_text="Merge").click()
        await expect(page).to_have_url(re.compile(r"/people/8\b"))
        assert asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/people/3",
        *(pytest.param(path, marks=pytest.mark.slow) for path in ("/people?sort=number", "/review", "/faces/1")),
    ],
)
async def test_every_key_of_a_page_does_something(filled: Store, tmp_path: Path, path: str) -> None:
    ask_whether_members(filled, 3, 14)
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, path)
        script = "all => [...new Set(all.filter((one) => one.checkVisibility()).map((one) => one.dataset.key))]"
        await page.locator("[data-grid] > li a").first.focus() if await page.locator("[data-grid]").count() else None
        keys = await page.locator("[data-key]").evaluate_all(script)
        assert len(keys) > 4
        pressed: list[str] = []
        for key in keys:
            await page.goto(f"http://{listen}{path}")
            grid = page.locator("[data-grid] > li a")
            if await grid.count():
                await grid.last.focus()
            state = "[document.activeElement.outerHTML, location.href, document.documentElement.outerHTML].join()"
            if key not in await page.locator("[data-key]").evaluate_all(script):
                continue  # what was decided by the keys before took it away
            pressed.append(key)
            before = await page.evaluate(state)
            for part in key.split(" "):
                await page.keyboard.press({"space": "Space"}.get(part, part))
            await page.wait_for_function(f"before => {state} !== before", arg=before, timeout=5_000)
        await page.goto(f"http://{listen}{path}")
        await page.keyboard.press("?")
        shown = await page.get_by_role("dialog").locator("kbd").all_inner_texts()
        assert {"?", "g p"} <= set(shown)
        assert len(pressed) > len(keys) / 2


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
async def test_pages_are_accessible_and_fit_any_screen(filled: Store, tmp_path: Path, scheme: str) -> None:
    ask_whether_members(filled, 3, 2)
    async with (
        served(filled, tmp_path) as listen,
        chromium() as browser,
        visitor(browser, scheme=scheme) as guest,
    ):
        for path in PAGES:
            page = await signed_in(guest, listen, path) if path == PAGES[0] else guest.page
            await page.goto(f"http://{listen}{path}")
            await page.evaluate(f"() => {{ {AXE} }}")
            assert await page.evaluate(SERIOUS) == [], path
            for width in (320, 640, 1280):  # 640: as with a zoom of 200 %
                await page.set_viewport_size({"width": width, "height": 800})
                assert await page.evaluate("document.documentElement.scrollWidth") <= width, (
                    path,
                    width,
                    await page.evaluate(
                        "(w) => [...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > w + 1).map(e => e.outerHTML.slice(0, 90))",
                        width,
                    ),
                )
            assert await page.evaluate(CONTRASTS) == [], path
        assert guest.complaints == []


@pytest.mark.slow
async def test_single_decisions_work_without_scripts(filled: Store, tmp_path: Path) -> None:
    ask_whether_members(filled, 3, 2)
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser, scripts=False) as guest:
        page = await signed_in(guest, listen, "/people/3")
        face = members(filled, 3)[-1]
        await page.locator(f"#face-{face} input").check()
        await page.get_by_role("button", name="Not this person", exact=True).click()
        await expect(page.get_by_text("1 face no longer person 3")).to_be_visible()
        await page.get_by_role("button", name="Undo").click()
        await expect(page.locator(f"#face-{face}")).to_be_visible()
        await page.goto(f"http://{listen}/review")
        await page.get_by_role("button", name="No", exact=True).first.click()
        await expect(page.get_by_text("1 question", exact=True)).to_be_visible()


@pytest.mark.slow
async def test_a_thumb_is_enough_for_the_review(filled: Store, tmp_path: Path) -> None:
    ask_whether_members(filled, 3, 3)
    swipe = """([by]) => {
      const card = document.querySelector("[data-card]");
      const touch = (x) => new Touch({identifier: 1, target: card, clientX: x, clientY: 300});
      card.dispatchEvent(new TouchEvent("touchstart", {touches: [touch(200)], bubbles: true}));
      card.dispatchEvent(new TouchEvent("touchend", {changedTouches: [touch(200 + by)], bubbles: true}));
    }"""
    async with (
        served(filled, tmp_path) as listen,
        chromium() as browser,
        visitor(browser, width=390, touch=True) as guest,
    ):
        page = await signed_in(guest, listen, "/review")
        for by, words in ((120, "confirmed"), (-120, "no longer")):
            await page.evaluate(swipe, [by])
            await expect(page.locator("#toast")).to_contain_text(words)
        await page.evaluate(swipe, [40])
        await expect(page.locator("#left")).to_have_text("1 question")
        assert json.dumps(await decisions(page)) == '["reject", "confirm"]'


@pytest.mark.slow
async def test_an_answer_after_the_session_has_ended_is_asked_again(filled: Store, tmp_path: Path) -> None:
    ask_whether_members(filled, 3, 3)
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/review")
        card = await page.locator("[data-card]").first.get_attribute("id")
        await page.context.clear_cookies()
        await page.keyboard.press("n")
        await expect(page.locator("#toast")).to_contain_text("You are logged out, and this is not done")
        await expect(page.locator(f"#{card}")).to_be_visible()
        await expect(page.get_by_label("Token")).to_be_visible()
        assert await decisions(page) == []


@pytest.mark.slow
async def test_one_question_follows_another_and_keys_work_after_escape(filled: Store, tmp_path: Path) -> None:
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/people/3")
        dialog = page.get_by_role("dialog")
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("m")
        await expect(page.locator("#selection input[name=into_name]")).to_be_focused()
        await page.keyboard.type("Person 1")
        await page.keyboard.press("Enter")
        await expect(dialog).to_contain_text("Nobody is called Person 1")
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await page.locator("#selection input[name=into_name]").fill("#1")
        await page.keyboard.press("Enter")
        await expect(dialog).to_contain_text("This person is locked")
        await dialog.get_by_role("button", name="Change it nevertheless").click()
        await expect(page.locator("#toast")).to_contain_text("1 face moved to person 1")
        await expect(dialog).to_have_count(0)
        await page.locator("h2").first.click()
        await page.keyboard.press("?")
        await expect(dialog).to_contain_text("These keys")
        await page.keyboard.press("Escape")
        await page.keyboard.press("o")
        await expect(page.locator("details.menu")).to_have_attribute("open", "")
        await page.keyboard.press("u")
        await expect(page.locator("#toast")).to_contain_text("Undone: 1 face moved to person 1")
        assert [text for text in guest.complaints if "423" not in text] == []


@pytest.mark.slow
async def test_a_name_that_is_typed_whole_is_not_completed(filled: Store, tmp_path: Path) -> None:
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/people")
        inputs = page.locator("[data-naming] input[name=label]")
        await inputs.first.focus()
        for name in ("Annabel", "Ann"):
            await page.keyboard.type(name)
            await page.keyboard.press("Enter")
            await expect(page.locator("#toast")).to_contain_text(f"Named {name}")
        async with page.expect_response(lambda answer: "q=Ann&" in answer.url) as asked:
            await page.keyboard.type("Ann", delay=80)
        await (await asked.value).finished()
        await page.evaluate("() => new Promise((done) => setTimeout(done, 100))")
        await expect(page.locator("*:focus")).to_have_value("Ann")
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("Ann is there already")
        await dialog.get_by_text("Change nothing").click()
        await expect(page.locator("[data-naming] input[name=label]").first).to_have_value("")


@pytest.mark.slow
async def test_people_that_were_loaded_while_scrolling_are_named_and_merged_in_place(
    filled: Store, tmp_path: Path
) -> None:
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/people?limit=2&sort=number")
        people = page.locator("[data-grid] > li")
        await expect(people).to_have_count(8)
        await page.locator("#person-7 input[name=label]").fill("Zoe")
        await page.locator("#person-7 input[name=label]").press("Enter")
        await expect(page.locator("#person-7 .name")).to_have_text("Zoe")
        await expect(people).to_have_count(8)
        for number in (6, 8):
            await page.locator(f"#person-{number} .pick input").check()
        await page.keyboard.press("m")
        await page.get_by_role("button", name="Merge as Person 6").click()
        await expect(page.locator("#person-8")).to_have_count(0)
        await expect(page.locator("#person-1")).to_be_visible()
        await expect(page.locator(".chosen")).not_to_contain_text("chosen")
        assert guest.complaints == []


@pytest.mark.slow
async def test_a_face_above_the_bar_is_chosen_by_a_click(filled: Store, tmp_path: Path) -> None:
    async with served(filled, tmp_path) as listen, chromium() as browser, visitor(browser, width=700) as guest:
        page = await signed_in(guest, listen, "/people/3?limit=60")
        box = page.locator("[data-face] input").nth(2)
        distance = """one => scrollBy({
          top: one.getBoundingClientRect().bottom + 4 - document.getElementById("selection").getBoundingClientRect().top,
          behavior: "instant",
        })"""
        await box.evaluate(distance)
        place = await box.bounding_box()
        assert place is not None
        await page.mouse.click(place["x"] + 8, place["y"] + 8)
        await expect(box).to_be_checked()
        await expect(page.locator(".chosen")).to_have_text("1 chosen")
