"""
A fork server that starts the service and the embedder within milliseconds.

Run as a script it is that server: it imports everything once and forks for each process. Tests import ``ForkServer``
and ``ForkedProcess``. A forked service can be told to kill itself with SIGKILL at one of these points:

- every transaction of the store, by its function's name: ``before`` it, ``during`` it (all done but the commit), ``after``;
- ``file``: before a file or folder below its data folder is made, renamed or removed;
- ``step``: after each step of the export folder.
"""

import contextlib
import dataclasses
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
KILLED = -signal.SIGKILL
PROGRAMS = ("embedder.app", "embedder.engines.synthetic", "service.cli.app")
ANOTHER_MODEL = "ANOTHER_MODEL"
PUBLISHED_MODEL = "PUBLISHED_MODEL"
"""The environment variable that makes a forked embedder serve another space, whose name it holds."""
LATE_IMPORTS = ("anyio._backends._asyncio", "numpy.ma")
"""Modules that every fork would otherwise import by itself at its first request."""


class ForkedProcess:
    """A process that the fork server started."""

    def __init__(self, connection: socket.socket, output: Path) -> None:
        self._lines = connection.makefile("r")
        self._connection = connection
        self._output = output
        self.pid = int(self._lines.readline())
        self.code: int | None = None

    @property
    def stdout(self) -> str:
        return self._output.with_suffix(".out").read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        return self._output.with_suffix(".err").read_text(encoding="utf-8")

    @property
    def is_running(self) -> bool:
        """Return whether the process still runs; never blocks."""
        return self.code is None and not select.select([self._connection], [], [], 0)[0]

    def wait(self, seconds: float = 120.0) -> int:
        """Return the exit code, negative for a signal. Blocks; raises ``TimeoutError`` when it takes longer."""
        if self.code is None:
            self._connection.settimeout(seconds)
            self.code = int(self._lines.readline())
        return self.code

    def signal(self, number: int) -> None:
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def close(self) -> None:
        """Kill the process."""
        self.signal(signal.SIGKILL)
        with contextlib.suppress(OSError, ValueError):
            self.wait(20)
        self._lines.close()
        self._connection.close()


