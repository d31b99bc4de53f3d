"""``serve``: the schedule, the web server and the syncs, until a stop is requested."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable, Collection

import msgspec
import structlog
from pydantic import SecretStr

from immich_facesets.errors import FacesetsError, RequestError, TransientError
from immich_facesets.model_packs import pack_remark
from immich_facesets.runtime.listen_address import Listen, check_exposure
from immich_facesets.wire import Info
from service.app import App, program_version
from service.moderation.over_api import ApiDecisions, kept_answers, reference_calls
from service.moderation.references import References
from service.monitoring.event_loop_lag import EventLoopWatch
from service.passes.fan_out import first_error
from service.progress import JobKind
from service.reports.identification import Identify
from service.reports.library import library_reads
from service.reports.library.eras import EraReads
from service.reports.library.users import UserLibraries
from service.reports.library.whole_pictures import WholePictures
from service.reports.status import dropped_warnings, stored_status
from service.sources import SourceAwayError
from service.storage import database_url, web_token
from service.store import named_values
from service.sync.job_requests import WantedJob
from service.sync.outcome import Outcome, Result
from service.sync.schedule import SyncTrigger, schedule_of
from service.sync.stopping import until_stopped
from service.web import schemas as shown
from service.web.context import Begun, WebContext
from service.web.login_links import LoginLinks
from service.web.server import serve_web

log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 60.0
_STANDSTILL, _STANDSTILL_SECONDS = 3.0, 60.0
"""
Without any picture read for so many times that of one request, and for so long, the service is not ready.

