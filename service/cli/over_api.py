"""Commands while a service runs: the command asks that service."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import httpx
import msgspec

from immich_facesets.errors import RequestError, TransientError
from immich_facesets.moderation.requests import ForgetPerson, NewPerson, Request
from immich_facesets.runtime.listen_address import Listen
from service.cli.terminal import print_remark
from service.remote.failure_words import words_of
from service.settings import Settings
from service.storage import web_token
from service.store.moderation import MadeDecisions
from service.web.api.references import LABEL, REASON
from service.web.library.identify import IdentifyAnswer
from service.web.library.references import ReferenceAdded, ReferencePreview, SentPicture
from service.web.uploads import PICTURE_TYPE

AnswerT = TypeVar("AnswerT", bound=msgspec.Struct)

_SECONDS, _SECONDS_TO_LOOK = 60.0, 2.0
_PICTURE_SECONDS = 120.0  # longer than the service waits for its embedder
_FORGET_SECONDS = 600.0
"""To forget a person rewrites the whole database."""

_EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to recognise them


class _Made(MadeDecisions, frozen=True):
    remark: str = ""


def service_address(settings: Settings) -> str | None:
    """Return the address before the base path of the service of these settings, None where none answers. Blocks."""
    target = _target(settings)
    if target is None:
        return None
    try:
        answer = httpx.get(f"http://{target}/healthz", timeout=_SECONDS_TO_LOOK, trust_env=False)
    except httpx.HTTPError:
        return None
    return f"http://{target}" if answer.status_code == httpx.codes.OK else None


def _target(settings: Settings) -> Listen | None:
    """Return where the service of these settings answers; None for a port that nobody knows."""
    listen = Listen.parse(settings.listen)
    return None if listen.port == 0 else Listen(_EVERY_INTERFACE.get(listen.host, listen.host), listen.port)


async def decide_over_api(settings: Settings, requests: Sequence[Request], reason: str) -> MadeDecisions | None:
    """
    Let the service of these settings make decisions; None where none answers at their address, or it has another token.

    Raises a ``RequestError`` with what the service objects to.
    """
    question = {"decisions": msgspec.to_builtins(list(requests)), "reason": reason}
    headers = {"Idempotency-Key": secrets.token_hex(16)}
    seconds = _FORGET_SECONDS if any(isinstance(one, ForgetPerson) for one in requests) else _SECONDS
    try:
        answer = await _post(settings, "/api/decisions", headers, seconds, json=question)
    except TransientError as error:
        raise RequestError(f"{error}: 'immich-facesets decisions list' shows whether it was done") from error
    made = None if answer is None else _read(answer, _Made)
    if made is None:
        return None
    if made.remark:
        print_remark(made.remark)
    return MadeDecisions(made.decisions, made.kinds, made.effect, made.selected, made.erased)


async def identify_over_api(settings: Settings, picture: bytes, limit: int) -> IdentifyAnswer | None:
    """
    Let the service of these settings identify the faces of a picture; None as for decisions.

    Raises a ``TransientError`` where it cannot now, and a ``RequestError`` with what else it objects to.
    """
    headers = {"Content-Type": PICTURE_TYPE}
    answer = await _post(settings, f"/api/identify?limit={limit}", headers, _PICTURE_SECONDS, content=picture)
    return None if answer is None else _read(answer, IdentifyAnswer)


async def add_reference_over_api(settings: Settings, sent: SentPicture) -> ReferenceAdded | None:
    """
    Let the service of these settings add a reference picture; None as for decisions.

    Raises a ``TransientError`` where it cannot now, and a ``RequestError`` with what else it objects to.
    """
    return await _send_reference(settings, sent, "", ReferenceAdded)


async def preview_reference_over_api(settings: Settings, sent: SentPicture) -> ReferencePreview | None:
    """Let the service of these settings answer what adding a reference picture would do; None and errors as for adding."""
    return await _send_reference(settings, sent, "/preview", ReferencePreview)


async def _send_reference(settings: Settings, sent: SentPicture, ending: str, kind: type[AnswerT]) -> AnswerT | None:
    query = {"keep_original": "true"} if sent.keeps_original else {}
    headers = {"Content-Type": PICTURE_TYPE, "Idempotency-Key": secrets.token_hex(16)}
    headers |= {REASON.name: quote(sent.author.reason)} if sent.author.reason else {}
    if sent.box is not None:
        query["box"] = ",".join(f"{side:.1f}" for side in (sent.box.x1, sent.box.y1, sent.box.x2, sent.box.y2))
    path = f"/api/identities/{sent.person}/references"
    if isinstance(sent.person, NewPerson):
        path = "/api/references"
        headers |= {LABEL.name: quote(sent.person.label)}
        query |= {"is_namesake": "true"} if sent.person.is_namesake else {}
    address = f"{path}{ending}?{urlencode(query)}"
    answer = await _post(settings, address, headers, _PICTURE_SECONDS, content=sent.picture)
    return None if answer is None else _read(answer, kind)


async def _post(
    settings: Settings, path: str, headers: Mapping[str, str], seconds: float, **body: Any
) -> httpx.Response | None:
    """Return the answer of the service of these settings; ``TransientError`` where it breaks off."""
    target = _target(settings)
    has_token = settings.token is not None or (settings.data_dir / "token").is_file()  # it is made by the first service
    if target is None or not has_token:
        return None
    own = {"Authorization": f"Bearer {web_token(settings)}", **headers}
    async with httpx.AsyncClient(trust_env=False, timeout=seconds) as client:
        try:
            return await client.post(f"http://{target}{settings.base_path}{path}", headers=own, **body)
        except httpx.ConnectError:
            return None
        except httpx.HTTPError as error:
            raise TransientError(f"the service at {target} did not answer ({words_of(error)})") from error


def _read(answer: httpx.Response, kind: type[AnswerT]) -> AnswerT | None:
    """Return a good answer; None where the token is another service's. The service's objection is raised."""
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return None
    try:
        if answer.status_code == httpx.codes.OK:
            return msgspec.json.decode(answer.content, type=kind)
        problem = msgspec.json.decode(answer.content, type=dict[str, object])
        message, reason = str(problem["detail"]), problem["reason"]
    except (msgspec.DecodeError, KeyError) as error:
        raise RequestError(
            f"what answers at {answer.url.netloc.decode()} is no service of this program, or one of another version: check FACESETS_LISTEN"
        ) from error
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and reason == "unavailable":
        raise TransientError(message)
    raise RequestError(message, status=answer.status_code)
