"""Sessions of users: whose they are, how long they last, and that nobody else can make one."""

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from service.web.sessions import ADMINISTRATOR_SECONDS, MOST_ENDED, SESSION_COOKIE, USER_SECONDS, Keyring
from service.web.viewers import ADMINISTRATOR, Viewer

ANNA, BEN = Viewer("anna"), Viewer("ben")


def ring_of(*users: str, token: str = "first") -> Keyring:  # noqa: S107  a word of a test
    return Keyring(token, lambda: 1_000.0, users=lambda: dict.fromkeys(users, "one account"))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_a_session_names_its_user_whatever_the_name(name: str) -> None:
    ring = ring_of(name)
    cookie = ring.issue(Viewer(name))
    assert ring.viewer_in(cookie) == Viewer(name)
    assert cookie.isascii()
    assert not set(cookie) & set(' ",;\\=')


def test_a_users_session_lasts_a_day_and_the_administrators_a_month() -> None:
    now = 1_000.0
    ring = Keyring("first", lambda: now, users=lambda: {"anna": "one account"})
    of_anna, of_administrator = ring.issue(ANNA), ring.issue()
    now += USER_SECONDS - 1
    assert ring.viewer_in(of_anna) == ANNA
    now += 1
    assert (ring.viewer_in(of_anna), ring.viewer_in(of_administrator)) == (None, ADMINISTRATOR)
    now = 1_000.0 + ADMINISTRATOR_SECONDS
    assert ring.viewer_in(of_administrator) is None
    assert USER_SECONDS == 24 * 3600


def test_a_session_of_a_user_who_is_no_longer_configured_is_over() -> None:
    users = dict.fromkeys(("anna", "ben"), "one account")
    ring = Keyring("first", lambda: 1_000.0, users=lambda: users)
    of_anna, of_ben = ring.issue(ANNA), ring.issue(BEN)
    del users["anna"]
    assert (ring.viewer_in(of_anna), ring.viewer_in(of_ben)) == (None, BEN)
    assert ring.viewer_in(ring.issue()) == ADMINISTRATOR, "the administrator is no user of the settings"


def test_a_name_that_is_given_to_another_account_takes_no_session_along() -> None:
    users = {"anna": "account of anna", "ben": "account of ben"}
    ring = Keyring("first", lambda: 1_000.0, users=lambda: users)
    of_anna, of_ben = ring.issue(ANNA), ring.issue(BEN)
    users["anna"] = "account of carl"
    assert (ring.viewer_in(of_anna), ring.viewer_in(of_ben)) == (None, BEN)
    assert ring.viewer_in(ring.issue(ANNA)) == ANNA
    assert ring.end(of_anna), "a logout ends it for good, though it counts no more"
    users["anna"] = "account of anna"
    assert ring.viewer_in(of_anna) is None


def test_no_user_can_become_another_or_the_administrator() -> None:
    ring = ring_of("anna", "ben")
    identity, expiry, user, mark, signature = ring.issue(ANNA).split(".")
    _, _, of_ben, _, other_signature = ring.issue(BEN).split(".")
    for forged in (
        f"{identity}.{expiry}.{of_ben}.{mark}.{signature}",
        f"{identity}.{expiry}..{mark}.{signature}",
        f"{identity}.{expiry}...{signature}",
        f"{identity}.{expiry}.{user}.{signature}",
        f"{identity}.{expiry}.{user}.{mark}.{other_signature}",
        f"{identity}.{int(expiry) + 1}.{user}.{mark}.{signature}",
        f"{identity}{expiry[0]}.{expiry[1:]}.{user}.{mark}.{signature}",
        f"{identity}.{expiry}.{user}.{mark}.",
        f"{identity}.{expiry}.{user}.{mark}.{signature}.",
        f".{identity}.{expiry}.{user}.{mark}.{signature}",
    ):
        assert ring.viewer_in(forged) is None, forged
        assert ring.end(forged) is None, forged
    assert ring_of("anna", token="second").viewer_in(ring.issue(ANNA)) is None


@pytest.mark.parametrize("viewer", [ANNA, ADMINISTRATOR])
def test_a_cookie_with_any_other_bit_is_no_session(viewer: Viewer) -> None:
    ring = ring_of("anna")
    cookie = ring.issue(viewer).encode()
    for place in range(len(cookie)):
        for bit in range(8):
            changed = bytearray(cookie)
            changed[place] ^= 1 << bit
            assert ring.viewer_in(changed.decode("latin-1")) is None, (place, bit)
    assert ring.viewer_in(cookie.decode()) == viewer


def test_a_logout_ends_the_session_of_one_user_alone() -> None:
    ring = ring_of("anna", "ben")
    first, second, of_ben = ring.issue(ANNA), ring.issue(ANNA), ring.issue(BEN)
    assert list(ring.end(first) or ()) == [first.split(".")[0]]
    assert [ring.viewer_in(each) for each in (first, second, of_ben)] == [None, ANNA, BEN]


def test_many_logouts_of_one_user_take_little_room_and_bring_no_session_back() -> None:
    now, users = 1_000.0, {"anna": "a", "ben": "b"}
    ring = Keyring("first", lambda: now, users=lambda: users)
    ended, of_ben, of_administrator = [ring.issue(ANNA) for _ in range(MOST_ENDED + 9)], ring.issue(BEN), ring.issue()
    kept = [ring.end(cookie) for cookie in ended][-1]
    assert kept is not None
    assert len(kept) == MOST_ENDED + 1
    assert {ring.viewer_in(cookie) for cookie in ended} == {None}
    assert (ring.viewer_in(of_ben), ring.viewer_in(of_administrator)) == (BEN, ADMINISTRATOR)
    after_a_start = Keyring("first", lambda: now, kept, users=lambda: users)
    assert {after_a_start.viewer_in(cookie) for cookie in ended} == {None}
    assert ring.end(of_administrator)
    assert (ring.viewer_in(of_administrator), ring.viewer_in(ring.issue())) == (None, ADMINISTRATOR)
    now += 1
    assert ring.viewer_in(ring.issue(ANNA)) == ANNA
    now += USER_SECONDS
    assert len(ring.end(ring.issue(BEN)) or ()) == 2, "what has expired is kept no longer"


def test_the_first_session_that_counts_says_who_asks() -> None:
    ring = ring_of("anna")
    over = ring.issue(BEN)

    def asks(*cookies: str, **headers: str) -> Viewer | None:
        text = "; ".join(f"{SESSION_COOKIE}={cookie}" for cookie in cookies)
        return ring.viewer_of(make_mocked_request("GET", "/", headers={"Cookie": text, **headers}))

    assert asks() is None
    assert asks(over, "x") is None
    assert asks(over, ring.issue(ANNA), ring.issue()) == ANNA
    assert asks(ring.issue(), ring.issue(ANNA)) == ADMINISTRATOR
    assert asks(ring.issue(ANNA), Authorization="Bearer first") == ADMINISTRATOR
    assert asks(ring.issue(ANNA), Authorization="Bearer wrong") == ANNA
