"""Face sets and eras in a real Chromium: keys, changes by hand, and every width and theme."""

import json
from pathlib import Path

import pytest
from browsed_pages import filled, members, served
from chromium import BROWSER_TESTS, CONTRASTS, Visitor, chromium, visitor

from immich_facesets.eras import KeptEra
from immich_facesets.imports.manifests import MANIFEST
from service.files.export_tree import ExportTree
from service.store import exports
from service.store.database import Store
from service.store.eras import EraVersion, record_eras, stored_eras

axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
playwright_api = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

from browsed_pages import NOW  # noqa: E402  after the skip
from playwright.async_api import Page, expect  # noqa: E402

__all__ = ["filled"]
pytestmark = BROWSER_TESTS

AXE = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
SERIOUS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .filter(({impact}) => impact === "serious" || impact === "critical")
  .map(({id, nodes}) => `${id}: ${nodes.map(({html}) => html.slice(0, 120)).join(" | ")}`)"""
PAGES = (
    "/facesets",
    "/facesets/faceset_001",
    "/facesets/faceset_001/left-out",
    "/facesets/without",
    "/facesets/ledger",
    "/people/1/sets",
    "/people/1/eras",
    "/people/1/eras/compare",
)


@pytest.fixture
def exported(filled: Store, tmp_path: Path) -> Store:
    """Person 1 has a face set, and two eras of 20 faces each."""
    faces = members(filled, 1)
    halves = (frozenset(faces[:20]), frozenset(faces[20:]))
    wanted = [
        KeptEra(name, int(name), int(name), int(name), half)
        for name, half in zip(("2004", "2012"), halves, strict=True)
    ]
    filled.write_now(record_eras, 1, wanted, leaves=(), before=None, version=EraVersion("years", "d"), now=NOW)
    name = "faceset_001"
    bins = {"yaw": {"front": 30, "half_left": 4, "profile_left": 0}}
    finding = {"code": "no_profile_views", "message": "no face is seen from the side", "value": 0, "threshold": 1}
    report = {"findings": [finding], "shown": bins, "events": {"count": 9}, "known": 40, "left_out": {"outlier": 6}}
    manifest = {"schema": 1, "name": name, "faces": [], "bundles": {"all": f"{name}_all.fsz"}, "notes": {}}
    files = {
        f"{name}_all.fsz": b"bundle",
        "preflight.json": json.dumps(report).encode(),
        MANIFEST: json.dumps(manifest).encode(),
    }
    (tmp_path / "exports").mkdir()
    ExportTree(tmp_path / "exports").write_directory(name, files.items())
    entry = {"identity": 1, "faces": 34}
    filled.write_now(exports.record_export, name, digest="d", entry=entry, identity=1, made_by="sync", now=NOW)
    return filled


async def signed_in(guest: Visitor, address: object, path: str) -> Page:
    await guest.log_in(f"http://{address}/login")
    await guest.page.goto(f"http://{address}{path}")
    return guest.page


@pytest.mark.slow
async def test_eras_are_renamed_and_merged_in_place(exported: Store, tmp_path: Path) -> None:
    async with served(exported, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/people/1/eras")
        await page.get_by_placeholder("Another name").first.fill("School")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="School")).to_be_visible()
        await expect(page.get_by_role("status").first).to_contain_text("The face sets follow with the next sync.")
        await expect(page.get_by_placeholder("Another name").first).to_have_value("")
        await page.get_by_role("button", name="Merge School").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("40 faces 20 of Around 2012, 20 of School")
        assert len(exported.read_now(stored_eras)[1].eras) == 2
        await dialog.get_by_role("button", name="Make them one").click()
        await expect(dialog).to_have_count(0)
        await expect(page.get_by_role("heading", name="Around 2012")).to_be_visible()
        await expect(page.get_by_role("heading", name="School")).to_have_count(0)
        assert [era.name for era in exported.read_now(stored_eras)[1].eras] == ["2012"]
        await page.keyboard.press("u")
        await expect(page.locator("#toast")).to_contain_text("Undone: The era School")
        await expect(page.get_by_role("heading", name="School")).to_be_visible()
        assert [era.name for era in exported.read_now(stored_eras)[1].eras] == ["2012", "School"]
        assert guest.complaints == []


async def test_a_name_that_cannot_be_is_told_and_nothing_is_lost(exported: Store, tmp_path: Path) -> None:
    async with served(exported, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/people/1/eras")
        await page.get_by_placeholder("Another name").first.fill("A/B")
        await page.keyboard.press("Enter")
        await expect(page.locator("#toast")).to_contain_text("letters, digits")
        await expect(page.get_by_placeholder("Another name").first).to_have_value("A/B")


async def test_face_sets_are_written_and_taken_away_by_keyboard(exported: Store, tmp_path: Path) -> None:
    async with served(exported, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/people")
        await page.keyboard.press("g")
        await page.keyboard.press("f")
        await expect(page.get_by_role("heading", name="Face sets", exact=True).first).to_be_visible()
        await page.get_by_role("button", name="Never export").first.click()
        await expect(page.locator("#toast")).to_contain_text("is never exported")
        await expect(page.locator("#person-1")).to_have_count(0)
        await page.keyboard.press("u")
        await expect(page.locator("#toast")).to_contain_text("Undone")
        await page.keyboard.press("w")
        await expect(page.locator(".writing")).to_contain_text("The face sets are being written")
        assert "notice" not in page.url
        assert guest.complaints == []


@pytest.mark.slow
async def test_a_face_is_included_by_key_and_the_face_set_is_seen_at_once(exported: Store, tmp_path: Path) -> None:
    async with served(exported, tmp_path) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/people/1")
        await page.locator(".face .pick").first.click()
        await page.keyboard.press("t")
        await expect(page.locator("#toast")).to_contain_text("1 face included in the face sets of")
        await expect(page.locator("#planned")).to_contain_text("included by hand")
        await page.keyboard.press("u")
        await expect(page.locator("#toast")).to_contain_text("Undone")
        await expect(page.locator("#planned")).not_to_contain_text("included by hand")
        await page.keyboard.press("w")
        await expect(page.locator(".writing")).to_contain_text("The face sets are being written")
        switch = page.get_by_role("button", name="LoRA folders")
        await expect(switch).to_have_attribute("aria-pressed", "true")
        await switch.click()
        await expect(switch).to_have_attribute("aria-pressed", "false")
        await expect(page.locator("#toast")).to_contain_text("LoRA folders")
        await page.goto(f"http://{listen}/facesets")
        await page.get_by_text("Written for 0 of 1 other program").click()
        await switch.first.click()
        await expect(page.get_by_text("Written for 1 of 1 other program")).to_be_visible()
        await expect(switch.first).to_be_visible()
        assert guest.complaints == []


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
async def test_the_pages_suit_every_width_and_everybody(exported: Store, tmp_path: Path, scheme: str) -> None:
    async with served(exported, tmp_path) as listen, chromium() as browser, visitor(browser, scheme=scheme) as guest:
        page = await signed_in(guest, listen, PAGES[0])
        for path in PAGES:
            await page.goto(f"http://{listen}{path}")
            await page.evaluate(f"() => {{ {AXE} }}")
            assert await page.evaluate(SERIOUS) == [], path
            for width in (320, 640, 1280):  # 640: as with a zoom of 200 %
                await page.set_viewport_size({"width": width, "height": 800})
                assert await page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
            assert await page.evaluate(CONTRASTS) == [], path
        assert guest.complaints == []
