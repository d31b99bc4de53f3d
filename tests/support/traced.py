"""A program under strace: the hosts it looks up, the addresses it connects to, and the files it writes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from testdata import ROOT

_CALLS = (
    "connect,sendto,sendmsg,sendmmsg,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlinkat"
)
_PORT_OF_NAMES = 53
_FILES_OF_NAMES = ("/etc/hosts", "/etc/resolv.conf", "/run/systemd/resolve")
"""Files that only a look-up of a host's name opens; a numeric address needs none."""

_ADDRESS = re.compile(
    r'sin6?_port=htons\((?P<port>\d+)\).*?(?:inet_addr\("(?P<four>[^"]+)"|inet_pton\(AF_INET6, "(?P<six>[^"]+)")'
)
_OPENED = re.compile(
    r'\b(?:open|openat|creat)\((?:[^",]*<(?P<base>[^>]*)>, )?"(?P<path>[^"]*)"(?P<flags>.*?)\)? *(?:=|<unf)'
)
_NAMED = re.compile(r"\b(?:mkdir|mkdirat|rename\w*|link|linkat|symlinkat)\((?P<rest>.*)")
_NAME = re.compile(r'(?:<(?P<base>[^>]*)>, )?"(?P<path>[^"]*)"')
_WRITING = re.compile("O_WRONLY|O_RDWR|O_CREAT")
_NOTHING = ("/dev/null", "/dev/tty", "/dev/urandom", "/proc/self/")


@dataclass(frozen=True, slots=True)
class Trace:
    """The behaviour of a program and its children. ``connected`` are pairs of address and port."""

    code: int
    output: str
    looked_up: tuple[str, ...]
    connected: frozenset[tuple[str, int]]
    written: frozenset[str]

    def written_outside(self, folders: Iterable[Path]) -> set[str]:
        """The paths that were written or made outside these folders."""
        inside = tuple(f"{folder}/" for folder in folders)
        return {path for path in self.written if not f"{path}/".startswith(inside)}


def reason_to_skip() -> str:
    """Why nothing can be traced here; empty when it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-f", "-qq", "-e", "trace=none", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "strace may not trace here"


def trace(*arguments: str, environ: Mapping[str, str], log: Path, seconds: float | None = None) -> Trace:
    """
    Run ``python -m`` with these arguments and exactly this environment. Blocks.

    It must end by itself within two minutes. With ``seconds`` it must still run then, and is told to end.
    """
    command = ["strace", "-f", "-qq", "-y", "-s", "300", "-e", f"trace={_CALLS}", "-e", "signal=none", "-o", str(log)]
    process = subprocess.Popen(
        [*command, sys.executable, "-m", *arguments],
        env={**environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=log.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        if seconds is not None:
            time.sleep(seconds)
            os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return _read(process.returncode, output.decode(), log, Path(log.parent))


def _read(code: int, output: str, log: Path, folder: Path) -> Trace:
    looked_up: list[str] = []
    connected: set[tuple[str, int]] = set()
    written: set[str] = set()
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if (address := _ADDRESS.search(line)) is not None:
            host, port = address["four"] or address["six"], int(address["port"])
            if port == _PORT_OF_NAMES:
                looked_up.append(line)
            connected.add((host, port))
        if (opened := _OPENED.search(line)) is not None:
            path = _absolute(opened, folder)
            if path.startswith(_FILES_OF_NAMES):
                looked_up.append(line)
            if _WRITING.search(opened["flags"]) and "O_TMPFILE" not in opened["flags"]:
                written.add(path)
        elif (named := _NAMED.search(line)) is not None and "EEXIST" not in line:
            written.update(_absolute(name, folder) for name in _NAME.finditer(named["rest"]))
    return Trace(
        code,
        output,
        tuple(looked_up),
        frozenset(connected),
        frozenset(path for path in written if not path.startswith(_NOTHING)),
    )


def _absolute(found: re.Match[str], folder: Path) -> str:
    return os.path.normpath(Path(found["base"] or folder) / found["path"])
