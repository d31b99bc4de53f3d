"""The lane that carries any call: decoding, cutting and aligning, in threads of its own."""

from collections.abc import Callable
from typing import TypeVar, cast

from embedder.batching import Lane, LaneSize

ResultT = TypeVar("ResultT")


class Hands:
    """What ``do`` is given runs in one of ``workers`` threads; ``on_death`` and ``on_batch`` as for every lane."""

    def __init__(
        self,
        workers: int,
        room: int,
        *,
        on_death: Callable[[str, BaseException], None],
        on_batch: Callable[[str, int, float], None],
    ) -> None:
        self.lane: Lane[Callable[[], object], object] = Lane(
            "hands",
            lambda calls: [call() for call in calls],
            LaneSize(workers=workers, room=room),
            on_death=on_death,
            on_batch=on_batch,
        )

    async def do(self, call: Callable[[], ResultT]) -> ResultT:
        """What ``call`` returns, from a worker thread."""
        return cast("ResultT", await self.lane.run(call))  # the lane carries any call, each with its own result
