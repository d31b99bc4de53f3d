"""
A reader and builder of Dockerfiles that needs no container engine.

The reader accepts the instructions that our Dockerfiles use and refuses every other, so that none stays untested. The
builder gives each stage a folder of its own as root, inside a mount namespace. It holds the stage's files, the
machine's programs (read-only), and the Python of the tests at /usr/local, as in the official image. RUN lines therefore
run unchanged, as root, at their real paths, and cannot modify the machine.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

INSTRUCTIONS = frozenset({
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL", "USER",
    "VOLUME", "WORKDIR",
})  # fmt: skip

_HOST_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "root", "proc", "dev", "sys")
_HOST_ETC = (
    "alternatives", "ca-certificates", "default", "group", "hosts", "ld.so.conf", "ld.so.conf.d",
    "localtime", "login.defs", "nsswitch.conf", "passwd", "pip.conf", "resolv.conf", "skel", "ssl", "xdg",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One instruction with its words, continuation lines joined and variables not yet filled in."""

    line: int
    name: str
    text: str


def read_steps(text: str) -> tuple[Step, ...]:
    """The instructions of a Dockerfile; one that is not known here is a ``ValueError`` that names its line."""
    steps: list[Step] = []
    parts: list[str] = []
    start = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or (not parts and not line.strip()):
            continue
        start = start if parts else number
        parts.append(line.removesuffix("\\").strip())
        if line.endswith("\\"):
            continue
        name, _, rest = " ".join(parts).partition(" ")
        if name not in INSTRUCTIONS:
            raise ValueError(f"line {start}: {name} is not an instruction this reader knows")
        steps.append(Step(start, name, rest.strip()))
        parts = []
    if parts:
        raise ValueError(f"line {start}: the file ends inside an instruction")
    return tuple(steps)


def fill_in(text: str, values: Mapping[str, str]) -> str:
    """``$NAME`` and ``${NAME}`` replaced; a name without a value is a ``ValueError``."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in values:
            raise ValueError(f"nothing gives ${name} a value")
        return values[name]

    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", value, text)


def assignments(text: str) -> dict[str, str]:
    """The pairs of an ENV or LABEL: ``NAME=value`` or ``NAME="some words"``."""
    pairs = re.findall(r'([\w.]+)=(?:"([^"]*)"|(\S+))', text)
    if not pairs or re.sub(r'([\w.]+)=(?:"([^"]*)"|(\S+))', "", text).strip():
        raise ValueError(f"not NAME=value pairs: {text}")
    return {name: quoted or bare for name, quoted, bare in pairs}


@dataclass
class Image:
    """The result of a stage: its files under ``root``, and the container's settings from its instructions."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
    args: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    labels: dict[str, str] = field(default_factory=dict)
    volumes: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    stop_signal: str | None = None
    health: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    stages: dict[str, "Image"] = field(default_factory=dict)
    """The stages this image was made from, by name."""


def stages(
    steps: Sequence[Step], args: Mapping[str, str]
) -> Iterator[tuple[str, str, tuple[Step, ...], dict[str, str]]]:
    """Every stage as name, base, steps and the build arguments that stand before the first FROM."""
    given: dict[str, str] = {}
    found: list[tuple[str, str, list[Step]]] = []
    for step in steps:
        if step.name == "ARG" and not found:
            name, _, default = step.text.partition("=")
            given[name] = args.get(name, default)
        elif step.name == "FROM":
            base, _, name = fill_in(step.text, given).partition(" AS ")
            found.append((name, base, []))
        else:
            found[-1][2].append(step)
    for name, base, inner in found:
        yield name, base, tuple(inner), given


