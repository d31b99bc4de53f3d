"""
Memory of a browser's tab while a long list is scrolled through, in a library of 300,000 faces.

    PYTHONPATH=.:tests/support python tests/bench/bench_long_list.py [--list faces|people] [--faces N] [--of-one N]
        [--identities N]

``--list`` says which one: all faces of a person, or all people. It has the items near the view in the page
(``static/longlist.js``). The baseline is the same list that keeps every item in the page. Both are scrolled to the end by the
page's own means, a view at a time, and then back to the start. ``heap`` and ``nodes`` are those of JavaScript and of the
document after a garbage collection, ``tab`` the resident memory of the process
of the tab. The aim is that the end has at most twice the nodes of the start.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from browsed_library import BrowsedLibrary, power_law  # noqa: E402  the repository must be found first
from browsed_pages import browsed_store, served  # noqa: E402
from chromium import CHROMIUM, Visitor, chromium, visitor  # noqa: E402
from playwright.async_api import Browser, CDPSession  # noqa: E402

AIM = 2.0
LISTS = {"faces": "/people/1?sort=distance&limit=200", "people": "/people?limit=200"}
WHOLE = "document.addEventListener('DOMContentLoaded', () => document.getElementById('list')?.removeAttribute('data-window'))"
"""The baseline: a script that runs before those of the page, after which the list is not cut."""

SCROLL = """async () => {
  const more = () => document.querySelector("[data-more]");
  scrollBy(0, innerHeight);
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const end = () => document.getElementById("list").getBoundingClientRect().bottom;
  for (let waits = 0; more() && end() < innerHeight + 400 && waits < 200; waits += 1)
    await new Promise((resolve) => setTimeout(resolve, 20));
  return !more() && end() <= innerHeight;
}"""


@dataclass(frozen=True, slots=True)
class Load:
    """The memory of a tab: bytes of the heap, nodes of the document, bytes of its process."""

    heap: int
    nodes: int
    tab: int

    def __str__(self) -> str:
        return f"heap {self.heap / 2**20:6.1f} MiB  nodes {self.nodes:8,}  tab {self.tab / 2**20:6.0f} MiB"


async def load_of(page: CDPSession, browser: CDPSession) -> Load:
    await page.send("HeapProfiler.collectGarbage")
    found = {one["name"]: one["value"] for one in (await page.send("Performance.getMetrics"))["metrics"]}
    processes = (await browser.send("SystemInfo.getProcessInfo"))["processInfo"]
    tabs = [resident(int(one["id"])) for one in processes if one["type"] == "renderer"]
    return Load(int(found["JSHeapUsedSize"]), int(found["Nodes"]), max(tabs, default=0))


def resident(process: int) -> int:
    """Return the resident bytes of a process; 0 where that is not told."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


async def scrolled(guest: Visitor, browser: Browser, address: str) -> dict[str, Load]:
    """Return the load at the start, at the end, and back at the start."""
    page, own = guest.page, await browser.new_browser_cdp_session()
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    await page.goto(address)
    await page.wait_for_function("document.querySelector('#list > li') !== null")
    found, began, steps = {"start": await load_of(session, own)}, time.perf_counter(), 0
    while not await page.evaluate(SCROLL):
        steps += 1
    print(f"  {steps} steps to the end in {time.perf_counter() - began:.1f} s", flush=True)
    found["end"] = await load_of(session, own)
    await page.evaluate("scrollTo(0, 0)")
    await page.wait_for_timeout(500)
    found["back"] = await load_of(session, own)
    return found


async def measure(folder: Path, library: BrowsedLibrary, path: str) -> bool:
    with browsed_store(folder, library) as store:
        async with served(store, folder) as listen:
            address, found = f"http://{listen}", dict[str, dict[str, Load]]()
            for name in ("cut", "whole"):
                async with chromium() as browser, visitor(browser) as guest:
                    if name == "whole":
                        await guest.page.add_init_script(WHOLE)
                    await guest.log_in(f"{address}/login")
                    print(f"{name}:")
                    found[name] = await scrolled(guest, browser, f"{address}{path}")
                for moment, load in found[name].items():
                    print(f"  {moment:7} {load}", flush=True)
    end, whole = found["cut"]["end"], found["whole"]["end"]
    growth = end.nodes / found["cut"]["start"].nodes
    print(
        f"at the end {whole.nodes / end.nodes:.0f} times fewer nodes, {whole.heap / end.heap:.1f} times less heap and "
        f"{whole.tab / max(1, end.tab):.1f} times less memory than whole; {growth:.2f} times the nodes of the start"
    )
    return growth <= AIM


def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", choices=LISTS, default="faces")
    parser.add_argument("--faces", type=int, default=300_000)
    parser.add_argument("--of-one", type=int, default=20_000)
    parser.add_argument("--identities", type=int, default=5_000)
    given = parser.parse_args()
    if CHROMIUM is None:
        print("no Chromium on this machine: nothing is measured")
        return 0
    others = power_law(given.faces - given.of_one, given.identities - 1)
    library = BrowsedLibrary((given.of_one, *others.sizes), others.strangers)
    print(
        f"{given.faces:,} faces, {given.identities:,} people, {given.of_one:,} faces of one; the list of {given.list}"
    )
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(measure(Path(folder), library, LISTS[given.list])) else 1


if __name__ == "__main__":
    sys.exit(main())
