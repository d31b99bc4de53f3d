"""The status page in a real Chromium: display, accessibility and buttons."""

import asyncio

import pytest
from chromium import BROWSER_TESTS, CONTRASTS, chromium, visitor
from path_proxy import path_proxy
from web_scene import ANY_PORT, TOKEN, Scene, busy_scene

from immich_facesets.errors import SetupError
from service.progress import RemoteState
from service.web.schemas import Objection, Readiness
from service.web.server import serve_web

playwright_api = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

from playwright.async_api import expect  # noqa: E402  after the skip

pytestmark = BROWSER_TESTS


async def test_a_link_of_the_terminal_signs_in_once_and_leaves_no_trace() -> None:
    scene = busy_scene()
    async with serve_web(scene.context(), ANY_PORT) as listen, chromium() as browser:
        link = f"http://{listen}/login#{scene.login_links.issue()}"
        async with visitor(browser) as guest:
            asked: list[str] = []
            guest.page.on("request", lambda request: asked.append(request.url))
            await guest.page.goto(link)
            await guest.is_live()
            ticket = link.partition("#")[2]
            assert guest.page.url == f"http://{listen}/"
            assert not [url for url in asked if ticket in url and url != link]
            assert guest.complaints == []
            await guest.page.go_back()
            assert ticket not in guest.page.url
            again = f"http://{listen}/login#{scene.login_links.issue()}"
            await guest.page.goto(again)
            await guest.is_live()
            assert guest.page.url == f"http://{listen}/", "a browser that is signed in keeps no ticket in its address"
        async with visitor(browser) as other:
            await other.page.goto(link)
            await expect(other.page.get_by_role("alert")).to_contain_text("has signed somebody in already")


def troubled_scene() -> Scene:
    """Show every message of the page at once."""
    scene = busy_scene()
    scene.readiness = Readiness(objections=(Objection(message="The key is refused.", advice="Make a new one."),))
    scene.board.update_remote(
        RemoteState(name="Immich", circuit="open", failures=13, message="It answered 503.", advice="Look at its log.")
    )
    scene.board.update_remote(RemoteState(name="embedder", circuit="probing", failures=12))
    scene.board.update_stage("discover", state="failed", note="waits for Immich")
    return scene


@pytest.mark.slow
async def test_the_page_moves_with_the_sync() -> None:
    scene = busy_scene()
    async with serve_web(scene.context(), ANY_PORT) as listen, chromium() as browser, visitor(browser) as guest:
        await guest.log_in(f"http://{listen}/")
        await guest.is_live()
        embed, group = guest.page.locator("#stage-embed"), guest.page.locator("#stage-group")
        await expect(embed).to_contain_text("204 of 980")
        scene.board.update_stage("embed", done=612)
        await expect(embed).to_contain_text("612 of 980")
        assert await embed.get_by_role("progressbar").get_attribute("value") == "612"
        scene.board.update_stage("embed", state="done", done=980)
        scene.board.update_stage("group", state="running")
        await expect(embed).to_contain_text("Done")
        await expect(group).to_contain_text("Running")
        await expect(guest.page.get_by_role("heading", level=1)).to_have_text("Sorting faces by person")
        await expect(guest.page.locator("#announcer")).to_have_text("Sorting faces by person")
        scene.board.update_remote(RemoteState(name="Immich", circuit="open", advice="Look at its log."))
        await expect(guest.page.locator("#progress")).to_contain_text("Look at its log.")
        assert guest.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_measured_distances_are_a_drawing_with_words_for_those_who_do_not_see_it(scheme: str) -> None:
    scene = busy_scene()
    async with (
        serve_web(scene.context(), ANY_PORT) as listen,
        chromium() as browser,
        visitor(browser, scheme=scheme, width=360) as guest,
    ):
        await guest.log_in(f"http://{listen}/")
        card = guest.page.get_by_role("region", name="Who counts as one person")
        drawing = card.get_by_role("img", name="The cut in use is 0.625.")
        await expect(drawing).to_be_visible()
        box = await drawing.bounding_box()
        assert box is not None
        assert box["width"] > 250
        assert box["height"] > 100
        colours = [
            await drawing.locator(f".{name}").evaluate("path => getComputedStyle(path).stroke")
            for name in ("genuine", "impostor", "cut")
        ]
        assert len(set(colours)) == 3
        assert guest.complaints == []