A slow picture takes twice that time, beside others and alone, and this is no reason yet.
"""
_FIRST_LOOK_SECONDS = 1.0
_OTHERS_SECONDS = 300.0
"""How long sources that are back wait for the others: the longest pause between two probes of a remote."""


class Service:
    """
    The running service: a sync at each scheduled time and on request, and status for the web part.

    ``on_serving`` is called with the address that was actually bound. ``login_links`` issues tickets that sign in once.
    """

    def __init__(self, app: App, *, on_serving: Callable[[Listen], None] | None = None) -> None:
        self._app = app
        self._on_serving = on_serving
        self.login_links = LoginLinks(time.monotonic)
        self._trigger = SyncTrigger(schedule_of(app.settings), on_next=app.board.set_next_sync)
        self._requests: asyncio.Queue[WantedJob] = asyncio.Queue(maxsize=1)
        self._last: Result | None = None
        self._away: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Serve until the stop event is set; then end between two items, within 10 seconds."""
        app = self._app
        listen = Listen.parse(app.settings.listen)
        token = web_token(app.settings)
        check_exposure(listen, SecretStr(token), token_name="FACESETS_TOKEN")  # noqa: S106 - the name of a setting
        pictures = WholePictures(app.context, app.sources, app.pool)
        await pictures.tidy()
        identify = Identify(app.store, app.settings, app.pool)
        references = References(
            app.store, app.settings, app.pool, app.context.references, identify.rival, app.context.clock
        )
        context = WebContext(
            board=app.board,
            library=library_reads(app.store, app.settings, app.board),
            library_for=UserLibraries(app.user_database, app.settings, app.board).of,
            users=lambda: app.users,
            user_of_key=app.key_owners.user_of,
            decisions=ApiDecisions(
                app.store, app.tree, app.context.crops_dir, app.context.references, app.context.clock, app.context.turns
            ).calls(),
            references=reference_calls(references),
            eras=EraReads(app.store, app.settings).calls(),
            answers=kept_answers(app.store, app.context.clock),
            identify=identify.answer,
            whole_picture=pictures.show,
            token=token,
            request_job=self.request_job,
            cancel_job=app.runner.cancel,
            status=self.status,
            ready=self.ready,
            registry=app.metrics.registry,
            version=program_version(),
            base_path=app.settings.base_path,
            ended_sessions=await app.store.read(named_values.read_ended_sessions),
            login_links=self.login_links,
            keep_ended=lambda ended: app.store.write(named_values.write_ended_sessions, ended),
        )
        watch = EventLoopWatch(app.metrics.observe_lag)
        async with serve_web(context, listen) as bound:
            await self._warn_of_dropped_users()
            log.info("serving", address=f"http://{bound}{context.base_path}", token_file=app.settings.token is None)
            if self._on_serving is not None:
                self._on_serving(bound)
            self._trigger.start()
            self._trigger.fire()
            try:
                async with asyncio.TaskGroup() as tasks:
                    work = tasks.create_task(self._work())
                    watching = tasks.create_task(watch.run())
                    await app.context.stop.wait()
                    watching.cancel()
                    await until_stopped(work, app.context.stop)
            except BaseExceptionGroup as errors:
                raise first_error(errors) from None
            finally:
                self._trigger.stop()

    async def _warn_of_dropped_users(self) -> None:
        with contextlib.suppress(TransientError):  # the first sync tells of a database that is down
            if dropped := await dropped_warnings(self._app.store, self._app.sources):
                log.warning("users_not_in_settings", count=len(dropped), advice="'immich-facesets status' names them")

    async def _work(self) -> None:
        while not self._app.context.stop.is_set():
            wanted = await self._next_request()
            try:
                result = await self._app.runner.run(
                    wanted.kind, source=wanted.source, people=wanted.people, on_begin=wanted.tell
                )
            except RequestError as error:  # the source was removed after the sync was requested
                log.warning("request_not_met", message=str(error))
                wanted.tell(str(error))
                continue
            wanted.tell(result.message)  # of a job that could not begin
            if wanted.kind == "export":
                continue  # it tells nothing of the sources
            self._last = result
            self._away = result.error.sources if isinstance(result.error, SourceAwayError) else frozenset()
            if result.outcome is Outcome.OUTAGE and not self._away:
                await self._wait_for_recovery()
            elif result.outcome is Outcome.BUG:
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _next_request(self) -> WantedJob:
        """Return the next sync: a requested one, or that of the schedule or of a source that is back."""
        request = asyncio.create_task(self._requests.get())
        waiting = [request, asyncio.create_task(self._trigger.wait())]
        if self._away:
            waiting.append(asyncio.create_task(self._wait_for_away()))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return request.result() if request.done() else WantedJob("incremental")
        finally:
            for task in waiting:
                task.cancel()

    async def _wait_for_away(self) -> None:
        """Return when a source that is away is back; not before a minute, as the others are synced anyway."""
        await asyncio.sleep(_PAUSE_SECONDS)
        await self._wait_for_sources(self._away)

    async def _wait_for_sources(self, names: Collection[str]) -> None:
        """Return when these sources are up, or some time after the first: a folder may never be mounted again."""
        sources = self._app.sources
        waiting = [asyncio.create_task(sources[name].wait_until_up()) for name in names if name in sources]
        try:
            if waiting:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.wait(waiting, timeout=_OTHERS_SECONDS)
        finally:
            for task in waiting:
                task.cancel()

    async def _wait_for_recovery(self) -> None:
        """Probe with growing pauses until database, sources and embedder respond, then trigger a sync at once."""
        database_was_down = await self._wait_for_database()
        if not database_was_down and all(remote.circuit == "closed" for remote in self._app.board.now.remotes):
            await asyncio.sleep(_PAUSE_SECONDS)  # no known cause: avoid syncs without a pause
        await self._wait_for_sources(self._app.sources)
        await self._app.pool.wait_until_usable()
        self._trigger.fire()

    async def _wait_for_database(self) -> bool:
        """Wait until the database responds; return whether it was down."""
        pause = _FIRST_LOOK_SECONDS
        while True:
            try:
                await self._app.store.read(named_values.read_value, "space")
            except FacesetsError as error:
                if pause == _FIRST_LOOK_SECONDS:
                    log.warning("database_down", message=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _PAUSE_SECONDS)
            else:
                if pause > _FIRST_LOOK_SECONDS:
                    log.info("database_back")
                return pause > _FIRST_LOOK_SECONDS

    def request_job(self, kind: JobKind, source: str | None, people: frozenset[int] | None = None) -> Begun | None:
        """Request a job, an export of these people alone where there are any, and return its number to come; None while one runs."""
        begun: Begun = asyncio.get_running_loop().create_future()
        wanted = WantedJob(kind, source, people, begun)
        wanted.refuse_impossible(self._app.runner.source_names)
        if self._app.runner.is_running or self._requests.full():
            return None
        self._requests.put_nowait(wanted)
        return begun

    async def ready(self) -> shown.Readiness:
        """
        Return whether the service is ready.

        It is not while a remote is down or no picture is read though some wait, and not after a sync that ended early.
        """
        objections = [
            shown.Objection(message=remote.message or f"{remote.name} is down", advice=remote.advice)
            for remote in self._app.board.now.remotes
            if remote.circuit != "closed"
        ]
        if (last := self._last_objection()) is not None and last.message not in {one.message for one in objections}:
            objections.append(last)
        if (standstill := self._standstill()) is not None:
            objections.append(standstill)
        try:
            await self._app.store.read(named_values.read_value, "space")
        except FacesetsError as error:
            objections.append(shown.Objection(message=str(error)))
        return shown.Readiness(objections=tuple(objections))

    def _standstill(self) -> shown.Objection | None:
        """Return the objection while no picture is read though some wait."""
        seconds = self._app.board.standstill_seconds("embed")
        if seconds < max(_STANDSTILL * self._app.settings.embedding_timeout, _STANDSTILL_SECONDS):
            return None
        stage = self._app.board.stage("embed")
        return shown.Objection(
            message=f"no picture was read for {seconds / 60:.0f} min, though {(stage.total or 0) - stage.done:,} wait",
            advice="Look at the logs of the embedder and of Immich. Slow pictures are found, and the others then read.",
        )

    def _last_objection(self) -> shown.Objection | None:
        """Return what the last sync objects to; an outage and a bug count until the next one has begun."""
        match self._last:
            case Result(outcome=Outcome.SETUP, message=message):
                return shown.Objection(message=message, advice="Change it, then sync again.")
            case Result(outcome=Outcome.OUTAGE | Outcome.BUG, message=message) if not self._app.runner.is_running:
                return shown.Objection(message=message, advice="The next sync tries again by itself.")
            case _:
                return None

    async def status(self) -> shown.StatusFacts:
        """Return everything that the status page shows beside the progress."""
        return await status_facts(self._app)


async def status_facts(app: App) -> shown.StatusFacts:
    """Return the current facts from the store, the embedders and the disk."""
    settings = app.settings
    info = app.pool.info if app.pool.is_open else None
    free = await asyncio.to_thread(shutil.disk_usage, settings.data_dir)
    return msgspec.structs.replace(
        await stored_status(app.store, app.sources, settings),
        model=None if info is None else _model_facts(info),
        database=database_url(settings).partition(":")[0],
        export_dir=str(settings.export_dir),
        disk_free_bytes=free.free,
    )


def _model_facts(info: Info) -> shown.ModelFacts:
    facts = msgspec.convert(info, shown.ModelFacts, from_attributes=True)
    return msgspec.structs.replace(facts, remark=pack_remark(info.pack))