def build(dockerfile: Path, folder: Path, args: Mapping[str, str] | None = None) -> Image:
    """Carry out every stage that the last one needs, each in a folder of its own under ``folder``."""
    plan = list(stages(read_steps(dockerfile.read_text(encoding="utf-8")), args or {}))
    by_name = {name: (base, inner) for name, base, inner, _ in plan}
    built: dict[str, Image] = {}

    def make(name: str, base: str, inner: tuple[Step, ...], given: dict[str, str]) -> Image:
        image = Image(folder / (name or "final"))
        if base in by_name:
            parent = built.get(base) or make(base, *by_name[base], given)
            shutil.copytree(parent.root, image.root, symlinks=True)
            image.env, image.workdir = dict(parent.env), parent.workdir
        else:
            _lay_out(image.root)
        built[name] = image
        for step in inner:
            _carry_out(step, image, built, given)
        return image

    _, _, _, given = plan[-1]
    needed = {
        match[1]
        for step in plan[-1][2]
        if step.name == "COPY" and (match := re.search(r"--from=(\w+)", step.text)) is not None
    }
    for name in needed:
        make(name, *by_name[name], given)
    image = make(*plan[-1])
    image.stages = built
    return image


def _carry_out(step: Step, image: Image, built: Mapping[str, Image], given: Mapping[str, str]) -> None:  # noqa: C901, PLR0912  one case per instruction
    values = {**image.args, **image.env}
    match step.name:
        case "ARG":
            name, _, default = step.text.partition("=")
            image.args[name] = given.get(name, default)
        case "ENV":
            image.env |= assignments(fill_in(step.text, values))
        case "LABEL":
            image.labels |= assignments(fill_in(step.text, values))
        case "WORKDIR":
            image.workdir = fill_in(step.text, values)
            _inside(image, image.workdir).mkdir(parents=True, exist_ok=True)
        case "COPY":
            _copy(fill_in(step.text, values), image, built)
        case "RUN":
            done = run_in(image, ["/bin/sh", "-c", step.text])
            if done.returncode != 0:
                raise AssertionError(f"line {step.line}: RUN {step.text}\n{done.stdout}{done.stderr}")
        case "USER":
            image.user = step.text
        case "VOLUME":
            image.volumes += json.loads(step.text)
        case "EXPOSE":
            image.ports.append(step.text)
        case "STOPSIGNAL":
            image.stop_signal = step.text
        case "HEALTHCHECK":
            image.health = json.loads(step.text.partition(" CMD ")[2])
        case "ENTRYPOINT":
            image.entrypoint = json.loads(step.text)
        case "CMD":
            image.command = json.loads(step.text)


def _inside(image: Image, path: str) -> Path:
    return image.root / path.lstrip("/")


def _copy(text: str, image: Image, built: Mapping[str, Image]) -> None:
    *sources, target = (word for word in text.split() if not word.startswith("--"))
    origin = re.search(r"--from=(\S+)", text)
    place = _inside(image, str(Path(image.workdir) / target))
    for source in sources:
        found = _inside(built[origin[1]], source) if origin else REPOSITORY / source
        if origin is None and not _is_sent(source):
            raise AssertionError(f".dockerignore keeps {source} out of the build")
        if found.is_dir():
            shutil.copytree(found, place, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.pyc"))
        elif target.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, place)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, place)


def _is_sent(source: str) -> bool:
    """Return whether .dockerignore, which excludes everything and then lists exceptions, includes ``source``."""
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return "*" in lines and any(
        Path(source).match(line[1:]) or source == line[1:] for line in lines if line.startswith("!")
    )


