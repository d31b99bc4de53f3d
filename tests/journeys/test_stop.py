"""A stop while much is computed: the process ends within seconds, and nothing is lost."""

import asyncio
import signal
import time

import pytest
from journey import Journey, Unkilled, ended, until
from large_sync import add_faces, memberships

from immich_facesets.runtime.shutdown import ExitCode

STOP_SECONDS = 10.0
BUSY = 2.0
"""How much longer it may take on a machine that runs other tests too."""

FACES = 50_000


@pytest.mark.slow
async def test_grouping_fifty_thousand_faces_is_stopped_within_seconds_and_loses_nothing(
    journey: Journey, unkilled: Unkilled
) -> None:
    journey.begin_from(unkilled.synced)
    add_faces(journey.data, FACES)
    before = memberships(journey.data)
    for delay in (0.0, 2.0, 5.0, 10.0):
        service = journey.start("discover")
        await until(lambda service=service: "Grouping faces: running" in service.stderr)
        await asyncio.sleep(delay)
        assert service.is_running
        began = time.monotonic()
        service.signal(signal.SIGTERM)
        assert await ended(service) == ExitCode.STOPPED, service.stderr[-3000:]
        assert time.monotonic() - began < STOP_SECONDS * BUSY
        assert service.stderr.splitlines()[-1].startswith("stopped: ")
        assert memberships(journey.data) == before
    service = journey.start("discover")
    assert await ended(service, 1200) == ExitCode.STOPPED, service.stderr[-3000:]
    assert len(memberships(journey.data)) > FACES // 2
