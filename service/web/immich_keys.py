"""The check of an Immich API key that somebody signs in with: its form first, then Immich, a few at once."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from pydantic import SecretStr

from immich_facesets.errors import RequestError, SetupError, TransientError
from immich_facesets.runtime.rare_log import RareLog

KEY: Final = re.compile(r"[A-Za-z0-9_=+/.~-]{8,128}")
"""The form of a key that Immich is asked about. Its own keys have 40 to 43 letters and digits, and no other sign."""

AT_ONCE: Final = 4
MOST_WAITING: Final = 16
CHECK_SECONDS: Final = 20.0
"""The longest that a key waits for its turn and for Immich together."""

TOO_MANY = "Too many keys are checked right now. Try again in a few seconds."
NO_ANSWER = "Immich does not answer now, so the key could not be checked. Try again later."
CANNOT_ASK = "Immich cannot be asked now. The administrator finds the reason in the log."


@dataclass(slots=True)
class KeyChecks:
    """
    The checks under way.

    Everybody may post a key. So the number of questions at Immich is limited, and no error tells where Immich is.
    """

    user_of_key: Callable[[SecretStr], Awaitable[str | None]]
    warnings: RareLog
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _open: int = 0

    async def user_of(self, given: str) -> str | None:
        """
        Return the user that a key belongs to; None for a key that Immich refuses, or cannot have made.

        ``RequestError``: 403 for a key that signs nobody in, 429 while others are checked, 503 without an answer.
        """
        if KEY.fullmatch(given) is None:
            return None
        if self._open >= AT_ONCE + MOST_WAITING:
            raise RequestError(TOO_MANY, status=429)
        self._open += 1
        try:
            async with asyncio.timeout(CHECK_SECONDS), self._places:
                return await self.user_of_key(SecretStr(given))
        except (TransientError, TimeoutError) as error:
            self.warnings.warn("key_not_checked", message=_without(given, error))
            raise RequestError(NO_ANSWER, status=503) from None
        except SetupError as error:
            self.warnings.warn("key_not_checked", message=_without(given, error))
            raise RequestError(CANNOT_ASK, status=503) from None
        finally:
            self._open -= 1


def _without(key: str, error: Exception) -> str:
    """Return the message of an error without the key: an answer of the server may repeat it."""
    return str(error).replace(key, "...") or type(error).__name__


KEY_CHECKS = web.AppKey("key_checks", KeyChecks)
