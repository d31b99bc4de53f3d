"""Identify, syncs, system and help in a real Chromium: a picture that is sent, a job that is followed, and axe."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from chromium import BROWSER_TESTS, CONTRASTS, Visitor, chromium, visitor
from PIL import Image
from web_scene import ANY_PORT, Scene, busy_scene

from immich_facesets.errors import ItemError
from immich_facesets.moderation.requests import NewPerson
from service.progress import StageProgress
from service.web import examples
from service.web.library.identify import IdentifyAnswer
from service.web.library.identities import IdentitiesAnswer, IdentitiesQuery
from service.web.library.references import ReferenceAdded, SentPicture
from service.web.library.service import Job, JobsAnswer, JobsQuery
from service.web.server import serve_web

axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
playwright_api = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

from playwright.async_api import FilePayload, Page, expect  # noqa: E402  after the skip

pytestmark = BROWSER_TESTS

AXE = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
SERIOUS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .filter(({impact}) => impact === "serious" || impact === "critical")
  .map(({id, nodes}) => `${id}: ${nodes.map(({html}) => html.slice(0, 120)).join(" | ")}`)"""
PAGES = ("/identify", "/syncs", "/syncs/41", "/syncs/failures", "/system", "/help", "/help/settings", "/help/fsz")
DROPPED = """([data, type]) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "party.png", {type}));
  document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
}"""
PASTED = """([data, type]) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "party.png", {type}));
  document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true}));
}"""


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (400, 300), (120, 140, 150)).save(buffer, "PNG")
    return buffer.getvalue()


async def drop(page: Page, body: bytes, how: str = DROPPED) -> None:
    await page.evaluate(how, [base64.b64encode(body).decode(), "image/png"])


async def signed_in(guest: Visitor, address: object, path: str) -> Page:
    await guest.log_in(f"http://{address}/login")
    await guest.page.goto(f"http://{address}{path}")
    return guest.page


async def test_a_picture_is_chosen_dropped_and_pasted_and_shown_with_its_people() -> None:
    seen = list[bytes]()

    async def identify(body: bytes, limit: int) -> IdentifyAnswer:
        del limit
        seen.append(body)
        if body == b"broken":
            raise ItemError("the picture is damaged", reason="corrupt")
        return examples.IDENTIFIED

    async with (
        serve_web(Scene(identify=identify).context(), ANY_PORT) as listen,
        chromium() as browser,
        visitor(browser) as guest,
    ):
        party = FilePayload(name="party.png", mimeType="image/png", buffer=picture())
        guest.page.on("filechooser", lambda chooser: chooser.set_files([party]))
        page = await signed_in(guest, listen, "/identify")
        await page.keyboard.press("o")
        verdicts = page.get_by_role("region", name="1 face")
        await expect(verdicts).to_contain_text("Anna, 99 % sure")
        await expect(verdicts.get_by_role("link", name="Anna")).to_have_attribute("href", "/people/3")
        own = page.locator("[data-own]")
        assert await own.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 400
        await drop(page, b"broken")
        await expect(page.locator("#answer")).to_have_text("The picture is damaged")
        await expect(own).to_have_count(0)
        assert [complaint for complaint in guest.complaints if "422" not in complaint] == []
        await drop(page, b"no picture", PASTED)
        await expect(verdicts).to_contain_text("Anna")
        await expect(page.get_by_text("Your browser cannot show a picture of this kind.")).to_be_visible()
    assert seen == [picture(), b"broken", b"no picture"]


