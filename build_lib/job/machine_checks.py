"""The checks of `doctor` on this machine: the program's own files, disks, memory, proxies."""

import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from build_lib.engine import Engine
from build_lib.errors import BuildError
from build_lib.job.finding import Finding, Level, bad, good
from build_lib.settings import Settings
from build_lib.units import size

_LITTLE_DISK, _NO_DISK = 10e9, 1e9  # bytes
_LITTLE_MEMORY = 1e9  # bytes
_CONTAINERD = Path("/var/lib/containerd")  # where a containerd that is the machine's own keeps images
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_PORTS = {"https": 443, "socks5": 1080, "socks5h": 1080}
_ANSWER_SECONDS = 5


def own_files(settings: Settings) -> Finding:
    """Whether the program can write its records and logs."""
    try:
        directory = settings.state_dir
    except BuildError as error:
        return bad(".build", error)
    for place in _own_places(directory) if directory.is_dir() else [settings.project_root]:
        if not os.access(place, os.R_OK | os.W_OK | (os.X_OK if place.is_dir() else 0)):
            fix = f"sudo chown -R $(id -u):$(id -g) {place}, if it is on a disk that can be written"
            return Finding(level="bad", what=".build", detail=f"this user cannot write {place}", fix=fix)
    return good(".build", "can be written")


def _own_places(directory: Path) -> Iterator[Path]:
    """The directory, and what is in it; that is only looked at if the directory can be read."""
    yield directory
    yield from sorted(directory.iterdir())


def own_disk(settings: Settings) -> Finding:
    """The free space where blobs are downloaded to."""
    directory = settings.project_root / ".build"
    return _disk("disk of .build", directory if directory.is_dir() else settings.project_root)


def engine_disks(engine: Engine) -> Iterator[Finding]:
    """The free space where the engine keeps images, if that is on this machine; Docker Desktop has one of its own."""
    if engine.is_here():
        for place in (engine.root_directory(), *([_CONTAINERD] if engine.keeps_content() else [])):
            if place.exists():
                yield _disk(f"disk of {place}", place)


def memory() -> Iterator[Finding]:
    """The memory that is available, where the system says how much."""
    path = Path("/proc/meminfo")
    found = re.search(r"MemAvailable: +(\d+) kB", path.read_text() if path.is_file() else "")
    if found:
        free = int(found[1]) * 1024
        level: Level = "warning" if free < _LITTLE_MEMORY else "good"
        fix = "set BUILD_JOBS=1 in .env to use less" if level == "warning" else ""
        yield Finding(level=level, what="memory", detail=f"{size(free)} available", fix=fix)


def proxies(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the proxies that the environment names accept connections. Their passwords are not shown."""
    named: dict[str, list[str]] = {}
    for name, text in environment.items():
        if name.lower() in _PROXIES and text:
            named.setdefault(text, []).append(name)
    for text, names in named.items():
        url = urlsplit(text if "://" in text else f"http://{text}")
        wrong = _unreachable(url)
        detail = f"{', '.join(names)}: {url.hostname}: {wrong or 'accepts connections'}"
        fix = f"correct {names[0]}, and list hosts that need no proxy in NO_PROXY" if wrong else ""
        yield Finding(level="bad" if wrong else "good", what="proxy", detail=detail, fix=fix)


def _unreachable(url: SplitResult) -> str:
    """Why the address of a proxy cannot be connected to; "" if it can."""
    try:
        address = (url.hostname or "", url.port or _PORTS.get(url.scheme, 80))
        socket.create_connection(address, timeout=_ANSWER_SECONDS).close()
    except ValueError:
        return "this is not an address"
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _disk(what: str, path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    level: Level = "bad" if free < _NO_DISK else "warning" if free < _LITTLE_DISK else "good"
    fix = "./inv clean; docker system df" if level != "good" else ""
    return Finding(level=level, what=what, detail=f"{size(free)} free", fix=fix)
