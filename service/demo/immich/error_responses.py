"""The error responses of a server, per dialect."""

import json
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from service.demo.immich.api_version import Dialect

Issue = dict[str, Any]

UUID_PATTERN = "/^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12})$/"


class RefusedError(Exception):
    """An error response: its status, message, issues and headers."""

    def __init__(
        self,
        status: int,
        message: str | list[str],
        *,
        issues: list[Issue] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.issues = issues
        self.headers = dict(headers or {})

    def body(self, dialect: Dialect, correlation_id: str) -> str:
        return refusal_text(dialect, self.status, self.message, correlation_id, self.issues)


def new_correlation_id() -> str:
    return secrets.token_hex(4)


def refusal_text(
    dialect: Dialect,
    status: int,
    message: str | list[str],
    correlation_id: str,
    issues: list[Issue] | None = None,
) -> str:
    """Return the JSON body of an error: 2.x repeats status and correlation id in it, 3.x does not."""
    if not dialect.two:
        return json.dumps({"message": message} | ({} if issues is None else {"errors": issues}))
    body: dict[str, object] = {"message": message}
    if status != HTTPStatus.INTERNAL_SERVER_ERROR:
        body["error"] = HTTPStatus(status).phrase
    return json.dumps(body | {"statusCode": status, "correlationId": correlation_id})


def no_access(permission: str) -> RefusedError:
    """Return the error for both foreign and unknown items, which the server does not distinguish."""
    return RefusedError(400, f"Not found or no {permission} access")


def internal_error() -> RefusedError:
    return RefusedError(500, "Internal server error")
