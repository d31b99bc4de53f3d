"""The circuit breaker alone: no remote, no sleep, a clock that the test moves."""

from datetime import UTC, datetime, timedelta

from service.remote.breaker import Breaker, SteadyClock

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.failed("no answer")


def open_circuit(clock: Clock) -> Breaker:
    breaker = Breaker(clock=clock, first_pause_seconds=5, longest_pause_seconds=30)
    fail(breaker, 12)
    breaker.begin_probe()
    breaker.probe_failed("still no answer")
    return breaker


def test_eleven_failures_in_a_row_are_not_yet_a_reason_to_probe() -> None:
    asked = []
    breaker = Breaker()
    for _ in range(12):
        fail(breaker, 1)
        asked.append(breaker.must_probe)
    assert asked == [False] * 11 + [True]
    assert breaker.is_closed


def test_one_answer_makes_the_counting_start_again() -> None:
    breaker = Breaker()
    fail(breaker, 11)
    breaker.succeeded()
    fail(breaker, 11)
    assert not breaker.must_probe


def test_a_probe_that_succeeds_leaves_the_circuit_closed() -> None:
    breaker = Breaker()
    fail(breaker, 12)
    breaker.begin_probe()
    breaker.probe_succeeded()
    assert breaker.snapshot("Immich", "look at it").circuit == "closed"
    assert breaker.failures == 0


def test_the_circuit_opens_only_when_the_probe_fails_too() -> None:
    clock = Clock()
    breaker = open_circuit(clock)
    assert breaker.circuit == "open"
    assert not breaker.is_closed
    assert breaker.snapshot("Immich", "look at it").next_probe_at == START + timedelta(seconds=5)


def test_pauses_between_probes_grow_up_to_a_cap() -> None:
    clock = Clock()
    breaker = open_circuit(clock)
    pauses = []
    for _ in range(5):
        pauses.append(breaker.pause_left_seconds())
        clock.move(pauses[-1])
        assert breaker.is_probe_due
        breaker.begin_probe()
        breaker.probe_failed("still no answer")
    assert pauses == [5, 10, 20, 30, 30]


def test_after_it_was_closed_the_pauses_begin_small_again() -> None:
    clock = Clock()
    breaker = open_circuit(clock)
    clock.move(5)
    breaker.begin_probe()
    breaker.probe_succeeded()
    assert breaker.is_closed
    fail(breaker, 12)
    breaker.begin_probe()
    breaker.probe_failed("again")
    assert breaker.pause_left_seconds() == 5


def test_a_late_answer_does_not_close_an_open_circuit() -> None:
    breaker = open_circuit(Clock())
    breaker.succeeded()
    assert breaker.circuit == "open"


def test_a_clock_set_back_does_not_make_the_pause_endless() -> None:
    clock = Clock()
    breaker = open_circuit(clock)
    clock.move(-86_400)
    assert breaker.pause_left_seconds() == 5


def test_a_call_that_used_up_its_time_asks_for_a_probe_at_once() -> None:
    breaker = Breaker()
    breaker.failed("fell silent")
    breaker.suspect()
    assert breaker.must_probe


def test_the_snapshot_says_nothing_while_all_is_well_and_everything_when_not() -> None:
    clock = Clock()
    assert Breaker(clock=clock).snapshot("Immich", "look at it").advice == ""
    state = open_circuit(clock).snapshot("Immich", "look at it")
    assert (state.circuit, state.failures, state.message, state.advice) == ("open", 12, "still no answer", "look at it")


def test_a_circuit_that_is_probed_again_lets_no_call_through() -> None:
    clock = Clock()
    breaker = open_circuit(clock)
    clock.move(5)
    breaker.begin_probe()
    assert breaker.circuit == "probing"
    assert not breaker.is_closed


def test_a_clock_that_is_set_back_lengthens_no_pause() -> None:
    wall, passed = [START], [100.0]
    breaker = Breaker(clock=SteadyClock(lambda: wall[0], lambda: passed[0]), threshold=1)
    breaker.failed("down")
    breaker.begin_probe()
    breaker.probe_failed("down")
    wall[0] -= timedelta(days=1)
    passed[0] += 5.0
    assert breaker.is_probe_due
