"""The login page: it trades the token, a link or an Immich API key for a session cookie."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp_jinja2
from aiohttp import hdrs, web

from immich_facesets.errors import RequestError
from immich_facesets.runtime.connections import caller_at
from immich_facesets.runtime.rare_log import RareLog
from service.web.context import CONTEXT
from service.web.forms import read_form
from service.web.immich_keys import KEY_CHECKS, KeyChecks
from service.web.routes import Access, Answer, Route
from service.web.sessions import KEYRING, SESSION_COOKIE, Keyring, session_seconds, shown_sessions
from service.web.viewers import ADMINISTRATOR, Viewer

FREE_TRIES = 3
LONGEST_PAUSE_SECONDS = 60.0
FORGET_SECONDS = 3600.0
MAX_ADDRESSES = 1000

TOKEN, API_KEY, LINK = "token", "api_key", "ticket"
"""The fields of the login: what a visitor signs in with."""

WRONG_TOKEN = "That is not the token of this service."  # noqa: S105  a sentence, not a secret
WRONG_KEY = "Immich does not take this API key. Make one in Immich under Account settings, API keys."
NO_USERS = "This service reads no Immich library. Enter its token."
TOKEN_AS_KEY = "That is the token of this service, and Immich was not asked. Enter it above."  # noqa: S105  a sentence
USED_LINK = (
    "This link has signed somebody in already, is older than ten minutes, or was opened on another machine. "
    "Enter the token, or start the service anew for another link."
)


@dataclass(slots=True)
class LoginPauses:
    """
    Pauses for wrong tokens and keys: after three, each further one doubles the pause of its address, up to a minute.

    They slow careless programs down and limit no guessing, as the right one passes at any time: a user at the address of
    an attacker still logs in. The length of tokens and keys makes guessing hopeless.

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


PAUSES = web.AppKey("pauses", LoginPauses)
WRONG_TOKENS = web.AppKey("wrong_tokens", RareLog)


def local_path(text: str, base: str = "") -> str:
    """Return the target after the login: ``text`` when it is a path of this service, else the status page."""
    is_ours = text.startswith(f"{base}/") and not text.startswith(("//", "/\\"))
    is_plain = all(" " < char != "\\" for char in text)
    climbs = re.search(r"/(\.|%2e){2}(/|\Z)", text.partition("?")[0], re.IGNORECASE) is not None
    return text if is_ours and is_plain and not climbs else f"{base}/"


def _login_page(
    request: web.Request, goal: str, *, error: str = "", status: int = 200, field: str = TOKEN
) -> web.Response:
    """Return the page; ``error`` is shown beside the field that it is about."""
    view = {
        "goal": goal,
        "errors": {field if field == API_KEY else TOKEN: error} if error else {},
        "takes_keys": bool(request.app[CONTEXT].users()),
    }
    return aiohttp_jinja2.render_template("login.html", request, view, status=status)


async def show_login(request: web.Request) -> web.StreamResponse:
    goal = local_path(request.query.get("next", ""), request.app[CONTEXT].base_path)
    if request.app[KEYRING].viewer_of(request) is not None:
        raise web.HTTPSeeOther(goal)
    return _login_page(request, goal)


async def log_in(request: web.Request) -> web.StreamResponse:
    form = await read_form(request)
    goal = local_path(form.get("next", ""), request.app[CONTEXT].base_path)
    if API_KEY in form:
        return await _log_in_by_key(request, goal, form[API_KEY].strip())
    if not request.app[KEYRING].is_token(form.get(TOKEN, "").strip()):
        return _refuse(request, goal, WRONG_TOKEN)
    raise _signed_in(request, goal, ADMINISTRATOR)


async def _log_in_by_key(request: web.Request, goal: str, given: str) -> web.StreamResponse:
    """Sign in the user that an Immich API key belongs to. The token is no such key, and never sent to Immich."""
    if not request.app[CONTEXT].users():
        return _refuse(request, goal, NO_USERS)
    if request.app[KEYRING].is_token(given):
        return _login_page(request, goal, error=TOKEN_AS_KEY, status=401, field=API_KEY)
    try:
        user = await request.app[KEY_CHECKS].user_of(given)
    except RequestError as error:
        if error.status != 403:
            return _login_page(request, goal, error=str(error), status=error.status, field=API_KEY)
        return _refuse(request, goal, str(error), field=API_KEY, status=403)
    if user is None:
        return _refuse(request, goal, WRONG_KEY, field=API_KEY)
    raise _signed_in(request, goal, Viewer(user))


