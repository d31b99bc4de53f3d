"""Rate and time left of a stage, on the page, in the terminal and in the log."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from service.progress import ENOUGH_ITEMS, RATE_SECONDS, ProgressBoard
from service.sync.progress_log import logged
from service.web.formatting import pace, stage_note


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def running(total: int | None) -> tuple[ProgressBoard, Clock]:
    clock = Clock()
    board = ProgressBoard(clock=clock)
    board.update_stage("embed", state="running")
    board.update_stage("embed", done=0, total=total)
    return board, clock


def work(board: ProgressBoard, clock: Clock, *, items: int, per_second: float) -> None:
    for _ in range(items):
        clock.now += 1 / per_second
        board.update_stage("embed", done=board.stage("embed").done + 1)


def test_a_few_items_tell_no_rate() -> None:
    board, clock = running(100)
    work(board, clock, items=ENOUGH_ITEMS - 1, per_second=2)
    assert board.stage("embed").per_second is None
    work(board, clock, items=1, per_second=2)
    assert board.stage("embed").per_second == pytest.approx(2)
    assert board.stage("embed").seconds_left == pytest.approx(40)


@given(st.floats(0.5, 500), st.integers(ENOUGH_ITEMS, 400))
def test_a_steady_rate_is_told_as_it_is(per_second: float, items: int) -> None:
    board, clock = running(1000)
    work(board, clock, items=items, per_second=per_second)
    stage = board.stage("embed")
    if items / per_second <= RATE_SECONDS:
        assert stage.per_second == pytest.approx(per_second)
        assert stage.seconds_left == pytest.approx((1000 - items) / per_second)


def test_the_rate_follows_what_becomes_slower() -> None:
    board, clock = running(100_000)
    work(board, clock, items=6000, per_second=100)
    work(board, clock, items=240, per_second=2)
    assert board.stage("embed").per_second == pytest.approx(2, rel=0.05)


def test_a_slow_machine_has_a_rate_too() -> None:
    board, clock = running(1000)
    work(board, clock, items=300, per_second=0.1)
    assert board.stage("embed").per_second == pytest.approx(0.1, rel=0.1)


def test_a_listing_has_a_rate_and_no_end() -> None:
    board, clock = running(None)
    work(board, clock, items=100, per_second=50)
    assert board.stage("embed").per_second == pytest.approx(50)
    assert board.stage("embed").seconds_left is None


def test_a_new_total_or_state_begins_anew() -> None:
    board, clock = running(50)
    work(board, clock, items=30, per_second=5)
    board.update_stage("embed", done=0, total=20)
    assert board.stage("embed").per_second is None
    work(board, clock, items=20, per_second=5)
    board.update_stage("embed", state="done")
    assert (board.stage("embed").per_second, board.stage("embed").seconds_left) == (None, None)


def test_a_note_alone_changes_no_rate() -> None:
    board, clock = running(100)
    work(board, clock, items=30, per_second=5)
    board.update_stage("embed", note="fetching again")
    assert stage_note(board.stage("embed")) == "fetching again, 5.0 a second, about 14 s left"


def test_an_estimate_that_is_given_stays() -> None:
    board, clock = running(100)
    clock.now += 1
    board.update_stage("embed", done=50, seconds_left=7.0)
    assert board.stage("embed").seconds_left == 7.0


@pytest.mark.parametrize(
    ("per_second", "words"), [(1234, "1,234 a second"), (3.44, "3.4 a second"), (0.5, "30 a minute")]
)
def test_rates_in_words(per_second: float, words: str) -> None:
    assert pace(per_second) == words


async def test_the_log_says_how_far_the_running_stage_is() -> None:
    board, clock = running(100)
    work(board, clock, items=40, per_second=4)
    with capture_logs() as lines:
        async with logged(board, every=0.01), asyncio.timeout(10):
            while not lines:  # noqa: ASYNC110  the captured lines are a list
                await asyncio.sleep(0.01)
    assert lines[0] == {
        "event": "sync_progress",
        "log_level": "info",
        "stage": "embed",
        "done": 40,
        "total": 100,
        "failed": 0,
        "per_second": 4.0,
        "seconds_left": 15.0,
    }