class ForkServer:
    """Starts processes of the service and the embedder within milliseconds."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="forked-")
        address = str(Path(self._folder.name) / "s")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("FACESETS_", "IMMICH_"))}
        environ |= {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}  # a fork loses the threads of a pool
        self._process = subprocess.Popen(
            [sys.executable, __file__, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, cwd=ROOT
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError("the fork server did not start")
        self._address = address
        self._number = 0
        self._started: list[ForkedProcess] = []

    def start(
        self,
        program: str,
        *arguments: str,
        environ: Mapping[str, str],
        die_at: Sequence[Any] = (),
        umask: int | None = None,
    ) -> ForkedProcess:
        """
        ``service`` or ``embedder`` with these arguments, exactly this environment, and this umask (None: our own).

        ``die_at``: the name of a point, the moment ("" for any) and the how many-th of those; ("any", "", n) counts
        all.
        """
        self._number += 1
        output = Path(self._folder.name) / f"{self._number}"
        for suffix in (".out", ".err"):
            output.with_suffix(suffix).touch()  # the caller need not wait until the process makes them
        job = {
            "program": program,
            "arguments": arguments,
            "environ": dict(environ),
            "die_at": list(die_at),
            "umask": umask,
            "output": str(output),
        }
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._address)
        connection.sendall(json.dumps(job).encode() + b"\n")
        forked = ForkedProcess(connection, output)
        self._started.append(forked)
        return forked

    def close(self) -> None:
        for forked in self._started:
            forked.close()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(20)
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Points:
    """Counts the points this process passes, and kills the process at the chosen one."""

    def __init__(self, name: str, moment: str, nth: int) -> None:
        self._name, self._moment, self._nth = name, moment, nth
        self._seen = 0
        self._lock = threading.Lock()

    def passed(self, name: str, moment: str = "") -> None:
        with self._lock:
            if self._name not in {name, "any"} or self._moment not in {"", moment}:
                return
            self._seen += 1
            if self._seen == self._nth:
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()  # nothing may happen here before the signal has ended the process


def watch_commits(points: Points) -> None:
    """Make every transaction three points."""
    from service.store.database import Store  # noqa: PLC0415 - imported by the server alone

    write_now: Any = Store.write_now

    def watched(self: Store, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        name = function.__name__

        def inside(*inner: Any, **more: Any) -> Any:
            result = function(*inner, **more)
            points.passed(name, "during")
            return result

        points.passed(name, "before")
        result = write_now(self, inside, *args, **kwargs)
        points.passed(name, "after")
        return result

    Store.write_now = watched  # type: ignore[method-assign]  # this process is made to be killed


def watch_files(points: Points, folder: str) -> None:
    """Make every change of a name below the data folder a point."""
    names = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event not in names and not (event == "open" and args[2] & writing):
            return
        if str(args[0]).startswith(folder):
            points.passed("file", event)

    sys.addaudithook(hook)


def watch_exports(points: Points) -> None:
    """Make every step of the export folder a point."""
    from service.files.export_tree import ExportTree  # noqa: PLC0415 - imported by the server alone

    begin: Any = ExportTree.__init__

    def watched(self: ExportTree, root: Path) -> None:
        begin(self, root, step=lambda word: points.passed("step", word))

    ExportTree.__init__ = watched  # type: ignore[method-assign, assignment]  # this process is made to be killed


def run_service(job: Mapping[str, Any]) -> int:
    from immich_facesets.runtime.shutdown import run_reported  # noqa: PLC0415 - imported by the server alone
    from service.cli.app import run  # noqa: PLC0415 - imported by the server alone

    if job["die_at"]:
        points = Points(*job["die_at"])
        watch_commits(points)
        watch_exports(points)
        watch_files(points, os.environ["FACESETS_DATA_DIR"])
    return run_reported(lambda: run(job["arguments"]))


def be_another_model(name: str) -> None:
    """Shift the boxes a little and rotate every vector, so that vectors of another space do not match."""
    from embedder.engines.synthetic import SyntheticEngine  # noqa: PLC0415 - imported by the server alone

    begin: Any = SyntheticEngine.__init__
    detect: Any = SyntheticEngine.detect

    def another(self: SyntheticEngine) -> None:
        begin(self)
        facts = self.facts
        self._facts = dataclasses.replace(facts, space=dataclasses.replace(facts.space, detector=name), pack=name)

    def elsewhere(face: Any) -> Any:
        box = type(face.box)(*(edge + 2 for edge in (face.box.x1, face.box.y1, face.box.x2, face.box.y2)))
        return dataclasses.replace(face, box=box, vector=face.vector[::-1].copy())

    def detects(self: SyntheticEngine, views: Any) -> Any:
        return [[elsewhere(face) for face in found] for found in detect(self, views)]

    SyntheticEngine.__init__ = another  # type: ignore[method-assign]  # this process is made to be another one
    SyntheticEngine.detect = detects  # type: ignore[method-assign]  # the same


def be_published_model(family: str) -> None:
    """State the name and digest of a published recogniser, for exports that accept its vectors alone."""
    from embedder.engines.synthetic import SyntheticEngine  # noqa: PLC0415 - imported by the server alone
    from immich_facesets.model_packs import PUBLISHED  # noqa: PLC0415 - the same
    from immich_facesets.wire import ModelInfo  # noqa: PLC0415 - the same

    begin: Any = SyntheticEngine.__init__
    file = f"{family}.onnx"
    model = ModelInfo(task="recognition", name=file, sha256=PUBLISHED[file])

    def published(self: SyntheticEngine) -> None:
        begin(self)
        self._facts = dataclasses.replace(self.facts, family=family, models=(model,))

    SyntheticEngine.__init__ = published  # type: ignore[method-assign]  # this process is made to be another one


def run_embedder(job: Mapping[str, Any]) -> int:
    from embedder.__main__ import main  # noqa: PLC0415 - imported by the server alone

    if name := os.environ.get(ANOTHER_MODEL):
        be_another_model(name)
    if name := os.environ.get(PUBLISHED_MODEL):
        be_published_model(name)
    sys.argv = ["embedder", *job["arguments"]]
    main()
    return 0


def become(job: dict[str, Any]) -> None:
    """Turn this fork into the program; does not return."""
    os.environ.clear()
    os.environ.update(job["environ"])
    if job["umask"] is not None:
        os.umask(job["umask"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, suffix in ((1, "out"), (2, "err")):
        file = os.open(f"{job['output']}.{suffix}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    code = 70
    try:
        code = {"service": run_service, "embedder": run_embedder}[job["program"]](job)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def attend(connection: socket.socket) -> None:
    """Fork the program, and report its process id and how it ended."""
    with connection, connection.makefile("rw") as stream:
        job = json.loads(stream.readline())
        pid = os.fork()
        if pid == 0:
            connection.close()
            become(job)
        stream.write(f"{pid}\n")
        stream.flush()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with contextlib.suppress(BrokenPipeError):
            stream.write(f"{code}\n")
            stream.flush()


def serve(address: str) -> None:
    """Fork for every request until standard input closes."""
    for module in (*PROGRAMS, *LATE_IMPORTS):
        importlib.import_module(module)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    print("ready", flush=True)  # noqa: T201 - the one line on stdout, for the parent
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [], 1.0)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if sys.stdin in ready:
            return
        if listener in ready:
            connection, _ = listener.accept()
            if os.fork() == 0:
                try:
                    listener.close()
                    attend(connection)
                finally:
                    os._exit(0)
            connection.close()


if __name__ == "__main__":
    serve(sys.argv[1])