async def test_a_face_is_kept_under_a_name_that_no_address_has() -> None:
    kept, addresses = list[SentPicture](), list[str]()

    async def add(sent: SentPicture) -> ReferenceAdded:
        kept.append(sent)
        return examples.REFERENCE_ADDED

    async def nobody(query: IdentitiesQuery) -> IdentitiesAnswer:
        del query
        return IdentitiesAnswer(identities=(), total=0)

    scene = Scene()
    scene.references = replace(scene.references, add=add)
    scene.library = replace(scene.library, identities=nobody)
    async with serve_web(scene.context(), ANY_PORT) as listen, chromium() as browser, visitor(browser) as guest:
        page = await signed_in(guest, listen, "/identify")
        await drop(page, picture())
        page.on("request", lambda request: addresses.append(request.url) if request.method == "POST" else None)
        await page.get_by_label("Keep as a reference picture of").fill("Zoë 100%")
        await page.get_by_role("button", name="Keep").click()
        await expect(page.get_by_text("Kept as a reference picture of Zoë 100%, who is new.")).to_be_visible()
    assert [(one.person, one.picture) for one in kept] == [(NewPerson(label="Zoë 100%"), picture())]
    (address,) = addresses
    assert "Zo" not in address


@pytest.mark.slow
async def test_a_running_job_is_followed_and_cancelled_on_its_page() -> None:
    scene = busy_scene()
    running = msgspec.structs.replace(examples.JOBS.jobs[0], id=42, ended_at=None, outcome=None)

    def job() -> Job:
        if scene.board.now.run_id is None:
            return msgspec.structs.replace(running, outcome="stopped", ended_at=running.started_at)
        return msgspec.structs.replace(running, stages=(scene.board.stage("embed"),))

    async def jobs(query: JobsQuery) -> JobsAnswer:
        del query
        return JobsAnswer(jobs=(job(),))

    scene.library = replace(scene.library, jobs=jobs)
    assert isinstance(scene.board.stage("embed"), StageProgress)
    async with (
        serve_web(scene.context(), ANY_PORT) as listen,
        chromium() as browser,
        visitor(browser) as guest,
    ):
        page = await signed_in(guest, listen, "/syncs")
        await expect(page.get_by_text("204 of 980")).to_be_visible()
        scene.board.update_stage("embed", done=205)
        await expect(page.get_by_text("205 of 980")).to_be_visible()
        await page.get_by_role("button", name="Cancel the job").click()
        await expect(page.get_by_text("The job ends between two items.")).to_be_visible()
        await expect(page.get_by_role("button", name="Cancel the job")).to_have_count(0)
        await page.get_by_role("button", name="Full sync").click()
        await expect(page.get_by_text("The job is starting.")).to_be_visible()
        assert guest.complaints == []
    assert scene.wishes == [("full", None)]


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
async def test_pages_are_accessible_and_fit_any_screen(scheme: str) -> None:
    async with (
        serve_web(busy_scene().context(), ANY_PORT) as listen,
        chromium() as browser,
        visitor(browser, scheme=scheme) as guest,
    ):
        await guest.log_in(f"http://{listen}/login")
        for path in PAGES:
            page = guest.page
            await page.goto(f"http://{listen}{path}")
            if path == "/identify":
                await drop(page, picture())
                await expect(page.locator("[data-found]")).to_be_visible()
            await page.evaluate(f"() => {{ {AXE} }}")
            assert await page.evaluate(SERIOUS) == [], path
            for width in (320, 640, 1280):  # 640: as with a zoom of 200 %
                await page.set_viewport_size({"width": width, "height": 800})
                assert await page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
            assert await page.evaluate(CONTRASTS) == [], path
        assert guest.complaints == []


async def test_without_scripts_pages_are_read_and_a_job_is_started() -> None:
    scene = Scene()
    async with (
        serve_web(scene.context(), ANY_PORT) as listen,
        chromium() as browser,
        visitor(browser, scripts=False) as guest,
    ):
        page = await signed_in(guest, listen, "/syncs")
        await page.get_by_role("button", name="Write face sets").click()
        await expect(page.get_by_text("The job is starting.")).to_be_visible()
        await page.goto(f"http://{listen}/help/commands")
        await page.get_by_role("link", name="Exit codes", exact=True).first.click()
        await expect(page.get_by_role("heading", name="Exit codes")).to_be_in_viewport()
    assert scene.wishes == [("export", None)]
