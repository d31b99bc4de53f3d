"""The web part over invented facts, with a stub in place of the sync runner."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiohttp import ClientSession, CookieJar
from invented_reads import (
    invented_decisions,
    invented_eras,
    invented_identification,
    invented_picture,
    invented_reads,
    invented_references,
    no_answers,
    reads_of,
)
from pydantic import SecretStr

from immich_facesets.calibration.thresholds import BIN_WIDTH, BINS, Evidence, PointsInUse, Thresholds, in_use, shifted
from immich_facesets.runtime.listen_address import Listen
from immich_facesets.spaces import OperatingPoints
from service.monitoring.metrics import Metrics
from service.progress import ProgressBoard, RemoteState
from service.web.context import Begun, WebContext
from service.web.library.decisions import DecisionCalls, KeptAnswers
from service.web.library.eras import EraCalls
from service.web.library.identify import IdentifyAnswer
from service.web.library.reads import LibraryReads
from service.web.library.references import ReferenceCalls
from service.web.login_links import LoginLinks
from service.web.parameters import PATH_PARAMETERS
from service.web.schemas import (
    Failure,
    LibraryCounts,
    ModelFacts,
    Readiness,
    ReasonCount,
    Run,
    SourceCounts,
    StatusFacts,
)
from service.web.server import serve_web

TOKEN = "a-token-for-tests"
KEYS = {"annas-key-for-tests": "anna", "bens-key-for-tests": "ben"}
"""Immich API keys, and whose they are."""


def invented_thresholds() -> PointsInUse:
    """Calibration of a library whose people are a little more similar than usual: a lower cut."""

    def hill(mean: float, deviation: float) -> tuple[float, ...]:
        heights = [math.exp(-(((place + 0.5) * BIN_WIDTH - mean) ** 2) / (2 * deviation**2)) for place in range(BINS)]
        return tuple(round(height / sum(heights), 6) for height in heights)

    defaults = OperatingPoints(match=0.55, cluster=0.65, merge=0.5, drop=0.65, outlier=0.6)
    measured = Thresholds(
        target=2.2e-5,
        defaults=defaults,
        chosen=shifted(defaults, -0.025),
        estimate=0.6213,
        impostor=Evidence(hill(0.97, 0.071), 4_210, 873, 780.4, 12, default=6.1e-5, chosen=2.4e-5),
        genuine=Evidence(hill(0.41, 0.12), 31, 31, 31.0, 85, default=0.004, chosen=0.009),
        reason="Moved by -0.025: measured on 4,210 pairs of people who were seen together.",
    )
    return in_use("7d1f0c9be2a45b63", "w600k_mbf", measured, fixed=(), is_wanted=True)


def invented_facts(now: datetime) -> StatusFacts:
    """The state of a library in use: two sources, a few failures, a week of syncs."""
    return StatusFacts(
        library=LibraryCounts(
            assets=48_211,
            wanted=19_804,
            contents=19_377,
            embedded=19_102,
            faces=41_556,
            identities=132,
            facesets=87,
            sources=(
                SourceCounts(name="anna", kind="immich", assets=41_020, wanted=17_200, embedded=16_980),
                SourceCounts(name="scans-1974", kind="folder", assets=7_191, wanted=2_604, embedded=2_122),
            ),
        ),
        runs=(
            Run(
                id=41,
                kind="incremental",
                started_at=now - timedelta(minutes=12, seconds=30),
                ended_at=now - timedelta(minutes=12),
                outcome="done",
                counts={
                    "discover_new": 14,
                    "embed_embedded": 9,
                    "embed_faces": 21,
                    "publish_written": 2,
                    "discover_gone": 0,
                },
            ),
            Run(
                id=40,
                kind="incremental",
                started_at=now - timedelta(hours=1, minutes=12),
                ended_at=now - timedelta(hours=1, minutes=3),
                outcome="outage",
                message="Immich answered 503 twelve times in a row; the rest waits for the next sync.",
                counts={"discover_new": 230},
            ),
            Run(
                id=39,
                kind="full",
                started_at=now - timedelta(days=1, hours=5),
                ended_at=now - timedelta(days=1, hours=1),
                outcome="done",
                counts={"discover_new": 1_204, "embed_embedded": 4_870, "embed_faces": 9_911, "publish_written": 31},
            ),
        ),
        failures=(
            Failure(
                stage="embed",
                source="anna",
                name="IMG_2041.jpg",
                item="original:5f1c0a6be3b0c2b7c7e2f3f1c3a1d2b4e5f60718",
                path="/data/upload/anna/3f0d6c1e-8f5b-4a57-9d7b-1d5a3e0c7b11.jpg",
                reason="corrupt",
                message="The file ends in the middle of the picture.",
                tries=3,
                retry_at=now + timedelta(hours=7),
            ),
            Failure(
                stage="embed",
                source="scans-1974",
                name="album-03/panorama_0007.tif",
                item="album-03/panorama_0007.tif",
                path="album-03/panorama_0007.tif",
                reason="too_large",
                message="412 million pixels; the embedder takes 120 million (FACESETS_EMBEDDER_MAX_PIXELS).",
                tries=1,
                retry_at=now + timedelta(days=1, hours=2),
            ),
        ),
        failures_by_reason=(ReasonCount(reason="corrupt", count=3), ReasonCount(reason="too_large", count=1)),
        model=ModelFacts(
            space="7d1f0c9be2a45b63",
            pack="buffalo_l",
            family="w600k_r50",
            licence="insightface models: non-commercial research only",
            provider="CUDA on GeForce RTX 3060",
        ),
        thresholds=invented_thresholds(),
        database="SQLite",
        export_dir="/exports",
        disk_free_bytes=412_300_000_000,
    )


@dataclass(slots=True)
class Scene:
    """The objects that a test changes and reads: progress board, facts, problems, and requested syncs."""

    board: ProgressBoard = field(default_factory=ProgressBoard)
    library: LibraryReads = field(default_factory=invented_reads)
    decisions: DecisionCalls = field(default_factory=invented_decisions)
    eras: EraCalls = field(default_factory=invented_eras)
    identify: Callable[[bytes, int], Awaitable[IdentifyAnswer]] = invented_identification
    picture: Callable[[str], Awaitable[bytes | None]] = invented_picture
    picture_askers: list[str | None] = field(default_factory=list)
    references: ReferenceCalls = field(default_factory=invented_references)
    answers: KeptAnswers = field(default_factory=no_answers)
    facts: StatusFacts = field(default_factory=StatusFacts)
    readiness: Readiness = field(default_factory=Readiness)
    wishes: list[tuple[str, str | None]] = field(default_factory=list)
    people_to_write: frozenset[int] | None = None
    begins: int | str = 42
    trouble: Exception | None = None
    library_for: Callable[[str], LibraryReads] = reads_of
    keys: dict[str, str] = field(default_factory=lambda: dict(KEYS))
    users: dict[str, str] = field(default_factory=lambda: {user: f"account of {user}" for user in KEYS.values()})
    ended_sessions: dict[str, int] = field(default_factory=dict)
    login_links: LoginLinks = field(default_factory=lambda: LoginLinks(time.monotonic))

    async def keep_ended(self, ended: Mapping[str, int]) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.ended_sessions = dict(ended)

    async def user_of_key(self, key: SecretStr) -> str | None:
        if self.trouble is not None:
            raise self.trouble
        return self.keys.get(key.get_secret_value())

    def request_job(self, kind: str, source: str | None, people: frozenset[int] | None) -> Begun | None:
        if self.trouble is not None:
            raise self.trouble
        if self.board.now.run_id is not None:
            return None
        self.wishes.append((kind, source))
        self.people_to_write = people
        self.board.begin(run_id=42, kind=kind, started_at=datetime.now(UTC))
        self.board.update_stage("discover", state="running")
        begun: Begun = asyncio.get_running_loop().create_future()
        begun.set_result(self.begins)
        return begun

    async def whole_picture(self, sha256: str, user: str | None) -> bytes | None:
        self.picture_askers.append(user)
        if self.trouble is not None:
            raise self.trouble
        return await self.picture(sha256)

    def cancel_job(self, number: int) -> bool:
        is_running = self.board.now.run_id == number
        if is_running:
            self.board.end("stopped on request")
        return is_running

    async def status(self) -> StatusFacts:
        if self.trouble is not None:
            raise self.trouble
        return self.facts

    async def ready(self) -> Readiness:
        return self.readiness

    def context(
        self, *, token: str | None = TOKEN, allowed_hosts: tuple[str, ...] = (), base_path: str = ""
    ) -> WebContext:
        return WebContext(
            board=self.board,
            library=self.library,
            library_for=self.library_for,
            users=lambda: self.users,
            user_of_key=self.user_of_key,
            decisions=self.decisions,
            references=self.references,
            eras=self.eras,
            answers=self.answers,
            identify=self.identify,
            token=token,
            whole_picture=self.whole_picture,
            request_job=self.request_job,
            cancel_job=self.cancel_job,
            status=self.status,
            ready=self.ready,
            registry=Metrics(self.board, version="1.2.3").registry,
            version="1.2.3",
            allowed_hosts=allowed_hosts,
            base_path=base_path,
            ended_sessions=self.ended_sessions,
            keep_ended=self.keep_ended,
            login_links=self.login_links,
        )


def busy_scene() -> Scene:
    """A sync in its second stage, without any error."""
    now = datetime.now(UTC)
    scene = Scene(facts=invented_facts(now))
    scene.board.update_remote(RemoteState(name="Immich"))
    scene.board.update_remote(RemoteState(name="embedder"))
    scene.board.set_next_sync(now + timedelta(minutes=48))
    scene.board.begin(run_id=42, kind="incremental", started_at=now - timedelta(minutes=3))
    scene.board.update_stage("discover", state="done", done=1_312, total=1_312, note="1,298 known already")
    scene.board.update_stage("embed", state="running", done=204, total=980, failed=2)
    return scene


PARAMETERS = {name: str(schema["examples"][0]) for name, schema in PATH_PARAMETERS.items()} | {
    "name": "a",
    "version": "b",
}


def address_of(path: str) -> str:
    """The path of a route with parameters that name something."""
    return path.format_map(PARAMETERS)


BEARER = {"Authorization": f"Bearer {TOKEN}"}
HTML = {"Accept": "text/html"}
ANY_PORT = Listen("127.0.0.1", 0)


@contextlib.asynccontextmanager
async def visit(scene: Scene, context: WebContext | None = None) -> AsyncIterator[ClientSession]:
    """The scene behind a real socket, and a client that keeps cookies."""
    async with (
        serve_web(scene.context() if context is None else context, ANY_PORT) as listen,
        ClientSession(f"http://{listen}", cookie_jar=CookieJar(unsafe=True)) as client,
    ):
        yield client
