"""Translation of Immich's error answers into the project's four errors: the only reader of its messages."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

from immich_facesets.errors import FacesetsError, ItemError, OutOfServiceError, SetupError, TransientError
from service.remote.failure_words import words_of

MOST_SIGNS = 500
"""The most that is shown of a server's own message."""

LONGEST_RETRY_AFTER_SECONDS = 3600.0
"""The limit of a pause from ``Retry-After``: longer ones are cut to an hour."""

_NOT_FOUND_OR_NO_ACCESS = "Not found or no "
_MISSING_PERMISSION = "Missing required permission: "
_LOCKED = "Elevated permission is required"
_NO_MEDIA = "Asset media not found"
_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


class AnswerError(TransientError):
    """
    An unusable answer from a reachable Immich: a 500, a truncated body, or a web page instead of data.

    Unlike an outage, it can be caused by the requested item. ``reason`` is the code that an ``ItemError`` for that
    item would have.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class KeyRefusedError(SetupError):
    """Immich knows no such API key: it was never made, or was removed."""


class NoSuchRouteError(TransientError):
    """A 404 ``Cannot GET ...``: maintenance mode, or not the API; only ``/server/config`` shows which."""


@dataclass(frozen=True, slots=True)
class ApiErrors:
    """The error messages for one source: ``source`` is its configured name, ``place`` the host and port."""

    source: str
    place: str

    def of_answer(self, status: int, headers: Mapping[str, str], body: bytes, *, about_item: bool) -> FacesetsError:
        """
        Return the error for an answer other than 2xx.

        ``about_item``: whether the request was for one asset, so that a refusal is an error of that asset.
        """
        message = message_of(body)
        match status:
            case HTTPStatus.UNAUTHORIZED:
                return self._unauthorized(message)
            case HTTPStatus.FORBIDDEN:
                return self._forbidden(message)
            case HTTPStatus.NOT_FOUND:
                return self._not_found(message, about_item=about_item)
            case HTTPStatus.INTERNAL_SERVER_ERROR:
                return self._internal_error(headers)
            case _ if status in _BUSY or status > HTTPStatus.INTERNAL_SERVER_ERROR:
                return TransientError(
                    f"Immich at {self.place} is busy or down (HTTP {status})", retry_after=retry_after_of(headers)
                )
            case _:
                return self._refused(status, message, about_item=about_item)

    def of_redirect(self, target: httpx.URL) -> SetupError:
        """Return the error for a redirect that must not be followed: it would send the key to another origin."""
        return SetupError(
            f"Immich at {self.place} redirects to {target.scheme}://{target.host}: set IMMICH_URL to the address where "
            "Immich itself answers; is a login proxy in front?"
        )

    def of_transport(self, error: httpx.HTTPError) -> FacesetsError:
        """Return the error for a failed connection."""
        match error:
            case httpx.ConnectError() if isinstance(_root(error), ssl.SSLCertVerificationError):
                return SetupError(
                    f"the certificate of {self.place} is not trusted ({_root(error)}): give it a valid one, or name "
                    "your own authority in SSL_CERT_FILE"
                )
            case httpx.ConnectError() | httpx.ConnectTimeout():
                return TransientError(f"nobody answers at {self.place} ({_root(error) or 'timed out'})")
            case httpx.ReadTimeout() | httpx.WriteTimeout():
                return AnswerError(f"Immich at {self.place} stopped answering", reason="timeout")
            case httpx.RemoteProtocolError() | httpx.ReadError() | httpx.DecodingError():
                return AnswerError(
                    f"Immich at {self.place} closed the connection in the middle of an answer ({error})",
                    reason="truncated",
                )
            case httpx.UnsupportedProtocol() | httpx.ProxyError():
                return SetupError(f"{self.place} cannot be asked ({error}): check IMMICH_URL and the proxy settings")
            case _:
                return TransientError(f"the connection to {self.place} failed ({words_of(error)})")

    def of_page(self, what: str, *, reason: str = "not_json") -> AnswerError:
        """Return the error for an answer that is not data; ``what`` is "HTML" or "something that is not JSON"."""
        return AnswerError(
            f"{self.place} answered {what} instead of Immich's data: is IMMICH_URL right, is a login proxy in front?",
            reason=reason,
        )

    def too_large(self, limit: int) -> AnswerError:
        return AnswerError(
            f"an answer of {self.place} is larger than {limit >> 20} MiB: is this Immich?", reason="answer_too_large"
        )

    def of_coding(self) -> AnswerError:
        return AnswerError(f"{self.place} compresses its answers in a way that was not requested", reason="not_json")

    def impossible(self, message: str) -> ItemError:
        """Return the error for an answer about one item that breaks its type; ``message`` names the field."""
        return ItemError(f"Immich's answer about it is impossible: {message}", reason="impossible_answer")

    def too_slow(self, seconds: float) -> AnswerError:
        return AnswerError(f"an answer of Immich at {self.place} took more than {seconds:g} seconds", reason="timeout")

    def maintenance(self) -> OutOfServiceError:
        return OutOfServiceError("Immich is in maintenance mode, which an administrator ends in Immich")

    def no_api(self) -> SetupError:
        return SetupError(f"there is no Immich API at {self.place}: is IMMICH_URL right, is this Immich 2.7 or later?")

    def missing_permissions(self, names: list[str]) -> SetupError:
        return SetupError(
            f"the API key of user {self.source!r} lacks the permission{'s' if len(names) > 1 else ''} "
            f"{', '.join(names)}: add what is missing in Immich under Account settings, API keys"
        )

    def _unauthorized(self, message: str | None) -> SetupError:
        if message == _LOCKED:
            return SetupError(f"Immich at {self.place} treats the request as one about locked pictures ({message})")
        if message is None:
            return SetupError(
                f"{self.place} asks for a login before it passes requests on to Immich: is a login proxy in front?"
            )
        return KeyRefusedError(
            f"Immich refused the API key of user {self.source!r} ({message}): make a new one in Immich under Account "
            "settings, API keys, and put it into IMMICH_API_KEY or the users file"
        )

    def _forbidden(self, message: str | None) -> SetupError:
        if message is not None and message.startswith(_MISSING_PERMISSION):
            return self.missing_permissions([message.removeprefix(_MISSING_PERMISSION)])
        reason = message or "no reason given"
        return SetupError(f"{self.place} forbids the request ({reason}): is a proxy or firewall in front of Immich?")

    def _not_found(self, message: str | None, *, about_item: bool) -> FacesetsError:
        if message is None:  # not Immich's own message: a proxy also answers this while Immich is starting
            return AnswerError(
                f"{self.place} answered 404, but not as Immich does: is IMMICH_URL right?", reason="unavailable"
            )
        if message.startswith("Cannot ") or not about_item:
            return NoSuchRouteError(message)
        if message == _NO_MEDIA:
            return ItemError("Immich has not made this picture yet, or cannot read the file", reason="not_ready")
        return ItemError("Immich does not know it, or has lost the file", reason="not_found")

    def _refused(self, status: int, message: str | None, *, about_item: bool) -> FacesetsError:
        if message is not None and message.startswith(_NOT_FOUND_OR_NO_ACCESS):
            return ItemError(f"Immich does not know it, or this key may not see it: {message}", reason="not_found")
        if about_item:
            return ItemError(f"Immich refused the request (HTTP {status}): {message}", reason="refused")
        return SetupError(
            f"Immich at {self.place} refused a request this program takes for valid (HTTP {status}: {message}); "
            "is this version of Immich newer than this program?"
        )

    def _internal_error(self, headers: Mapping[str, str]) -> FacesetsError:
        # Immich sets the file's content type before it reads the file: a 500 with that type is an unreadable file.
        if headers.get("content-type", "").startswith(("image/", "video/")):
            return ItemError("Immich cannot read the file behind this picture", reason="offline")
        return AnswerError(f"Immich at {self.place} reports an internal error (HTTP 500)", reason="server_error")


def message_of(body: bytes) -> str | None:
    """Return the message of an error's body, with the rejected fields; None if it is not Immich's JSON."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict) or "message" not in answer:
        return None
    reason = answer["message"]
    text = shortened("; ".join(map(str, reason)) if isinstance(reason, list) else str(reason))
    issues = answer.get("errors")
    if not isinstance(issues, list):
        return text
    details = [f"{_path_of(issue)}: {issue.get('message', '')}" for issue in issues if isinstance(issue, dict)]
    return shortened(f"{text} ({'; '.join(details)})")


def _path_of(issue: Mapping[str, object]) -> str:
    path = issue.get("path")
    return ".".join(map(str, path)) if isinstance(path, list) else ""


def shortened(text: str) -> str:
    return text if len(text) <= MOST_SIGNS else f"{text[:MOST_SIGNS]}..."


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Return the pause of ``Retry-After`` in seconds (RFC 9110: seconds or a date), or None."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def looks_like_html(body: bytes) -> bool:
    start = body[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))


def _root(error: BaseException) -> BaseException | None:
    """Return the innermost cause: the operating system's error."""
    inner = error.__cause__ or error.__context__
    while inner is not None and (inner.__cause__ or inner.__context__):
        inner = inner.__cause__ or inner.__context__
    return inner
