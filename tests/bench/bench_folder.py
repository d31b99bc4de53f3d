"""
Speed of listing a folder without new files, against a bare walk that asks the system for every file.

    PYTHONPATH=.:tests/support python tests/bench/bench_folder.py [files]

Both sides list the same small files in turns, so that other load disturbs them alike. The memory of a listing is
measured in a second, ten times smaller folder as well. It must not grow with the number of files. The last measurement
is the command itself, with an embedder of drawn faces that it starts. It runs over the same folder and over an empty
one, whose time is that of the start.
"""

import asyncio
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

from service.passes.context import PassContext
from service.passes.discover import Discover
from service.passes.discovering.counts import DiscoverCounts
from service.passes.embed import recipe_of
from service.progress import ProgressBoard
from service.settings import Settings
from service.source_registry import build_folder_source
from service.store import contents, embedding_work, runs, spaces
from service.store.contents import EmbeddedContent
from service.store.database import Store, migrate, open_engine
from service.store.folders import Folder, add_folder

ROUNDS = 5
A_FOLDER = 500


def fill(root: Path, files: int) -> None:
    for number in range(files):
        folder = root / f"{number // A_FOLDER:03}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"IMG_{number:06}.jpg").write_bytes(b"\xff\xd8\xff" + number.to_bytes(4, "big") * 250)


def bare(root: Path) -> float:
    """Seconds of a walk with one stat for each file."""
    started = time.perf_counter()
    for folder, _, names in os.walk(root):
        for name in names:
            os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 - as bare as can be
    return time.perf_counter() - started


class Listing:
    """A folder source and its store."""

    def __init__(self, folder: Path, files: int) -> None:
        self.root = folder / "album"
        fill(self.root, files)
        self.folder, self.space = folder, "space"
        engine = open_engine(f"sqlite:///{folder / 'facesets.db'}")
        migrate(engine)
        self.store = Store(engine)
        self.store.write_now(add_folder, Folder("album", self.root, "mixed"))
        self.settings = Settings(data_dir=folder)
        self.conditions = PassContext(self.store, self.settings, ProgressBoard(), asyncio.Event())

    async def sync(self) -> tuple[DiscoverCounts, int, float]:
        """Run discover and query the pictures to embed; return the counts, their number, and the seconds."""
        started = time.perf_counter()
        run_id = await self.store.write(runs.begin_run, "incremental", ["album"], self.conditions.clock())
        source = build_folder_source(Folder("album", self.root, "mixed"), self.store, self.settings)
        discover = Discover(self.conditions, source, run_id=run_id, configured=())
        await discover.run(whole=False)
        recipe = recipe_of(self.space, self.settings)
        missing = await self.store.read(embedding_work.count_to_embed, recipe, self.conditions.clock())
        return discover.counts, missing, time.perf_counter() - started

    async def embed_all(self) -> None:
        """Record that every picture was embedded and shows no face."""
        recipe, now, after = recipe_of(self.space, self.settings), self.conditions.clock(), ""
        while batch := await self.store.read(embedding_work.to_embed, recipe, now, after=after, limit=2000):
            for number, asset in enumerate(batch):
                sha256 = f"{asset.checksum}{number:024}"
                done = EmbeddedContent(asset.fingerprint, sha256, asset.checksum or "", 1003, 64, 64, recipe, ())
                await self.store.write(contents.record_content, done, now)
            after = batch[-1].fingerprint

    async def memory(self) -> float:
        """The peak of what one more listing allocates, in MiB."""
        tracemalloc.start()
        await self.sync()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak / 2**20

    def command(self) -> tuple[float, float]:
        """Seconds by the clock, and of one core, that ``sync`` takes from its start to its end."""
        exports = self.folder / "exports"
        exports.mkdir(exist_ok=True)
        ours = ("FACESETS_", "PYTHONDONTWRITEBYTECODE")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environ |= {
            "FACESETS_DATA_DIR": str(self.folder),
            "FACESETS_EXPORT_DIR": str(exports),
            "FACESETS_EMBEDDER_ENGINE": "synthetic",
        }
        before, started = _children_seconds(), time.perf_counter()
        subprocess.run([sys.executable, "-m", "service", "sync"], check=True, env=environ, capture_output=True)
        return time.perf_counter() - started, _children_seconds() - before


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tell_command(listing: Listing, files: int) -> None:
    """Measure the whole command without new files, less its time on an empty folder."""
    nothing = Listing(listing.folder.with_name("nothing"), 1)
    for one in (listing, nothing):
        one.command()  # the first one is a warm-up
    times = [(*listing.command(), *nothing.command()) for _ in range(ROUNDS)]
    clock, cores, least, start = (statistics.median(column) for column in zip(*times, strict=True))
    print(
        f"      command: {clock:.2f} s ({cores:.2f} of one core) for {files} files, {least:.2f} s ({start:.2f}) for one"
    )
    print(f"        files: {(cores - start) * 10_000 / files:.2f} s of one core for 10,000 more files")
    nothing.store.close()


async def space_of_drawn_faces(listing: Listing) -> str:
    """The space in which the command's embedder works."""
    await asyncio.to_thread(listing.command)
    space = await listing.store.read(spaces.active_space)
    assert space is not None
    return space


async def measure(folder: Path, files: int) -> None:
    one = Listing(folder / "one", 1)
    space = await space_of_drawn_faces(one)
    one.store.close()
    listing = Listing(folder / "large", files)
    listing.space = space
    counts, _, seconds = await listing.sync()
    print(f"first listing: {counts.new} files read and hashed in {seconds:.1f} s")
    await listing.embed_all()
    ratios, ours = [], []
    for _ in range(ROUNDS):
        before = bare(listing.root)
        counts, missing, seconds = await listing.sync()
        assert (counts.listed, counts.new, counts.changed, missing) == (files, 0, 0, 0)
        between = statistics.mean((before, bare(listing.root)))
        ratios.append(seconds / between)
        ours.append(seconds * 10_000 / files)
    print(f"  nothing new: {statistics.median(ours):.2f} s for 10,000 files (aim: 1.00)")
    print(f"        ratio: {statistics.median(ratios):.1f} (to a bare walk with one stat for each file)")
    print(f"       rounds: {' '.join(f'{ratio:.1f}' for ratio in ratios)}")
    small = Listing(folder / "small", files // 10)
    await small.sync()
    await small.embed_all()
    print(f"       memory: {await listing.memory():.1f} MiB for {files} files, {await small.memory():.1f} for a tenth")
    small.store.close()
    await asyncio.to_thread(tell_command, listing, files)
    listing.store.close()


def main() -> None:
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    folder = Path(tempfile.mkdtemp(prefix="folder-"))
    try:
        for name in ("large", "small", "one", "nothing"):
            (folder / name).mkdir()
        asyncio.run(measure(folder, files))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
