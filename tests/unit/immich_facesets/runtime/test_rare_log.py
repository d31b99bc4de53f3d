"""One line a minute for one kind of trouble."""

import structlog

from immich_facesets.runtime.rare_log import RareLog


def test_a_kind_of_trouble_is_logged_at_once_and_then_once_a_minute() -> None:
    now = 100.0
    with structlog.testing.capture_logs() as lines:
        rare = RareLog(lambda: now)
        for _ in range(1000):
            rare.warn("slow", seconds=2.0)
        rare.warn("full")
        now = 159.9
        rare.warn("slow", seconds=2.0)
        assert [(line["event"], line["unlogged"]) for line in lines] == [("slow", 0), ("full", 0)]
        now = 160.0
        rare.warn("slow", seconds=3.0)
        now = 220.0
        rare.warn("slow", seconds=3.0)
    assert [(line["unlogged"], line["seconds"]) for line in lines[2:]] == [(1000, 3.0), (0, 3.0)]