async def test_everything_can_be_done_with_the_keyboard() -> None:
    scene = busy_scene()
    scene.board.end("")
    async with serve_web(scene.context(), ANY_PORT) as listen, chromium() as browser, visitor(browser) as guest:
        page = guest.page
        await page.goto(f"http://{listen}/")
        await expect(page.get_by_label("Token")).to_be_focused()
        await page.keyboard.type("wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_have_text("That is not the token of this service.")
        await page.keyboard.type(TOKEN)
        await page.keyboard.press("Enter")
        await guest.is_live()
        await page.keyboard.press("Tab")
        await expect(page.get_by_text("Skip to content")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        button = page.get_by_role("button", name="Sync now")
        await expect(button).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#stage-discover")).to_contain_text("Running")
        await expect(page.locator("#toast")).to_have_text("The job is starting.")
        assert scene.wishes == [("incremental", None)]
        scene.board.update_stage("discover", done=5)
        await expect(page.locator("#stage-discover")).to_contain_text("5")
        await expect(button).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#toast")).to_have_text("A job is running already.")
        assert scene.wishes == [("incremental", None)]
        # The browser itself logs the 401 of the wrong token; there may be no other error.
        assert [text for text in guest.complaints if "401" not in text] == []


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
async def test_it_reads_well_on_any_screen(scheme: str) -> None:
    async with chromium() as browser:
        for scene in (troubled_scene(), busy_scene(), Scene()):
            async with serve_web(scene.context(), ANY_PORT) as listen, visitor(browser, scheme=scheme) as guest:
                page = guest.page
                await page.goto(f"http://{listen}/login")
                assert await page.evaluate(CONTRASTS) == []
                await guest.log_in(f"http://{listen}/")
                await guest.is_live()
                for width in (320, 360, 768, 1280, 1920):
                    await page.set_viewport_size({"width": width, "height": 800})
                    assert await page.evaluate("document.documentElement.scrollWidth") <= width
                    assert await page.evaluate(CONTRASTS) == []
                assert guest.complaints == []


async def test_it_works_without_scripts() -> None:
    scene = busy_scene()
    scene.board.end("")
    async with (
        serve_web(scene.context(), ANY_PORT) as listen,
        chromium() as browser,
        visitor(browser, scripts=False) as guest,
    ):
        await guest.log_in(f"http://{listen}/")
        await guest.page.get_by_role("button", name="Full sync").click()
        await expect(guest.page.get_by_text("The job is starting.")).to_be_visible()
        await expect(guest.page.locator("#stage-discover")).to_contain_text("Running")
        assert scene.wishes == [("full", None)]
        await guest.page.get_by_role("button", name="Log out").click()
        await expect(guest.page.get_by_label("Token")).to_be_visible()


@pytest.mark.slow
async def test_the_page_finds_back_after_a_restart() -> None:
    scene = busy_scene()
    async with chromium() as browser, visitor(browser) as guest:
        async with serve_web(scene.context(), ANY_PORT) as listen:
            await guest.log_in(f"http://{listen}/")
            await guest.is_live()
        await expect(guest.page.get_by_text("Reconnecting")).to_be_visible()
        scene.board.update_stage("embed", done=333)
        async with serve_web(scene.context(), listen):
            await expect(guest.page.locator("#stage-embed")).to_contain_text("333", timeout=20_000)
            await guest.is_live()
        async with serve_web(scene.context(token="another-token-now"), listen):
            await expect(guest.page.get_by_label("Token")).to_be_visible(timeout=30_000)


@pytest.mark.slow
async def test_a_proxy_that_answers_for_a_dead_service_does_not_end_the_page() -> None:
    scene = busy_scene()
    async with serve_web(scene.context(), ANY_PORT) as listen, chromium() as browser, visitor(browser) as guest:
        for address in ("**/events", "**/healthz"):
            await guest.page.route(address, lambda route: route.fulfill(status=502))
        await guest.log_in(f"http://{listen}/")
        await expect(guest.page.get_by_text("Reconnecting")).to_be_visible()
        async with guest.page.expect_response("**/healthz", timeout=20_000):
            pass
        await guest.page.unroute_all()
        await expect(guest.page.get_by_text("Live", exact=True)).to_be_visible(timeout=20_000)


async def test_a_sync_that_cannot_start_is_told_with_its_reason() -> None:
    scene = busy_scene()
    scene.board.end("")
    async with serve_web(scene.context(), ANY_PORT) as listen, chromium() as browser, visitor(browser) as guest:
        await guest.log_in(f"http://{listen}/")
        await guest.is_live()
        scene.trouble = SetupError("The key is refused: make a new one.")
        await guest.page.get_by_role("button", name="Sync now").click()
        await expect(guest.page.locator("#toast")).to_have_text("The key is refused: make a new one.")


async def test_what_others_wrote_never_runs() -> None:
    scene = busy_scene()
    evil = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    async with serve_web(scene.context(), ANY_PORT) as listen, chromium() as browser, visitor(browser) as guest:
        await guest.log_in(f"http://{listen}/")
        await guest.is_live()
        scene.board.update_stage("embed", note=evil)
        await expect(guest.page.locator("#stage-embed .note")).to_have_text(evil)
        await asyncio.sleep(0.2)
        assert await guest.page.title() == "Status · facesets"
        assert guest.complaints == []


async def test_it_works_below_a_path_of_its_host() -> None:
    scene = busy_scene()
    scene.board.end("")
    async with (
        serve_web(scene.context(base_path="/faces"), ANY_PORT) as listen,
        path_proxy(f"http://{listen}", "/faces") as url,
        chromium() as browser,
        visitor(browser) as guest,
    ):
        page = guest.page
        await guest.log_in(f"{url}/faces")
        await guest.is_live()
        assert [(cookie["path"], cookie["sameSite"]) for cookie in await page.context.cookies()] == [
            ("/faces", "Strict")
        ]
        await page.get_by_role("button", name="Full sync").click()
        await expect(page.locator("#toast")).to_have_text("The job is starting.")
        await expect(page.locator("#stage-discover")).to_contain_text("Running")
        assert scene.wishes == [("full", None)]
        await page.goto(f"{url}/faces/?notice=accepted")
        await expect(page).to_have_url(f"{url}/faces/")
        await guest.is_live()
        await page.get_by_role("link", name="facesets").click()
        await guest.is_live()
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_label("Token")).to_be_visible()
        assert page.url == f"{url}/faces/login"
        assert await page.context.cookies() == []
        assert guest.complaints == []


async def test_a_proxy_that_takes_the_path_away_is_named_on_a_page_that_can_be_read() -> None:
    async with (
        serve_web(Scene().context(base_path="/faces"), ANY_PORT) as listen,
        path_proxy(f"http://{listen}", "/faces", strips=True) as url,
        chromium() as browser,
        visitor(browser) as guest,
    ):
        await guest.page.goto(f"{url}/faces/")
        reason = guest.page.get_by_text("must pass /faces on, and not take it away")
        await expect(reason).to_be_visible()
        box = await reason.bounding_box()
        assert box is not None
        assert box["y"] < 400, "the styles cannot be loaded, and the mark does not fill the page"
