"""The token as a bearer token, and session cookies signed with a key derived from it."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import hdrs, web

from service.web.viewers import ADMINISTRATOR, Viewer

SESSION_COOKIE = "facesets_session"
ADMINISTRATOR_SECONDS = 30 * 24 * 3600
USER_SECONDS = 24 * 3600
"""How long a user's session lasts, and so how long a key that was revoked in Immich still shows the own pictures."""

MOST_ENDED = 1000
"""The ended sessions of which each is kept. Beyond it, a user's logout ends all sessions of the user until then."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session of ours that has not expired: its id, its expiry in seconds since 1970, whose it is, and the user's mark."""

    id: str
    expiry: int
    viewer: Viewer
    mark: str


class Keyring:
    """
    The token, and the sessions derived from it.

    A session is ``<id>.<expiry>.<user>.<mark>.<signature>``. ``user`` is the name in base64, empty for the administrator.
    Sessions survive a restart, and a new token ends them all. Only the ids of sessions that were ended by a logout are kept,
    until they would have expired: ``ended`` has those of before.

    ``users`` are those whose sessions count now, each with what tells a namesake from them: a name may be given to another
    account. The mark is made of that.
    """

    def __init__(
        self,
        token: str | None,
        clock: Callable[[], float],
        ended: Mapping[str, int] | None = None,
        *,
        users: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._token = None if token is None else token.encode()
        self._key = hmac.digest(self._token or b"", b"immich-facesets session 4", "sha256")
        self._clock = clock
        self._ended = dict(ended or {})
        self._users = users

    @property
    def is_open(self) -> bool:
        """Whether no token is required at all."""
        return self._token is None

    def is_token(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token)

    def issue(self, viewer: Viewer = ADMINISTRATOR) -> str:
        """Return the cookie of a new session."""
        expiry = int(self._clock()) + session_seconds(viewer)
        session = f"{secrets.token_hex(16)}.{expiry}.{_encoded(viewer)}.{self._mark(viewer)}"
        return f"{session}.{self._sign(session)}"

    def viewer_in(self, cookie: str) -> Viewer | None:
        """Return whose session a cookie is; None for one that is over, or none of ours."""
        session = self._issued(cookie)
        if session is None or session.id in self._ended:
            return None
        if session.expiry <= self._ended.get(_all_of(session.viewer), 0):
            return None
        viewer = session.viewer
        is_known = viewer.user is None or viewer.user in self._users()
        return viewer if is_known and hmac.compare_digest(session.mark, self._mark(viewer)) else None

    def end(self, cookie: str) -> Mapping[str, int] | None:
        """Return all ended sessions with their expiry, this one too, to be kept; None when it is none of ours."""
        session, now = self._issued(cookie), self._clock()
        if session is None:
            return None
        self._ended = {other: until for other, until in self._ended.items() if until > now}
        is_one_of_many = len(self._ended) >= MOST_ENDED and not session.viewer.is_administrator
        name = _all_of(session.viewer) if is_one_of_many else session.id
        self._ended[name] = max(session.expiry, self._ended.get(name, 0))
        return self._ended

    def _issued(self, cookie: str) -> Session | None:
        """Return the session of ours that a cookie names, if it has not expired."""
        session, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "surrogateescape"), self._sign(session).encode()):
            return None
        identity, expiry, user, mark = session.split(".")
        return Session(identity, int(expiry), _decoded(user), mark) if int(expiry) > self._clock() else None

    def shows_bearer(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        return scheme.lower() == "bearer" and self.is_token(given.strip())

    def viewer_of(self, request: web.Request) -> Viewer | None:
        """Return who asks: by the token, else by the first session that counts; None for everybody else."""
        if self.is_open or self.shows_bearer(request):
            return ADMINISTRATOR
        viewers = map(self.viewer_in, shown_sessions(request))
        return next((viewer for viewer in viewers if viewer is not None), None)

    def is_administrator(self, request: web.Request) -> bool:
        return self.viewer_of(request) == ADMINISTRATOR

    def _mark(self, viewer: Viewer) -> str:
        if viewer.user is None:
            return ""
        return self._sign(f"mark {self._users().get(viewer.user, '')}")[:32]

    def _sign(self, session: str) -> str:
        return hmac.new(self._key, session.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


KEYRING = web.AppKey("keyring", Keyring)


def session_seconds(viewer: Viewer) -> int:
    return ADMINISTRATOR_SECONDS if viewer.is_administrator else USER_SECONDS


def shown_sessions(request: web.Request) -> list[str]:
    """
    Return the values of all session cookies of a request.

    Below a base path there may be two: the other is of a time without one, or of another of us at the root of the host.
    """
    pairs = (pair.strip().partition("=") for pair in request.headers.get(hdrs.COOKIE, "").split(";"))
    return [value for name, _, value in pairs if name == SESSION_COOKIE]


def _all_of(viewer: Viewer) -> str:
    """Return the key under which all sessions of a user are ended that expire until then; it is no id of a session."""
    return f"all of {_encoded(viewer)}"


def _encoded(viewer: Viewer) -> str:
    """Return the name of a user in base64 without padding: a cookie holds no equals sign without quotes."""
    return base64.urlsafe_b64encode((viewer.user or "").encode()).decode().rstrip("=")


def _decoded(text: str) -> Viewer:
    name = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    return Viewer(name or None)
