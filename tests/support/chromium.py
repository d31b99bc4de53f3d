"""Chromium, as the tests of the pages drive it; a module that imports this is skipped without it."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from web_scene import TOKEN

pytest.importorskip("playwright.async_api", reason="playwright is not installed")

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

BROWSER_TESTS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

CONTRASTS = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    throw new Error("the page has no ground");
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.nodeValue.trim() || !element.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) poor.push(`${walker.currentNode.nodeValue.trim()}: ${contrast.toFixed(2)}`);
  }
  return poor;
}"""


@dataclass
class Visitor:
    """A page, and every error of its console."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    async def log_in(self, address: str, token: str = TOKEN) -> None:
        await self.page.goto(address)
        await self.page.get_by_label("Token").fill(token)
        await self.page.get_by_role("button", name="Log in").click()
        await expect(self.page.get_by_role("button", name="Log out")).to_be_visible()

    async def is_live(self) -> None:
        await expect(self.page.get_by_text("Live", exact=True)).to_be_visible()


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def visitor(
    browser: Browser, *, width: int = 1280, scheme: str = "light", scripts: bool = True, touch: bool = False
) -> AsyncIterator[Visitor]:
    context = await browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        java_script_enabled=scripts,
        has_touch=touch,
    )
    try:
        guest = Visitor(await context.new_page())
        guest.page.on("console", guest.note)
        guest.page.on("pageerror", lambda error: guest.complaints.append(str(error)))
        yield guest
    finally:
        await context.close()
