"""The list of thousands of people: only those near the view are in the page, and nothing that was typed is lost."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsed_library import BrowsedLibrary
from browsed_pages import browsed_store, served
from chromium import BROWSER_TESTS, Visitor, chromium, visitor
from playwright.async_api import Page, Route, expect
from sqlalchemy import insert

from service.store.database import Store
from service.store.tables import people

pytestmark = [*BROWSER_TESTS, pytest.mark.slow]

PEOPLE = 700
MOST_IN_PAGE = 360
"""A list is cut from so many on. Then these are the rows of a view of 800 pixels, and of twice 1600 pixels around it."""
NAMED = range(12, 600)
"""The longest names take several lines, so that rows are of several heights."""


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Store]:
    with browsed_store(tmp_path, BrowsedLibrary(sizes=(3,) * PEOPLE, named_share=0.001)) as store:
        named: list[dict[str, Any]] = [
            {"source": "anna", "person_id": f"p{n}", "name": f"Person {n}" + " of all" * (n % 30), "is_hidden": False,
             "identity": n}
            for n in NAMED
        ]  # fmt: skip
        store.write_now(lambda tx: tx.execute(insert(people), named))
        yield store


async def opened(guest: Visitor, address: object) -> Page:
    await guest.log_in(f"http://{address}/login")
    await guest.page.goto(f"http://{address}/people?sort=number")
    return guest.page


async def in_page(page: Page) -> int:
    return await page.locator(".person").count()


async def shown(page: Page) -> list[str]:
    """The people in view, from the top."""
    script = """() => [...document.querySelectorAll(".person")].filter((one) => {
      const {top, bottom} = one.getBoundingClientRect(); return bottom > 0 && top < innerHeight; }).map((one) => one.id)"""
    found: list[str] = await page.evaluate(script)
    return found


async def scroll_to_the_end(page: Page) -> None:
    for _ in range(200):
        await page.evaluate(
            "scrollTo(0, document.getElementById('list').getBoundingClientRect().bottom + scrollY - 600)"
        )
        await page.wait_for_timeout(50)
        assert await in_page(page) <= MOST_IN_PAGE
        if await page.locator("[data-more]").count() == 0:
            return
    raise AssertionError("the end of the list was not reached")


async def test_all_people_are_scrolled_through_while_few_are_in_the_page(crowd: Store, tmp_path: Path) -> None:
    async with served(crowd, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await opened(guest, listen)
        first = await shown(page)
        await scroll_to_the_end(page)
        height = await page.evaluate("document.documentElement.scrollHeight")
        await page.evaluate("scrollTo(0, 0)")
        await expect(page.locator(f"#{first[0]}")).to_be_visible()
        assert await shown(page) == first, "they are put back at their place"
        seen = set(first)
        while len(seen) < PEOPLE:
            await page.evaluate("scrollBy(0, 600)")
            await page.wait_for_timeout(30)
            now = await shown(page)
            assert set(now) - seen, "each step shows further people"
            assert set(now) & seen, "no row is left out"
            seen |= set(now)
            assert await in_page(page) <= MOST_IN_PAGE
        assert await page.evaluate("document.documentElement.scrollHeight") == height
        assert guest.complaints == []


async def test_rows_of_another_height_than_expected_move_nothing_in_view(crowd: Store, tmp_path: Path) -> None:
    async with served(crowd, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await opened(guest, listen)
        await scroll_to_the_end(page)
        await page.set_viewport_size({"width": 700, "height": 800})  # no row of this width was ever measured
        await page.wait_for_timeout(100)
        script = "(id) => document.getElementById(id).getBoundingClientRect().top"
        for _ in range(30):
            before = (await shown(page))[0]
            top = await page.evaluate(script, before)
            await page.evaluate("scrollBy(0, -300)")
            await page.wait_for_timeout(50)
            assert abs(await page.evaluate(script, before) - top - 300) < 2


async def test_what_was_typed_and_chosen_far_above_is_kept(crowd: Store, tmp_path: Path) -> None:
    async with served(crowd, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await opened(guest, listen)
        await page.locator("#person-5 input[type=checkbox]").check()
        await page.locator("#person-3 input[name=label]").fill("Zoe")
        await page.locator("#person-4 input[name=label]").focus()
        await page.keyboard.type("Kim")
        await page.keyboard.press("ArrowLeft")
        await scroll_to_the_end(page)
        await expect(page.locator("#person-3")).to_have_count(0)
        await page.locator(".person input[type=checkbox]").nth(-1).check()
        await expect(page.locator(".chosen")).to_have_text("2 chosen")
        await page.evaluate("scrollTo(0, 0)")
        await expect(page.locator("#person-3 input[name=label]")).to_have_value("Zoe")
        await expect(page.locator("#person-4 input[name=label]")).to_have_value("Kim")
        await expect(page.locator("#person-5 input[type=checkbox]")).to_be_checked()
        await expect(page.locator(".chosen")).to_have_text("2 chosen")
        assert guest.complaints == []


async def test_a_key_that_is_typed_on_goes_into_the_field_and_decides_nothing(crowd: Store, tmp_path: Path) -> None:
    async with served(crowd, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await opened(guest, listen)
        field = page.locator("#person-4 input[name=label]")
        await field.focus()
        await page.keyboard.type("Km")
        await page.keyboard.press("ArrowLeft")
        await scroll_to_the_end(page)
        await expect(field).to_have_count(0)
        await page.keyboard.type("i")
        await expect(field).to_be_focused()
        await expect(field).to_have_value("Kim")
        await expect(field).to_be_in_viewport()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await page.keyboard.press("Enter")
        await expect(page.locator("#person-4 a.name")).to_have_text("Kim")
        assert guest.complaints == []


async def test_enter_goes_to_the_next_without_a_name_beyond_what_is_in_the_page(crowd: Store, tmp_path: Path) -> None:
    async with served(crowd, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await opened(guest, listen)
        await scroll_to_the_end(page)
        await page.evaluate("scrollTo(0, 0)")
        last, following = NAMED.start - 1, NAMED.stop
        await page.locator(f"#person-{last} input[name=label]").focus()
        await expect(page.locator(f"#person-{following}")).to_have_count(0)
        await page.keyboard.type("Uma")
        await page.keyboard.press("Enter")
        await expect(page.locator(f"#person-{following} input[name=label]")).to_be_focused()
        await expect(page.locator(f"#person-{following}")).to_be_in_viewport()
        await expect(page.locator("#toast")).to_contain_text("Named Uma")
        await page.keyboard.type("Eva")
        await page.keyboard.press("Enter")
        await expect(page.locator(f"#person-{following} a.name")).to_have_text("Eva")
        await expect(page.locator(f"#person-{following + 1} input[name=label]")).to_be_focused()
        await page.evaluate("scrollTo(0, 0)")
        await expect(page.locator(f"#person-{last} a.name")).to_have_text("Uma")
        assert guest.complaints == []


async def test_who_is_named_far_below_leaves_the_list_of_those_without_a_name(crowd: Store, tmp_path: Path) -> None:
    async with served(crowd, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await opened(guest, listen)
        await page.goto(f"http://{listen}/people?sort=number&show=unnamed")
        await page.locator("[data-more]").click()
        await expect(page.locator("#person-650")).to_be_attached()
        await page.locator("#person-650 input[name=label]").fill("Kim")
        await page.keyboard.press("Enter")
        await expect(page.locator("#person-650")).to_have_count(0)
        await expect(page.locator("#person-651 input[name=label]")).to_be_focused()
        assert guest.complaints == []


async def test_a_person_who_leaves_the_list_out_of_view_keeps_neither_the_keys_nor_the_choice(tmp_path: Path) -> None:
    answers = asyncio.Event()

    async def late(route: Route) -> None:
        await answers.wait()
        await route.continue_()

    with browsed_store(tmp_path, BrowsedLibrary(sizes=(3,) * 500, named_share=0.001)) as store:
        async with served(store, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
            page = await opened(guest, listen)
            await page.goto(f"http://{listen}/people?sort=number&show=unnamed")
            await scroll_to_the_end(page)
            last = page.locator(".person").last
            number = await last.get_attribute("id")
            await last.locator("input[type=checkbox]").check()
            await page.route("**/decide", late)
            await last.locator("input[name=label]").fill("Kim")
            await page.keyboard.press("Enter")
            await page.evaluate("scrollTo(0, 0)")
            await expect(page.locator(f"#{number}")).to_have_count(0)
            answers.set()
            await expect(page.locator("#toast")).to_contain_text("Named Kim")
            await page.keyboard.press("?")
            await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
            await expect(page.locator(".chosen")).not_to_contain_text("1 chosen")
            assert guest.complaints == []


async def test_an_undo_far_below_brings_the_person_back_to_be_named_anew(tmp_path: Path) -> None:
    with browsed_store(tmp_path, BrowsedLibrary(sizes=(3,) * 500, named_share=0.001)) as store:
        async with served(store, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
            page = await opened(guest, listen)
            await page.goto(f"http://{listen}/people?sort=number&show=unnamed")
            await scroll_to_the_end(page)
            field, toast = page.locator("#person-490 input[name=label]"), page.locator("#toast")
            await field.fill("Kim")
            await page.keyboard.press("Enter")
            await expect(page.locator("#person-490")).to_have_count(0)
            await page.keyboard.press("Escape")
            await page.keyboard.press("u")
            await expect(toast).to_contain_text("Undone: Named Kim")
            await expect(field).to_have_value("")
            await expect(page.locator("#person-489 + #person-490")).to_be_visible()
            await field.fill("Kim")
            await page.keyboard.press("Enter")
            await expect(page.locator("#person-490")).to_have_count(0)
            assert guest.complaints == []
