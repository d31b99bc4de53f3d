"""The guard of a remote: bounded retries, a circuit breaker, and recovery."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from immich_facesets.errors import ItemError, OutOfServiceError, SetupError, TransientError
from service.progress import RemoteState
from service.remote.breaker import Breaker
from service.remote.guard import ONCE, STUBBORN, CircuitOpenError, Guard


class Remote:
    """A remote that fails on demand, and a clock that advances only in sleep."""

    def __init__(self, *, silence_seconds: float = 0.0) -> None:
        self.now = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
        self.is_down = False
        self.only_calls_fail = False
        self.calls = 0
        self.probes = 0
        self.slept: list[float] = []
        self.states: list[RemoteState] = []
        self.silence_seconds = silence_seconds
        self.guard = Guard(
            "Immich (anna)",
            Breaker(clock=lambda: self.now),
            self.probe,
            advice="Start it.",
            clock=lambda: self.now,
            sleep=self.sleep,
            on_change=self.states.append,
            jitter=lambda: 1.0,
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    async def read(self) -> str:
        self.calls += 1
        if self.is_down or self.only_calls_fail:
            self.now += timedelta(seconds=self.silence_seconds)
            raise TransientError("connection refused")
        return "data"

    async def probe(self) -> None:
        self.probes += 1
        if self.is_down:
            raise TransientError("connection refused by the probe")


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    left = list(errors)

    async def call() -> str:
        if left:
            raise left.pop(0)
        return "data"

    return call


async def test_a_transient_failure_is_retried_without_an_error() -> None:
    remote = Remote()
    assert await remote.guard.call(failing(TransientError("hiccup"), TransientError("hiccup"))) == "data"
    assert remote.guard.state.failures == 0
    assert remote.slept == [0.25, 0.5]


async def test_the_tries_for_one_item_are_bounded() -> None:
    remote = Remote()
    remote.only_calls_fail = True
    with pytest.raises(TransientError, match="connection refused"):
        await remote.guard.call(remote.read)
    assert remote.calls == 4
    assert sum(remote.slept) < 3


@pytest.mark.parametrize("error", [SetupError("bad key"), ItemError("gone", reason="not_found")])
async def test_only_transient_errors_are_retried(error: Exception) -> None:
    remote = Remote()
    with pytest.raises(type(error)):
        await remote.guard.call(failing(error))
    assert remote.slept == []


@pytest.mark.parametrize("error", [SetupError("bad key"), ItemError("gone", reason="not_found")])
async def test_a_refused_key_or_a_404_proves_the_remote_is_up(error: Exception) -> None:
    remote = Remote()
    remote.only_calls_fail = True
    with pytest.raises(TransientError):
        await remote.guard.call(remote.read)
    assert remote.guard.state.failures == 4
    with pytest.raises(type(error)):
        await remote.guard.call(failing(error))
    assert remote.guard.state.failures == 0


async def test_the_pause_the_remote_asks_for_is_kept() -> None:
    remote = Remote()
    await remote.guard.call(failing(TransientError("busy", retry_after=7)))
    assert remote.slept == [7]


async def test_a_pause_longer_than_our_patience_ends_the_call_at_once() -> None:
    remote = Remote()
    with pytest.raises(TransientError) as caught:
        await remote.guard.call(failing(TransientError("busy", retry_after=600)))
    assert caught.value.retry_after == 600
    assert remote.slept == []


async def test_a_dead_remote_opens_the_circuit_after_twelve_calls_and_a_probe() -> None:
    remote = Remote()
    remote.is_down = True
    errors = []
    for _ in range(20):
        try:
            await remote.guard.call(remote.read)
        except TransientError as error:
            errors.append(error)
    assert remote.calls == 12
    assert remote.probes == 1
    assert sum(isinstance(error, CircuitOpenError) for error in errors) == 18


async def test_eight_at_once_notice_a_dead_remote_within_bounded_calls() -> None:
    remote = Remote()
    remote.is_down = True

    async def work() -> None:
        with pytest.raises(CircuitOpenError):
            await remote.guard.call(remote.read)

    await asyncio.gather(*(work() for _ in range(8)))
    assert 12 <= remote.calls <= 20
    assert remote.probes == 1
    assert sum(remote.slept) / 8 < 5


async def test_a_remote_that_reports_itself_out_of_service_is_not_asked_again_until_a_pause_is_over() -> None:
    remote = Remote()
    closed = failing(OutOfServiceError("closed for maintenance"))
    with pytest.raises(CircuitOpenError, match=r"is down since .*: closed for maintenance\. Start it\."):
        await remote.guard.call(closed, rule=STUBBORN)
    with pytest.raises(CircuitOpenError):
        await remote.guard.call(remote.read)
    assert (remote.calls, remote.probes, remote.slept) == (0, 0, [])
    assert remote.states[-1].circuit == "open"
    await remote.guard.wait_until_closed()
    assert await remote.guard.call(remote.read) == "data"
    assert remote.probes == 1


async def test_a_stubborn_call_goes_on_until_the_circuit_has_decided() -> None:
    remote = Remote()
    remote.is_down = True
    with pytest.raises(CircuitOpenError):
        await remote.guard.call(remote.read, rule=STUBBORN)
    assert remote.calls == 12
    assert sum(remote.slept) < 30


async def test_a_remote_that_hangs_is_noticed_although_few_calls_failed() -> None:
    remote = Remote(silence_seconds=30)
    remote.is_down = True
    started = remote.now
    with pytest.raises(CircuitOpenError):
        await remote.guard.call(remote.read, rule=STUBBORN)
    assert remote.calls <= 3
    assert remote.now - started <= timedelta(seconds=95)


async def test_while_the_probe_succeeds_the_circuit_stays_closed() -> None:
    remote = Remote()
    remote.only_calls_fail = True
    for _ in range(10):
        with pytest.raises(TransientError) as caught:
            await remote.guard.call(remote.read)
        assert not isinstance(caught.value, CircuitOpenError)
    assert remote.calls == 40
    assert remote.probes == 3
    assert remote.guard.state.circuit == "closed"


async def test_an_open_circuit_fails_at_once_and_says_what_to_do() -> None:
    remote = Remote()
    remote.is_down = True
    with pytest.raises(CircuitOpenError):
        await remote.guard.call(remote.read, rule=STUBBORN)
    calls = remote.calls
    with pytest.raises(CircuitOpenError) as caught:
        await remote.guard.call(remote.read)
    assert remote.calls == calls
    line = str(caught.value)
    assert "\n" not in line
    assert line == "Immich (anna) is down since 2026-01-01 12:00:00 UTC: connection refused by the probe. Start it."


async def test_who_can_wait_is_let_through_when_the_remote_is_back() -> None:
    remote = Remote()
    remote.is_down = True
    with pytest.raises(CircuitOpenError):
        await remote.guard.call(remote.read, rule=STUBBORN)
    remote.slept.clear()
    waiting = asyncio.create_task(remote.guard.wait_until_closed())
    for _ in range(40):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert remote.slept[:4] == [5, 10, 20, 40]
    remote.is_down = False
    await waiting
    assert await remote.guard.call(remote.read) == "data"


async def test_several_who_wait_share_one_probe() -> None:
    remote = Remote()
    remote.is_down = True
    with pytest.raises(CircuitOpenError):
        await remote.guard.call(remote.read, rule=STUBBORN)
    remote.is_down = False
    probes = remote.probes
    await asyncio.gather(*(remote.guard.wait_until_closed() for _ in range(5)))
    assert remote.probes == probes + 1


async def test_after_the_pause_a_call_probes_by_itself() -> None:
    remote = Remote()
    remote.is_down = True
    with pytest.raises(CircuitOpenError):
        await remote.guard.call(remote.read, rule=STUBBORN)
    remote.is_down = False
    remote.now += timedelta(seconds=5)
    assert await remote.guard.call(remote.read) == "data"


async def test_a_probe_that_hangs_counts_as_failed() -> None:
    remote = Remote()
    remote.is_down = True

    async def hang() -> None:
        await asyncio.Event().wait()

    guard = Guard("Immich", Breaker(threshold=1), hang, probe_seconds=0.01)
    with pytest.raises(CircuitOpenError, match=r"no answer within 0\.01 seconds"):
        await guard.call(remote.read, rule=ONCE)


async def test_a_probe_that_is_cancelled_leaves_the_circuit_able_to_recover() -> None:
    remote = Remote()
    remote.is_down = True
    entered = asyncio.Event()

    async def hang() -> None:
        entered.set()
        await asyncio.Event().wait()

    guard = Guard("Immich", Breaker(threshold=1), hang)
    task = asyncio.create_task(guard.call(remote.read, rule=ONCE))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert guard.state.circuit == "open"


async def test_a_bug_is_not_retried_and_not_counted() -> None:
    remote = Remote()
    with pytest.raises(ZeroDivisionError):
        await remote.guard.call(failing(ZeroDivisionError()))
    assert remote.slept == []
    assert remote.guard.state.failures == 0


async def test_every_change_of_state_is_told_once() -> None:
    remote = Remote()
    remote.is_down = True
    with pytest.raises(CircuitOpenError):
        await remote.guard.call(remote.read, rule=STUBBORN)
    remote.is_down = False
    await remote.guard.wait_until_closed()
    circuits = [state.circuit for state in remote.states]
    assert circuits == ["closed"] * 12 + ["probing", "open", "probing", "closed"]
    assert remote.states[0].failures == 1
    assert remote.states[-1].failures == 0
