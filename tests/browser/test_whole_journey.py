"""The whole work of a person at the pages, with the demonstration as it runs: no part is replaced."""

import contextlib
import json
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from chromium import BROWSER_TESTS, chromium, visitor
from demo_process import served_demo, start_demo

playwright_api = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

from playwright.async_api import Page, expect  # noqa: E402  after the skip

pytestmark = [*BROWSER_TESTS, pytest.mark.slow]

NAMES = ("Zoe", "Kim", "Uma", "Lux", "Ida")
"""The names of the five people who have none in the demonstration."""


@contextlib.asynccontextmanager
async def demo(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """Run the usual demonstration; yield the address of its pages and the token."""
    process = await start_demo(folder, "--listen", "127.0.0.1:0", pictures=150, people=12)
    try:
        yield await served_demo(process)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.communicate()


async def answer_of(page: Page, path: str) -> Any:
    answer = await page.request.get(f"{re.match('http://[^/]+', page.url)[0]}{path}")  # type: ignore[index]
    assert answer.ok, path
    return await answer.json()


async def people(page: Page) -> dict[int, Any]:
    found = await answer_of(page, "/api/identities?limit=200")
    return {one["number"]: one for one in found["identities"]}


async def name_five(page: Page) -> None:
    await page.locator("[data-naming] input[name=label]").first.focus()
    for name in NAMES:
        await page.keyboard.type(name)
        await page.keyboard.press("Enter")
        await expect(page.locator("#toast")).to_contain_text(f"Named {name}")
    assert set(NAMES) <= {one["label"] for one in (await people(page)).values()}


async def merge_and_part(page: Page, one: int, other: int) -> None:
    for number in (one, other):
        await page.locator(f"#person-{number} a.cover").focus()
        await page.keyboard.press("s")
    await page.keyboard.press("m")
    await page.get_by_role("dialog").get_by_role("button", name=re.compile("Merge")).first.click()
    await expect(page.locator(f"#person-{one}, #person-{other}")).to_have_count(1)
    await page.keyboard.press("u")
    await expect(page.locator(f"#person-{one}, #person-{other}")).to_have_count(2)


async def split_the_mixed_one(page: Page) -> int:
    """Make the second person out of the one that holds two; return its number."""
    before = await people(page)
    for number in before:
        if len((await answer_of(page, f"/api/identities/{number}/parts"))["parts"]) > 1:
            break
    else:
        raise AssertionError("nobody of the demonstration has two proposed parts")
    await page.goto(page.url.split("/people")[0] + f"/people/{number}/parts")
    await page.get_by_role("region", name="Part 2").get_by_role("button", name="A new person").click()
    await expect(page.locator("#toast")).to_be_visible()
    (new,) = (await people(page)).keys() - before.keys()
    return int(new)


async def answer_questions(page: Page) -> int:
    """Answer what the review asks with its first answer, or put it off; return how many questions there were."""
    await page.keyboard.press("g")
    await page.keyboard.press("r")
    asked = 0
    while True:
        await expect(page.locator("#left")).to_be_visible()
        card = page.locator("[data-card]").first
        if not await card.count():
            return asked
        name = await card.get_attribute("id")
        await page.keyboard.press("s" if await card.get_by_role("button", name="Not sure").count() else "l")
        await expect(page.locator(f"#{name}")).to_have_count(0)
        asked += 1


async def test_somebody_goes_through_all_the_work_of_an_evening(tmp_path: Path) -> None:
    sets = tmp_path / "demo" / "facesets"
    async with demo(tmp_path / "demo") as (address, token), chromium() as browser, visitor(browser) as guest:
        await guest.log_in(f"{address}/login", token)
        page = guest.page
        await page.goto(f"{address}/people?sort=number")
        await name_five(page)
        await merge_and_part(page, 9, 12)
        new = await split_the_mixed_one(page)
        known = await people(page)
        await page.goto(f"{address}/people/3")
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("c")
        await expect(page.locator("#toast")).to_contain_text("confirmed as")
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("n")
        await expect(page.locator("#toast")).to_contain_text("no longer")
        assert (await people(page))[3]["faces"] == known[3]["faces"] - 1
        await page.goto(f"{address}/people/4/forget")
        await page.get_by_label("Type the number 4").fill("4")
        await page.get_by_role("button", name="Forget for good").click()
        await expect(page).to_have_url(re.compile("/people"))
        assert 4 not in await people(page)
        assert not (sets / "faceset_004").exists()
        assert await answer_questions(page) >= 5
        await page.keyboard.press("g")
        await page.keyboard.press("f")
        await expect(page.get_by_role("heading", name="Face sets", exact=True).first).to_be_visible()
        await page.keyboard.press("w")
        await expect(page.locator(".writing")).to_be_visible()
        await expect(page.locator(".writing")).to_have_count(0, timeout=120_000)
        written = json.loads((sets / "manifest.json").read_text(encoding="utf-8"))
        labels = {one["identity"]: one["label"] for one in written["facesets"]}
        assert set(NAMES) <= set(labels.values())
        assert new in labels
        assert 4 not in labels
        assert guest.complaints == []
