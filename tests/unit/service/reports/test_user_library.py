"""A library that two users share answers each of them as a library of their own would."""

import pytest
from browsed_library import BrowsedLibrary
from every_answer import every_answer, everything
from shared_library import USERS, fill_shared, leave_only, other_of

from service.progress import ProgressBoard
from service.reports.library import library_reads
from service.reports.library.users import user_reads
from service.settings import Settings
from service.store.database import Store
from service.store.user_database import UserDatabase

LIBRARY = BrowsedLibrary(sizes=(24, 20, 15, 9, 7, 6, 3, 3, 2), strangers=16)


@pytest.mark.parametrize("user", USERS)
async def test_a_user_is_told_what_a_library_of_their_own_would_tell(
    store: Store, user_database: UserDatabase, user: str
) -> None:
    fill_shared(store, LIBRARY)
    about = store.read_now(everything)
    shared = await every_answer(user_reads(user_database.reader(user), Settings(), ProgressBoard()), about)
    store.write_now(leave_only, user)
    alone = await every_answer(library_reads(store, Settings(), ProgressBoard()), about)
    assert {
        question: (shared[question], alone[question]) for question in alone if shared[question] != alone[question]
    } == {}
    assert shared.keys() == alone.keys()
    text = "\n".join(shared.values())
    assert f"{user}'s friend" in text
    assert f"{user}_IMG" in text
    assert other_of(user) not in text
