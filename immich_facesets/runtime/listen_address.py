"""Where a process listens, whether that is safe, and how it tells its parent the address it really got."""

import contextlib
import ipaddress
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
from pydantic import SecretStr

from immich_facesets.errors import SetupError


@dataclass(frozen=True, slots=True)
class Listen:
    """A TCP address; port 0 lets the system choose."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """``host:port``, ``[v6]:port``, ``:port`` (every interface); anything else is a ``SetupError``."""
        host, colon, port = text.strip().rpartition(":")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise SetupError(f"not an address to listen on: {text!r} (write host:port, such as 127.0.0.1:8786)")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise SetupError(f"not an address to listen on: {text!r} (write IPv6 as [::1]:8786)")
        return cls(host or "0.0.0.0", int(port))  # noqa: S104  an empty host is asked for, and needs a token

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it; a name other than ``localhost`` counts as reachable."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def check_exposure(listen: Listen, token: SecretStr | None, *, token_name: str) -> None:
    """Refuse to be reachable from elsewhere without a token."""
    if token is None and not listen.is_loopback:
        raise SetupError(
            f"{listen} can be reached from other machines: set {token_name} (or {token_name}_FILE), "
            "or listen on 127.0.0.1"
        )


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """
    The one JSON line a process says to its parent once it accepts connections: on stdout, or in a file.

    Nothing else is ever written to stdout by a process that announces itself.
    """

    event: str = "listening"
    host: str
    port: int
    url: str

    @classmethod
    def of(cls, listen: Listen) -> Self:
        """The announcement of the address that was really bound."""
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104  compared only
        return cls(host=listen.host, port=listen.port, url=f"http://{Listen(reachable, listen.port)}")

    @classmethod
    def read(cls, line: str | bytes) -> Self:
        """The announcement in a line of the child's stdout; ``ValueError`` for any other line."""
        announcement = msgspec.json.decode(line, type=cls)
        if announcement.event != "listening":
            raise ValueError(f"not an announcement: {announcement.event}")
        return announcement

    def line(self) -> str:
        return msgspec.json.encode(self).decode()

    def write(self, path: Path) -> None:
        """Put the line into a file, whole or not at all."""
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(self.line() + "\n")
            Path(draft).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(draft).unlink()
            raise
