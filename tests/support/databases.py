"""Real databases for tests: SQLite always, PostgreSQL where its programs are installed."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config

from service.store import database
from service.store.database import Store


def at_version(store: Store, version: str) -> None:
    """Take a database back to an older version of the tables."""
    with store.engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.downgrade(config, version)


def postgres_programs() -> Path | None:
    """The folder of initdb and pg_ctl, None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


@dataclass(frozen=True, slots=True)
class Cluster:
    """A PostgreSQL of our own: ``address`` is that of its server, with ``{name}`` for the database."""

    address: str
    start: Callable[[], None]
    stop: Callable[[], None]
    """Stop the server as a power cut would."""


@contextmanager
def postgres_cluster(folder: Path, programs: Path) -> Iterator[Cluster]:
    """A PostgreSQL of our own on a socket in ``folder``, running."""
    sockets, data = folder / "s", folder / "data"
    sockets.mkdir()
    as_user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres")
        shutil.chown(sockets, "postgres")
        as_user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
        folder.chmod(0o755)
        for parent in folder.parents:
            if parent.stat().st_uid == 0 and parent.name.startswith("pytest"):
                parent.chmod(0o755)
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}

    def run(*command: str) -> None:
        subprocess.run([*as_user, *command], check=True, env=environ, stdout=subprocess.DEVNULL, cwd=folder)

    def start() -> None:
        options = f"-c listen_addresses='' -k {sockets} -c fsync=off -c shared_buffers=32MB"
        run(str(programs / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")

    def stop() -> None:
        if (data / "postmaster.pid").is_file():
            run(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")

    run(str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "facesets", "--no-sync")
    start()
    try:
        yield Cluster(f"postgresql+psycopg://facesets@/{{name}}?host={sockets}", start, stop)
    finally:
        stop()