async def log_in_by_link(request: web.Request) -> web.StreamResponse:
    """Trade the ticket of a link for a session; the ticket is over then, whatever becomes of the request."""
    ticket = (await read_form(request)).get(LINK, "")
    goal = f"{request.app[CONTEXT].base_path}/"
    if not request.app[CONTEXT].login_links.take(ticket, request):
        return _refuse(request, goal, USED_LINK, field=LINK)
    raise _signed_in(request, goal, ADMINISTRATOR)


def _signed_in(request: web.Request, goal: str, viewer: Viewer) -> web.HTTPSeeOther:
    """Return the redirect to ``goal`` that sets a new session."""
    request.app[PAUSES].forget(caller_at(request.remote or ""))
    answer = web.HTTPSeeOther(goal)
    is_https = request.secure or request.headers.get(hdrs.X_FORWARDED_PROTO, "") == "https"
    answer.set_cookie(
        SESSION_COOKIE,
        request.app[KEYRING].issue(viewer),
        path=request.app[CONTEXT].base_path or "/",
        max_age=session_seconds(viewer),
        httponly=True,
        samesite="Strict",
        secure=is_https,
    )
    return answer


def _refuse(request: web.Request, goal: str, error: str, *, field: str = TOKEN, status: int = 401) -> web.Response:
    pauses, address = request.app[PAUSES], caller_at(request.remote or "")
    request.app[WRONG_TOKENS].warn("wrong_key" if field == API_KEY else "wrong_token", caller=address)
    wait = pauses.remaining(address)
    if wait <= 0:
        pauses.count_wrong(address)
        return _login_page(request, goal, error=error, status=status, field=field)
    seconds = int(wait) + 1
    error = f"Too many wrong {'keys' if field == API_KEY else 'tokens'}. Try again in {seconds} s."
    page = _login_page(request, goal, error=error, status=429, field=field)
    page.headers[hdrs.RETRY_AFTER] = str(seconds)
    return page


async def log_out(request: web.Request) -> web.StreamResponse:
    """End the session here, whatever becomes of the cookie, and let the browser drop the pictures that it kept."""
    context, keyring = request.app[CONTEXT], request.app[KEYRING]
    ended = [kept for cookie in shown_sessions(request) if (kept := keyring.end(cookie)) is not None]
    if ended:
        await context.keep_ended(ended[-1])
    answer = web.HTTPSeeOther(f"{context.base_path}/login")
    answer.del_cookie(SESSION_COOKIE, path=context.base_path or "/", httponly=True, samesite="Strict")
    answer.headers["Clear-Site-Data"] = '"cache"'
    raise answer


def install_auth(app: web.Application) -> None:
    """Install the keyring, the checks of keys and the record of wrong ones in the application."""
    context = app[CONTEXT]
    app[KEYRING] = Keyring(context.token, context.clock, context.ended_sessions, users=context.users)
    app[KEY_CHECKS] = KeyChecks(context.user_of_key, RareLog(context.uptime))
    app[PAUSES] = LoginPauses(context.uptime)
    app[WRONG_TOKENS] = RareLog(context.uptime)


ROUTES = (
    Route(
        method="GET",
        path="/login",
        handler=show_login,
        summary="The page that asks for the token, or for an Immich API key",
        access=Access.EVERYBODY,
        answers={200: Answer("The page", media_type="text/html"), 303: Answer("Logged in already", redirects=True)},
    ),
    Route(
        method="POST",
        path="/login",
        handler=log_in,
        summary="Trade the token, or an Immich API key of a user, for a session cookie",
        access=Access.EVERYBODY,
        form={
            TOKEN: "The token of this service; not beside a key",
            API_KEY: "In place of the token: an Immich API key with the permission user.read, of a user of the settings",
            "next": "The path to go to afterwards",
        },
        answers={
            303: Answer("Logged in; the cookie is set", redirects=True),
            401: Answer("A wrong token or key", media_type="text/html"),
            403: Answer("A key without the permission, or of no user of this service", media_type="text/html"),
            429: Answer(
                "Another wrong one from this address, or another key to check, too soon", media_type="text/html"
            ),
            503: Answer("Immich does not answer", media_type="text/html"),
        },
    ),
    Route(
        method="POST",
        path="/login/link",
        handler=log_in_by_link,
        summary="Trade the ticket of a link, which the script of the login page takes from its fragment, for a session cookie",
        access=Access.EVERYBODY,
        form={LINK: "The ticket, valid once and for ten minutes, on this machine alone"},
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
