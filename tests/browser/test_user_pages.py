"""The pages of a user in a real Chromium: the login by key, people, one person, a face, and the way out; axe."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import BROWSER_TESTS, CONTRASTS, Visitor, chromium, visitor
from shared_pages import shared_scene
from web_scene import ANY_PORT, KEYS, Scene

from service.store.database import Store, migrate, open_engine
from service.store.user_database import UserDatabase
from service.web.server import serve_web

axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
playwright_api = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

from playwright.async_api import Page, expect  # noqa: E402  after the skip

pytestmark = BROWSER_TESTS

AXE = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
SERIOUS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .filter(({impact}) => impact === "serious" || impact === "critical")
  .map(({id, nodes}) => `${id}: ${nodes.map(({html}) => html.slice(0, 120)).join(" | ")}`)"""
ANNAS = next(iter(KEYS))
PAGES = ("/people", "/people/3", "/faces/{face}", "/help", "/review")


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Scene]:
    address = f"sqlite:///{tmp_path / 'facesets.db'}"
    engine = open_engine(address)
    migrate(engine)
    store, users = Store(engine), UserDatabase(open_engine(address))
    yield shared_scene(store, users, tmp_path)
    users.close()
    store.close()


async def sign_in(guest: Visitor, address: object, key: str = ANNAS) -> Page:
    await guest.page.goto(f"http://{address}/login")
    await guest.page.get_by_label("Immich API key").fill(key)
    await guest.page.get_by_role("button", name="Show my pictures").click()
    return guest.page


async def test_a_user_signs_in_by_key_looks_at_people_and_leaves(shared: Scene) -> None:
    async with (
        serve_web(shared.context(), ANY_PORT) as listen,
        chromium() as browser,
        visitor(browser) as guest,
    ):
        page = await sign_in(guest, listen, "not-the-key-of-anybody")
        await expect(page.get_by_role("alert")).to_contain_text("Immich does not take this API key")
        await expect(page.get_by_label("Immich API key")).to_be_focused()
        await expect(page.get_by_label("Immich API key")).to_have_value("")
        assert all("401" in text for text in guest.complaints)
        guest.complaints.clear()

        await sign_in(guest, listen)
        await expect(page.get_by_text("Signed in as anna")).to_be_visible()
        await expect(page.get_by_role("navigation", name="Pages").get_by_role("link")).to_have_text(["People", "Help"])
        await page.keyboard.press("?")
        keys = page.get_by_role("dialog")
        await expect(keys).to_contain_text("arrows")
        await expect(keys).not_to_contain_text("Choose")
        await page.keyboard.press("Escape")

        await page.keyboard.press("/")
        await page.keyboard.type("anna's friend 1")
        await page.keyboard.press("Enter")
        await expect(page.locator(".person")).to_have_count(1)
        await page.locator(".person a.name").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("anna's friend 1")
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press(" ")
        picture = page.get_by_role("dialog")
        await expect(picture.get_by_alt_text("The whole picture")).to_be_visible()
        await expect(picture.get_by_role("button")).to_have_text(["Close"])
        await page.keyboard.press(" ")
        await expect(picture).to_have_count(0)
        for key in ("c", "s", "a", "m", "o", "r"):
            await page.keyboard.press(key)
        await expect(page.get_by_role("dialog")).to_have_count(0)

        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_label("Immich API key")).to_be_visible()
        await page.go_back()
        await expect(page.get_by_label("Immich API key")).to_be_visible()
        assert guest.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
async def test_the_pages_of_a_user_can_be_read_by_everybody(shared: Scene, scheme: str, width: int) -> None:
    async with (
        serve_web(shared.context(), ANY_PORT) as listen,
        chromium() as browser,
        visitor(browser, scheme=scheme, width=width) as guest,
    ):
        page = await sign_in(guest, listen, "not-the-key-of-anybody")
        await can_be_read(page, width)
        await sign_in(guest, listen)
        await page.goto(f"http://{listen}/people/3")
        face = await page.locator("[data-face]").first.get_attribute("data-face")
        for path in PAGES:
            await page.goto(f"http://{listen}{path.format(face=face)}")
            await can_be_read(page, width)


async def can_be_read(page: Page, width: int) -> None:
    assert await page.evaluate("document.documentElement.scrollWidth") <= width, page.url
    assert await page.evaluate(CONTRASTS) == [], page.url
    await page.evaluate(AXE)
    assert await page.evaluate(SERIOUS) == [], page.url


@pytest.mark.slow
async def test_without_scripts_a_user_signs_in_and_looks(shared: Scene) -> None:
    async with (
        serve_web(shared.context(), ANY_PORT) as listen,
        chromium() as browser,
        visitor(browser, scripts=False) as guest,
    ):
        page = await sign_in(guest, listen)
        await page.locator(".person a.name").first.click()
        await page.locator(".face a").first.click()
        await expect(page.get_by_alt_text("The whole picture")).to_be_visible()
        assert "/faces/" in page.url