def _lay_out(root: Path) -> None:
    """An empty base image: the folders that every Linux has, and enough of /etc to look up names and hosts."""
    for name in ("etc", "opt", "tmp", "var", "run"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for name in _HOST_ETC:
        source = Path("/etc") / name
        if source.is_dir():
            shutil.copytree(source, root / "etc" / name, symlinks=True)
        elif source.exists():
            shutil.copy2(source, root / "etc" / name)
    for name in ("shadow", "gshadow"):
        (root / "etc" / name).touch(mode=0o600)


_ENTER = r"""
set -eu
root=$1; python=$2; mode=$3; workdir=$4; shift 4
mount --bind "$root" "$root"
for name in $HOST_FOLDERS; do
  if [ -L "/$name" ]; then
    [ -L "$root/$name" ] || cp -P "/$name" "$root/$name"
  elif [ -d "/$name" ]; then
    mkdir -p "$root/$name"; mount --rbind "/$name" "$root/$name"
    case $name in usr|root) mount -o remount,bind,ro "$root/$name";; esac
  fi
done
for folder in /opt/*; do
  [ -d "$folder" ] && [ "$mode" = build ] || continue
  mkdir -p "$root$folder"; mount --bind "$folder" "$root$folder"; mount -o remount,bind,ro "$root$folder"
done
case $python in /usr) ;; *) mount --bind "$python" "$root/usr/local"; mount -o remount,bind,ro "$root/usr/local";; esac
if [ -n "$PIP_CACHE" ] && [ "$mode" = build ]; then
  mkdir -p "$PIP_CACHE" "$root/tmp/pip-cache"; mount --bind "$PIP_CACHE" "$root/tmp/pip-cache"
fi
[ -e "$root/etc/ld.so.cache" ] || chroot "$root" /sbin/ldconfig
if [ "$mode" != build ]; then
  for volume in $VOLUMES; do mount --bind "$root$volume" "$root$volume"; done
  mount -o remount,bind,ro "$root"
  mount -t tmpfs -o size=256m,mode=1777 tmpfs "$root/tmp"
fi
exec chroot "$root" /usr/bin/env --ignore-environment --chdir "$workdir" "$@"
"""


def can_build() -> str:
    """Return why images cannot be built here, "" when they can."""
    if sys.platform != "linux":
        return "building images needs Linux"
    if os.geteuid() != 0:
        return "building images needs root, for mount namespaces and chroot"
    missing = [tool for tool in ("unshare", "chroot", "setpriv", "useradd", "mount") if shutil.which(tool) is None]
    if missing:
        return f"building images needs {', '.join(missing)}"
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return "" if probe.returncode == 0 else "this machine allows no mount namespace"


def base_python() -> str:
    """The prefix that stands in for the official image's /usr/local: a Python 3.12 where there is one."""
    question = "import sys; print(sys.base_prefix)"
    answer = subprocess.run(["python3.12", "-c", question], capture_output=True, text=True, check=False) if (
        shutil.which("python3.12")
    ) else None  # fmt: skip
    return answer.stdout.strip() if answer is not None and answer.returncode == 0 else sys.base_prefix


def _enter(image: Image, mode: str, command: Sequence[str], env: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    inner = [f"{name}={value}" for name, value in env.items()]
    words = ["unshare", "--mount", "--propagation", "private", "bash", "-c", _ENTER, "enter"]
    words += [str(image.root), base_python(), mode, image.workdir, *inner, *command]
    cache = Path(os.environ.get("PIP_CACHE_DIR") or Path.home() / ".cache/pip")
    outer = {
        "PATH": os.environ["PATH"],
        "HOST_FOLDERS": " ".join(_HOST_FOLDERS),
        "PIP_CACHE": str(cache),
        "VOLUMES": " ".join(image.volumes),
    }
    return words, outer


def run_in(image: Image, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command as a RUN line would, as root; only pip's cache is the machine's own, to spare the network."""
    machine = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.endswith("_proxy")}
    env = {**machine, **image.args, **image.env, "HOME": "/root", "PIP_CACHE_DIR": "/tmp/pip-cache"}  # noqa: S108  inside the image
    env.pop("PIP_NO_CACHE_DIR", None)
    words, outer = _enter(image, "build", command, env)
    return subprocess.run(words, env=outer, capture_output=True, text=True, timeout=500, check=False)


def start_in(image: Image, command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[str]:
    """
    Start a command as compose.yml starts the container: its user, no capability, only volumes and /tmp writable.

    There is no process in between: a signal to the returned process is a signal to the command.
    """
    user, group = image.user.split(":")
    hardened = ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
    hardened += ["--bounding-set=-all", "--inh-caps=-all", *command]
    words, outer = _enter(image, "run", hardened, {**image.env, **env})
    return subprocess.Popen(words, env=outer, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
