"""Authentication: the token as a bearer token, or a session cookie signed with a key derived from it."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp_jinja2
from aiohttp import hdrs, web

from immich_facesets.runtime.connections import caller_at
from immich_facesets.runtime.rare_log import RareLog
from service.web.context import CONTEXT
from service.web.forms import read_form
from service.web.routes import Access, Answer, Route

SESSION_COOKIE = "facesets_session"
SESSION_SECONDS = 30 * 24 * 3600

FREE_TRIES = 3
LONGEST_PAUSE_SECONDS = 60.0
FORGET_SECONDS = 3600.0
MAX_ADDRESSES = 1000

USED_LINK = (
    "This link has signed somebody in already, is older than ten minutes, or was opened on another machine. "
    "Enter the token, or start the service anew for another link."
)


class Keyring:
    """
    The token, and the sessions derived from it.

    A session is ``<id>.<expiry>.<signature>``. Sessions survive a restart, and a new token ends them all. Only the ids
    of sessions that were ended by a logout are kept, until they would have expired: ``ended`` has those of before.
    """

    def __init__(self, token: str | None, clock: Callable[[], float], ended: Mapping[str, int] | None = None) -> None:
        self._token = None if token is None else token.encode()
        self._key = hmac.digest(self._token or b"", b"immich-facesets session 2", "sha256")
        self._clock = clock
        self._ended = dict(ended or {})

    @property
    def is_open(self) -> bool:
        """Whether no token is required at all."""
        return self._token is None

    def is_token(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token)

    def issue(self) -> str:
        session = f"{secrets.token_hex(16)}.{int(self._clock()) + SESSION_SECONDS}"
        return f"{session}.{self._sign(session)}"

    def is_session(self, cookie: str) -> bool:
        issued = self._issued(cookie)
        return issued is not None and issued[0] not in self._ended

    def end(self, cookie: str) -> Mapping[str, int] | None:
        """Return all ended sessions with their expiry, this one too, to be kept; None when it is none of ours."""
        issued, now = self._issued(cookie), self._clock()
        if issued is None:
            return None
        self._ended = dict([*((other, until) for other, until in self._ended.items() if until > now), issued])
        return self._ended

    def _issued(self, cookie: str) -> tuple[str, int] | None:
        """Return the id and the expiry of a session of ours that has not expired."""
        session, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "surrogateescape"), self._sign(session).encode()):
            return None
        identity, _, expiry = session.partition(".")
        return (identity, int(expiry)) if int(expiry) > self._clock() else None

    def shows_bearer(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        return scheme.lower() == "bearer" and self.is_token(given.strip())

    def admits(self, request: web.Request) -> bool:
        return self.is_open or self.shows_bearer(request) or any(map(self.is_session, shown_sessions(request)))

    def _sign(self, session: str) -> str:
        return hmac.new(self._key, session.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


@dataclass(slots=True)
class LoginPauses:
    """
    Pauses for wrong tokens: after three, each further one doubles the pause of its address, up to a minute.

    They slow careless programs down and limit no guessing, as the right token passes at any time: a user at the address
    of an attacker still logs in. The length of the token makes guessing hopeless.

    ``uptime`` is a monotonic clock in seconds. At most ``MAX_ADDRESSES`` are kept; the oldest is dropped first.
    """

    uptime: Callable[[], float]
    _tries: dict[str, tuple[int, float]] = field(default_factory=dict)

    def remaining(self, address: str) -> float:
        """Return the seconds until this address may try again; 0 when it may try now."""
        tries, last = self._tries.get(address, (0, 0.0))
        if tries < FREE_TRIES:
            return 0.0
        pause = min(2.0 ** min(tries - FREE_TRIES, 10), LONGEST_PAUSE_SECONDS)
        return max(0.0, last + pause - self.uptime())

    def count_wrong(self, address: str) -> None:
        now = self.uptime()
        tries, last = self._tries.pop(address, (0, now))
        self._tries[address] = (1 if now - last > FORGET_SECONDS else tries + 1, now)
        if len(self._tries) > MAX_ADDRESSES:
            del self._tries[next(iter(self._tries))]

    def forget(self, address: str) -> None:
        self._tries.pop(address, None)


KEYRING = web.AppKey("keyring", Keyring)
PAUSES = web.AppKey("pauses", LoginPauses)
WRONG_TOKENS = web.AppKey("wrong_tokens", RareLog)


def shown_sessions(request: web.Request) -> list[str]:
    """
    Return the values of all session cookies of a request.

    Below a base path there may be two: the other is of a time without one, or of another of us at the root of the host.
    """
    pairs = (pair.strip().partition("=") for pair in request.headers.get(hdrs.COOKIE, "").split(";"))
    return [value for name, _, value in pairs if name == SESSION_COOKIE]


def local_path(text: str, base: str = "") -> str:
    """Return the target after the login: ``text`` when it is a path of this service, else the status page."""
    is_ours = text.startswith(f"{base}/") and not text.startswith(("//", "/\\"))
    is_plain = all(" " < char != "\\" for char in text)
    climbs = re.search(r"/(\.|%2e){2}(/|\Z)", text.partition("?")[0], re.IGNORECASE) is not None
    return text if is_ours and is_plain and not climbs else f"{base}/"


def _login_page(request: web.Request, goal: str, *, error: str = "", status: int = 200) -> web.Response:
    return aiohttp_jinja2.render_template("login.html", request, {"goal": goal, "error": error}, status=status)


async def show_login(request: web.Request) -> web.StreamResponse:
    goal = local_path(request.query.get("next", ""), request.app[CONTEXT].base_path)
    if request.app[KEYRING].admits(request):
        raise web.HTTPSeeOther(goal)
    return _login_page(request, goal)


async def log_in(request: web.Request) -> web.StreamResponse:
    form = await read_form(request)
    base = request.app[CONTEXT].base_path
    goal = local_path(form.get("next", ""), base)
    keyring, pauses, address = request.app[KEYRING], request.app[PAUSES], caller_at(request.remote or "")
    if not keyring.is_token(form.get("token", "").strip()):
        return _refuse(request, goal, pauses, address, "That is not the token of this service.")
    pauses.forget(address)
    raise _signed_in(request, goal)


async def log_in_by_link(request: web.Request) -> web.StreamResponse:
    """Trade the ticket of a link for a session; the ticket is over then, whatever becomes of the request."""
    ticket = (await read_form(request)).get("ticket", "")
    address = caller_at(request.remote or "")
    goal = f"{request.app[CONTEXT].base_path}/"
    if not request.app[CONTEXT].login_links.take(ticket, request):
        return _refuse(request, goal, request.app[PAUSES], address, USED_LINK)
    raise _signed_in(request, goal)


def _signed_in(request: web.Request, goal: str) -> web.HTTPSeeOther:
    """Return the redirect to ``goal`` that sets a new session."""
    answer = web.HTTPSeeOther(goal)
    keyring = request.app[KEYRING]
    is_https = request.secure or request.headers.get(hdrs.X_FORWARDED_PROTO, "") == "https"
    answer.set_cookie(
        SESSION_COOKIE,
        keyring.issue(),
        path=request.app[CONTEXT].base_path or "/",
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="Strict",
        secure=is_https,
    )
    return answer


def _refuse(request: web.Request, goal: str, pauses: LoginPauses, address: str, error: str) -> web.Response:
    request.app[WRONG_TOKENS].warn("wrong_token", caller=address)
    wait = pauses.remaining(address)
    if wait <= 0:
        pauses.count_wrong(address)
        return _login_page(request, goal, error=error, status=401)
    seconds = int(wait) + 1
    page = _login_page(request, goal, error=f"Too many wrong tokens. Try again in {seconds} s.", status=429)
    page.headers[hdrs.RETRY_AFTER] = str(seconds)
    return page


async def log_out(request: web.Request) -> web.StreamResponse:
    """End the session here, whatever becomes of the cookie."""
    context, keyring = request.app[CONTEXT], request.app[KEYRING]
    ended = [kept for cookie in shown_sessions(request) if (kept := keyring.end(cookie)) is not None]
    if ended:
        await context.keep_ended(ended[-1])
    answer = web.HTTPSeeOther(f"{context.base_path}/login")
    answer.del_cookie(SESSION_COOKIE, path=context.base_path or "/", httponly=True, samesite="Strict")
    raise answer


def install_auth(app: web.Application) -> None:
    """Install the keyring and the record of wrong tokens in the application."""
    context = app[CONTEXT]
    app[KEYRING] = Keyring(context.token, context.clock, context.ended_sessions)
    app[PAUSES] = LoginPauses(context.uptime)
    app[WRONG_TOKENS] = RareLog(context.uptime)


ROUTES = (
    Route(
        method="GET",
        path="/login",
        handler=show_login,
        summary="The page that asks for the token",
        access=Access.EVERYBODY,
        answers={200: Answer("The page", media_type="text/html"), 303: Answer("Logged in already", redirects=True)},
    ),
    Route(
        method="POST",
        path="/login",
        handler=log_in,
        summary="Trade the token for a session cookie",
        access=Access.EVERYBODY,
        form={"token": "The token", "next": "The path to go to afterwards"},
        answers={
            303: Answer("Logged in; the cookie is set", redirects=True),
            401: Answer("A wrong token", media_type="text/html"),
            429: Answer("Another wrong token from this address, too soon", media_type="text/html"),
        },
    ),
    Route(
        method="POST",
        path="/login/link",
        handler=log_in_by_link,
        summary="Trade the ticket of a link, which the script of the login page takes from its fragment, for a session cookie",
        access=Access.EVERYBODY,
        form={"ticket": "The ticket, valid once and for ten minutes, on this machine alone"},
        answers={
            303: Answer("Logged in; the cookie is set", redirects=True),
            401: Answer("No valid ticket", media_type="text/html"),
            429: Answer("Another invalid one from this address, too soon", media_type="text/html"),
        },
    ),
    Route(
        method="POST",
        path="/logout",
        handler=log_out,
        summary="End the session",
        access=Access.EVERYBODY,
        answers={303: Answer("Logged out", redirects=True)},
    ),
)
