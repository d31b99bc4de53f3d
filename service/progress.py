"""Current progress: one value that the terminal, the status page and the events all read."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

Stage = Literal["discover", "embed", "group", "publish"]
STAGES: tuple[Stage, ...] = ("discover", "embed", "group", "publish")

ENOUGH_ITEMS = 20
"""The least number of items whose rate tells how long the others take."""

RATE_SECONDS = 60.0
"""The time whose items make the rate of a stage, longer where they are few: it follows what is slower than before."""

JobKind = Literal["incremental", "faces", "full", "export"]
"""The kinds of jobs: syncs of changes, of changes and the faces of all pictures, of the whole library; and exports."""

_STAGES_OF_EXPORT: tuple[Stage, ...] = ("publish",)


class StageProgress(msgspec.Struct, frozen=True, kw_only=True):
    """
    Progress of one stage. ``total`` is None while it is unknown.

    So are ``per_second``, the items of late, and ``seconds_left``, an estimate. ``state`` is ``left_out`` where this kind of
    job has no such stage.
    """

    stage: Stage
    state: Literal["waiting", "running", "done", "failed", "left_out"] = "waiting"
    done: int = 0
    total: int | None = None
    failed: int = 0
    note: str = ""
    per_second: float | None = None
    seconds_left: float | None = None


def _first_state(stage: Stage, kind: str) -> Literal["waiting", "left_out"]:
    return "left_out" if kind == "export" and stage not in _STAGES_OF_EXPORT else "waiting"


def seconds_left(*, done: int, left: int, seconds: float) -> float | None:
    """Return how long ``left`` items take at the rate of ``done`` in ``seconds``; None if these are too few to tell."""
    if left <= 0 or seconds <= 0 or done < ENOUGH_ITEMS:
        return None
    return left * seconds / done


class RemoteState(msgspec.Struct, frozen=True, kw_only=True):
    """
    State of a remote, as its circuit breaker sees it.

    ``advice`` describes what a user can do; it is empty while the remote works.
    """

    name: str
    circuit: Literal["closed", "open", "probing"] = "closed"
    failures: int = 0
    message: str = ""
    advice: str = ""
    next_probe_at: datetime | None = None


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot: the running sync, if any, and the state of every remote."""

    run_id: int | None = None
    kind: str = ""
    started_at: datetime | None = None
    stages: tuple[StageProgress, ...] = tuple(StageProgress(stage=stage) for stage in STAGES)
    remotes: tuple[RemoteState, ...] = ()
    next_sync_at: datetime | None = None
    message: str = ""
    changed_at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))


class ProgressBoard:
    """
    Holder of the latest ``Progress``. Listeners get every newer one; slow listeners get only the latest.

    ``clock`` is monotonic, in seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._now = Progress()
        self._wakers: set[asyncio.Event] = set()
        self._clock = clock
        self._moved_at: dict[Stage, float] = {}
        self._lately: dict[Stage, deque[tuple[float, int]]] = {}

    @property
    def now(self) -> Progress:
        return self._now

    def show(self, progress: Progress) -> None:
        """Replace the snapshot and wake every listener. Call it on the event loop."""
        self._now = msgspec.structs.replace(progress, changed_at=datetime.now(UTC))
        for waker in self._wakers:
            waker.set()

    def begin(self, *, run_id: int, kind: str, started_at: datetime) -> None:
        self.show(
            msgspec.structs.replace(
                self._now,
                run_id=run_id,
                kind=kind,
                started_at=started_at,
                stages=tuple(StageProgress(stage=stage, state=_first_state(stage, kind)) for stage in STAGES),
                message="",
            )
        )

    def end(self, message: str) -> None:
        self.show(msgspec.structs.replace(self._now, run_id=None, message=message))

    def stage(self, stage: Stage) -> StageProgress:
        return next(item for item in self._now.stages if item.stage == stage)

    def update_stage(self, stage: Stage, **changes: object) -> None:
        """Change fields of one stage's progress; its rate follows, and the time left unless that is given."""
        before = self.stage(stage)
        changes = self._pace(before, changes) | changes
        if changes.get("done", before.done) != before.done or {"state", "total"} & changes.keys():
            self._moved_at[stage] = self._clock()
        stages = tuple(
            msgspec.structs.replace(item, **changes) if item.stage == stage else item for item in self._now.stages
        )
        self.show(msgspec.structs.replace(self._now, stages=stages))

    def _pace(self, before: StageProgress, changes: Mapping[str, Any]) -> dict[str, float | None]:
        """Return rate and time left of a stage after these changes; neither without a step that was counted."""
        done, total = changes.get("done", before.done), changes.get("total", before.total)
        if "state" in changes or done < before.done or "total" in changes:
            self._lately[before.stage] = deque([(self._clock(), done)])
            return {"per_second": None, "seconds_left": None}
        if done == before.done:
            return {}
        now, lately = self._clock(), self._lately.setdefault(before.stage, deque())
        while len(lately) > 1 and lately[1][0] <= now - RATE_SECONDS and done - lately[1][1] >= ENOUGH_ITEMS:
            lately.popleft()
        if not lately or now - lately[-1][0] >= RATE_SECONDS / 60:
            lately.append((now, before.done))
        since, start = lately[0]
        counted, seconds = done - start, now - since
        left = None if total is None else seconds_left(done=counted, left=total - done, seconds=seconds)
        return {
            "per_second": counted / seconds if seconds > 0 and counted >= ENOUGH_ITEMS else None,
            "seconds_left": left,
        }

    def standstill_seconds(self, stage: Stage) -> float:
        """Return for how many seconds a running stage with waiting items has finished none; 0 where nothing waits."""
        now = self.stage(stage)
        if now.state != "running" or now.total is None or now.done >= now.total:
            return 0.0
        return self._clock() - self._moved_at[stage]

    def drop_remote(self, name: str) -> None:
        """Remove a remote that no longer exists."""
        remotes = tuple(item for item in self._now.remotes if item.name != name)
        self.show(msgspec.structs.replace(self._now, remotes=remotes))

    def update_remote(self, remote: RemoteState) -> None:
        others = tuple(item for item in self._now.remotes if item.name != remote.name)
        remotes = tuple(sorted((*others, remote), key=lambda item: item.name))
        self.show(msgspec.structs.replace(self._now, remotes=remotes))

    def set_next_sync(self, moment: datetime | None) -> None:
        self.show(msgspec.structs.replace(self._now, next_sync_at=moment))

    async def changes(self) -> AsyncGenerator[Progress]:
        """Yield the current snapshot, then each newer one."""
        waker = asyncio.Event()
        self._wakers.add(waker)
        try:
            yield self._now
            while True:
                await waker.wait()
                waker.clear()
                yield self._now
        finally:
            self._wakers.discard(waker)
