"""A decision that is made while a grouping computes is obeyed by that grouping, and never overwritten."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from builders import INFO, NOON
from moderated_library import Moderated

from immich_facesets.errors import TransientError
from immich_facesets.moderation.requests import ForgetPerson, MergePeople, MoveFaces
from service.passes.context import PassContext
from service.passes.group import Group
from service.progress import ProgressBoard
from service.settings import Settings
from service.store.database import Store
from service.store.identities import all_memberships


class Moderator:
    """A clock that makes a decision at some of its looks: a grouping looks at it before it reads, and before it writes."""

    def __init__(self, library: Moderated, at: Iterator[int]) -> None:
        self.library, self.looks, self.at = library, 0, set(at)
        self.numbers = iter(range(2, 99))

    def __call__(self) -> datetime:
        self.looks += 1
        if self.looks in self.at:
            into = 3 if next(self.numbers) % 2 else 2
            self.library.decide(MoveFaces(faces=(self.library.face("p0"),), into=into))
        return NOON + timedelta(days=2)  # all faces are looked at


@pytest.fixture
def library(store: Store) -> Moderated:
    found = Moderated(store)
    for person, count in ((1, 7), (2, 6), (3, 5)):
        found.add(person, count=count)
    found.group()
    return found


async def group(library: Moderated, clock: Moderator, folder: Path) -> None:
    settings = Settings(data_dir=folder, min_faces=3, thresholds="fixed")
    board, stop = ProgressBoard(), asyncio.Event()
    context = PassContext(store=library.store, settings=settings, board=board, stop=stop, clock=clock)
    await Group(context, INFO, sources=["anna"]).run()


async def test_a_face_that_is_moved_meanwhile_stays_where_it_was_moved(library: Moderated, tmp_path: Path) -> None:
    library.decide(MergePeople(numbers=(3,), into=2))
    library.add(1)  # so that there is something to write
    clock = Moderator(library, iter([2]))
    await group(library, clock, tmp_path)
    assert library.number("p0") == 2
    assert library.number("p18") == 1
    assert clock.looks >= 4, "the grouping was computed anew"


async def test_a_grouping_without_changes_is_computed_anew_too_as_its_report_is_of_before(
    library: Moderated, tmp_path: Path
) -> None:
    await group(library, Moderator(library, iter(())), tmp_path)
    calm, clock = Moderator(library, iter(())), Moderator(library, iter([2]))
    await group(library, calm, tmp_path / "calm")
    await group(library, clock, tmp_path / "decided")
    assert library.number("p0") == 2
    assert clock.looks > calm.looks


async def test_a_moderator_who_never_rests_leaves_the_rest_to_the_next_sync(library: Moderated, tmp_path: Path) -> None:
    library.add(1)
    with pytest.raises(TransientError, match="the next sync groups them"):
        await group(library, Moderator(library, iter(range(2, 99, 2))), tmp_path)
    assert library.number("p0") in {2, 3}
    assert library.number("p18") is None


async def test_faces_that_are_forgotten_meanwhile_are_no_members(library: Moderated, tmp_path: Path) -> None:
    (late,) = library.add(1)
    library.add(2)

    class Forgetting(Moderator):
        def __call__(self) -> datetime:
            self.looks += 1
            if self.looks == 2:
                library.decide(ForgetPerson(identity=2, confirm=2))
            return NOON + timedelta(days=2)

    await group(library, Forgetting(library, iter(())), tmp_path)
    assert library.number(late) == 1
    assert set(library.store.read_now(all_memberships).values()) == {1, 3}
