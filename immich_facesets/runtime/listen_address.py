"""The address a process listens on, its safety check, and the announcement of the bound address to the parent."""

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
        """Parse ``host:port``, ``[v6]:port`` or ``:port`` (every interface); raise ``SetupError`` for anything else."""
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
        """Return whether only this machine can reach it; a name other than ``localhost`` counts as reachable."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def check_exposure(listen: Listen, token: SecretStr | None, *, token_name: str) -> None:
    """Refuse an address that is reachable from other machines without a token."""
    if token is None and not listen.is_loopback:
        raise SetupError(
            f"{listen} can be reached from other machines: set {token_name} (or {token_name}_FILE), "
            "or listen on 127.0.0.1"
        )


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """
    The one JSON line a process sends its parent once it accepts connections: on stdout, or in a file.

    A process that announces itself never writes anything else to stdout.
    """

    event: str = "listening"
    host: str
    port: int
    url: str

    @classmethod
    def of(cls, listen: Listen) -> Self:
        """Return the announcement of the address that was actually bound."""
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104  compared only
        return cls(host=listen.host, port=listen.port, url=f"http://{Listen(reachable, listen.port)}")

    @classmethod
    def read(cls, line: str | bytes) -> Self:
        """Return the announcement in a line of the child's stdout; raise ``ValueError`` for any other line."""
        announcement = msgspec.json.decode(line, type=cls)
        if announcement.event != "listening":
            raise ValueError(f"not an announcement: {announcement.event}")
        return announcement

    def line(self) -> str:
        return msgspec.json.encode(self).decode()

    def write(self, path: Path) -> None:
        """Write the line into a file atomically."""
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(self.line() + "\n")
            Path(draft).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(draft).unlink()
            raise
