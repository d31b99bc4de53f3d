"""Decisions by command while a service runs: the command asks that service."""

import secrets
from collections.abc import Sequence

import httpx
import msgspec

from immich_facesets.errors import RequestError
from immich_facesets.moderation.requests import Request
from immich_facesets.runtime.listen_address import Listen
from service.cli.terminal import print_remark
from service.settings import Settings
from service.storage import web_token
from service.store.moderation import MadeDecisions

_SECONDS = 60.0
_EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to recognise them


class _Made(MadeDecisions, frozen=True):
    remark: str = ""


async def decide_over_api(settings: Settings, requests: Sequence[Request], reason: str) -> MadeDecisions | None:
    """
    Let the service of these settings make decisions; None where none answers at their address, or it has another token.

    Raises a ``RequestError`` with what the service objects to.
    """
    listen = Listen.parse(settings.listen)
    if listen.port == 0:
        return None
    target = Listen(_EVERY_INTERFACE.get(listen.host, listen.host), listen.port)
    question = {"decisions": msgspec.to_builtins(list(requests)), "reason": reason}
    headers = {"Authorization": f"Bearer {web_token(settings)}", "Idempotency-Key": secrets.token_hex(16)}
    async with httpx.AsyncClient(trust_env=False, timeout=_SECONDS) as client:
        try:
            answer = await client.post(
                f"http://{target}{settings.base_path}/api/decisions", json=question, headers=headers
            )
        except httpx.ConnectError:
            return None
        except httpx.HTTPError as error:
            raise RequestError(
                f"the service at {target} did not answer ({type(error).__name__}): 'immich-facesets decisions list' shows "
                "whether it was done"
            ) from error
    return _read(answer, target)


def _read(answer: httpx.Response, target: Listen) -> MadeDecisions | None:
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return None
    try:
        if answer.status_code == httpx.codes.OK:
            made = msgspec.json.decode(answer.content, type=_Made)
            if made.remark:
                print_remark(made.remark)
            return MadeDecisions(made.decisions, made.kinds, made.effect, made.selected)
        problem = msgspec.json.decode(answer.content, type=dict[str, object])
        raise RequestError(str(problem["detail"]), status=answer.status_code)
    except (msgspec.DecodeError, KeyError) as error:
        raise RequestError(f"what answers at {target} is no service of ours, or of another version") from error
