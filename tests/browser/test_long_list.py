"""The faces of a person with thousands of them: only those near the view are in the page, whatever is done."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from browsed_library import BrowsedLibrary
from browsed_pages import browsed_store, served
from chromium import BROWSER_TESTS, Visitor, chromium, visitor
from playwright.async_api import Page, Request, expect

from service.store.database import Store

pytestmark = BROWSER_TESTS

FACES = 900
MOST_IN_PAGE = 500
"""The rows of a view of 800 pixels, and of twice 1600 pixels around it, at nine columns; all 900 without."""


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Store]:
    with browsed_store(tmp_path, BrowsedLibrary(sizes=(4, FACES))) as store:
        yield store


async def opened(guest: Visitor, address: object, path: str) -> Page:
    await guest.log_in(f"http://{address}/login")
    await guest.page.goto(f"http://{address}{path}")
    return guest.page


async def in_page(page: Page) -> int:
    return await page.locator("[data-face]").count()


async def scroll_to_the_end(page: Page) -> list[int]:
    """Scroll until nothing more comes, and return how many faces were in the page on the way."""
    counts = []
    for _ in range(200):
        await page.evaluate(
            "scrollTo(0, document.getElementById('list').getBoundingClientRect().bottom + scrollY - 600)"
        )
        await page.wait_for_timeout(50)
        counts.append(await in_page(page))
        if await page.locator("[data-more]").count() == 0:
            return counts
    raise AssertionError("the end of the list was not reached")


async def shown(page: Page) -> list[str]:
    """The faces in view, from the top."""
    script = """() => [...document.querySelectorAll("[data-face]")].filter((one) => {
      const {top, bottom} = one.getBoundingClientRect(); return bottom > 0 && top < innerHeight; }).map((one) => one.id)"""
    found: list[str] = await page.evaluate(script)
    return found


@pytest.mark.slow
async def test_all_faces_are_scrolled_through_while_few_are_in_the_page(crowd: Store, tmp_path: Path) -> None:
    async with served(crowd, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await opened(guest, listen, "/people/2?sort=distance")
        first = await shown(page)
        seen = set(first)
        while len(seen) < FACES:
            before = await page.evaluate("scrollY")
            await page.evaluate("scrollBy(0, innerHeight)")
            await page.wait_for_timeout(50)
            if await page.locator("[data-more]").count():
                await page.wait_for_function(
                    "document.getElementById('list').getBoundingClientRect().bottom > innerHeight"
                )
            now = await page.evaluate("scrollY")
            assert before < now <= before + 800, "what is added below the view moves nothing"
            seen |= set(await shown(page))
            assert await in_page(page) <= MOST_IN_PAGE
        assert await page.locator("[data-face]").last.evaluate("one => one.nextElementSibling") is None
        height = await page.evaluate("document.documentElement.scrollHeight")
        await page.evaluate("scrollTo(0, 0)")
        await expect(page.locator(f"#{first[0]}")).to_be_visible()
        assert await shown(page) == first, "they are put back at their place"
        assert await page.evaluate("document.documentElement.scrollHeight") == height
        await page.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
        await page.wait_for_timeout(100)
        middle = await shown(page)
        assert len(middle) > 20
        await page.mouse.wheel(0, 400)
        await page.wait_for_timeout(100)
        assert set(middle) & set(await shown(page)), "a jump ends where the wheel goes on"
        assert guest.complaints == []


@pytest.mark.slow
async def test_a_range_reaches_over_faces_that_are_not_in_the_page(crowd: Store, tmp_path: Path) -> None:
    async with served(crowd, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await opened(guest, listen, "/people/2?sort=distance")
        await page.locator("[data-face] input").nth(3).check()
        await scroll_to_the_end(page)
        await page.locator("[data-face] input").last.click(modifiers=["Shift"])
        await expect(page.locator(".chosen")).to_have_text(f"{FACES - 3:,} chosen")
        assert await in_page(page) <= MOST_IN_PAGE
        await page.evaluate("scrollTo(0, 0)")
        await expect(page.locator("[data-face] input").nth(3)).to_be_checked()
        await expect(page.locator("[data-face] input").nth(2)).not_to_be_checked()
        await expect(page.locator(".chosen")).to_have_text(f"{FACES - 3:,} chosen")
        sent: list[Request] = []
        page.on("request", lambda one: sent.append(one) if one.method == "POST" else None)
        await page.get_by_role("button", name="Confirm", exact=True).click()
        await expect(page.locator("#toast")).to_contain_text("confirmed")
        assert len(parse_qs(sent[0].post_data)["faces"]) == FACES - 3
        await expect(page.locator(".chosen")).not_to_contain_text("chosen")
        await page.keyboard.press("a")
        await expect(page.locator(".chosen")).to_have_text(f"{FACES:,} chosen")
        await page.keyboard.press("Escape")
        assert await page.locator("input[name=faces]:checked").count() == 0


@pytest.mark.slow
async def test_a_decision_far_below_keeps_the_place_and_its_undo_brings_the_face_back(
    crowd: Store, tmp_path: Path
) -> None:
    async with served(crowd, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await opened(guest, listen, "/people/2?sort=distance")
        await scroll_to_the_end(page)
        await page.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
        await page.wait_for_timeout(100)
        before: Any = await shown(page)
        chosen = before[len(before) // 2]
        await page.locator(f"#{chosen} a").focus()
        await page.keyboard.press("n")
        await expect(page.locator(f"#{chosen}")).to_have_count(0)
        await expect(page.locator("#toast")).to_contain_text("no longer person 2")
        expected = [one for one in before if one != chosen]
        assert [one for one in await shown(page) if one in before] == expected, "the others stay in view"
        assert await page.evaluate("document.activeElement.closest('[data-face]') !== null"), (
            "the next one has the focus"
        )
        await page.keyboard.press("u")
        await expect(page.locator(f"#{chosen}")).to_be_visible()
        assert await shown(page) == before
        assert guest.complaints == []


@pytest.mark.slow
async def test_an_undo_brings_back_only_what_its_own_decision_took_away(crowd: Store, tmp_path: Path) -> None:
    async with served(crowd, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await opened(guest, listen, "/people/2?sort=distance")
        await scroll_to_the_end(page)
        await page.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
        await page.wait_for_timeout(100)
        before = await shown(page)
        rejected, confirmed = before[len(before) // 2], before[len(before) // 2 + 1]
        await page.locator(f"#{rejected} a").focus()
        await page.keyboard.press("n")
        await expect(page.locator("#toast")).to_contain_text("no longer person 2")
        await page.keyboard.press("u")
        await expect(page.locator(f"#{rejected}")).to_be_visible()
        await page.keyboard.press("u")
        await expect(page.locator(f"#{rejected}")).to_have_count(0)
        await page.locator(f"#{confirmed} a").focus()
        await page.keyboard.press("c")
        await expect(page.locator("#toast")).to_contain_text("confirmed")
        await page.keyboard.press("u")
        await expect(page.locator("#toast")).to_contain_text("Undone")
        await expect(page.locator(f"#{rejected}")).to_have_count(0)
        assert guest.complaints == []


@pytest.mark.slow
async def test_keys_go_on_from_the_face_that_was_left(crowd: Store, tmp_path: Path) -> None:
    async with served(crowd, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await opened(guest, listen, "/people/2?sort=distance")
        order = await page.locator("[data-face]").evaluate_all("all => all.map((one) => one.id)")
        for _ in range(3):
            await page.keyboard.press("ArrowRight")
        await scroll_to_the_end(page)
        await expect(page.locator(f"#{order[2]}")).to_have_count(0)
        await page.keyboard.press("ArrowRight")
        await expect(page.locator(f"#{order[3]} a")).to_be_focused()
        await expect(page.locator(f"#{order[3]}")).to_be_in_viewport()
