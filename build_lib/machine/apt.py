"""The machine's apt: installs the packages that a task needs, and finds the Debian archive that this machine uses."""

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from build_lib import state
from build_lib.errors import BuildError
from build_lib.graph import Cancel
from build_lib.process import run, tail
from build_lib.settings import Settings

_CONFIG = Path("/etc/apt")
_LOCK_SECONDS = 300  # how long to wait for another apt on this machine
_LOCK_POLL_SECONDS = 0.5
_LISTS_LOCKED = "Could not get lock /var/lib/apt/lists"
_ROLLING = ("stable", "testing", "unstable", "sid")  # suite names that are not a codename
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """A Debian archive: the URL of its suites, and the URL of its security updates, or ""."""

    main: str
    security: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    url: str
    suites: tuple[str, ...]


def available() -> bool:
    """Whether packages can be installed here: apt exists, and this process runs as root."""
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def install(packages: Sequence[str], settings: Settings, cancel: Cancel, *, wanted: Sequence[str] = ()) -> None:
    """Install packages from the distribution, and those of `wanted` that it has. Output goes to a log.

    Raises:
        BuildError: apt failed; with the last lines of its log.
    """
    with _one_at_a_time:
        _apt_get(["update"], settings, cancel)
        names = [*packages, *_known(wanted)]
        _apt_get(["install", "--yes", "--no-install-recommends", *names], settings, cancel)


def _apt_get(arguments: Sequence[str], settings: Settings, cancel: Cancel) -> None:
    log = settings.state_dir / "logs" / "apt.log"
    with state.writing(log):
        log.touch()
    command = ["apt-get", "--quiet", "-o", f"DPkg::Lock::Timeout={_LOCK_SECONDS}", *arguments]
    environment = {**settings.environment, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        with log.open("w") as file:
            code = run(command, log=file, cancel=cancel, env=environment)
        # apt waits for the lock of dpkg, but not for that of its lists
        if not code or _LISTS_LOCKED not in tail(log) or time.monotonic() > until:
            break
        cancel.sleep(_LOCK_POLL_SECONDS)
    if code:
        raise BuildError(
            f"apt-get {' '.join(arguments)} failed with exit code {code}:\n{tail(log)}",
            hint="apt-get update shows whether this machine's apt mirror is reachable",
        )


def _known(packages: Sequence[str]) -> list[str]:
    """The packages that apt can install."""
    answer = subprocess.run(["apt-cache", "madison", *packages], capture_output=True, text=True, check=False).stdout
    found = {line.partition("|")[0].strip() for line in answer.splitlines()}
    return [name for name in packages if name in found]


def debian_archive(settings: Settings, config: Path = _CONFIG) -> Archive | None:
    """The archive to make Debian images from: `APT_MIRROR`, or else the one in this machine's sources.

    None if there is neither: the machine does not run Debian, or its sources have no URL that an image may contain. The
    security updates of a mirror are expected next to it: `…/debian-security` for `…/debian`.
    """
    if settings.apt_archive:
        return Archive(main=settings.apt_archive, security=f"{settings.apt_archive}-security")
    release = _os_release(config.parent / "os-release")
    if release.get("ID") != "debian":
        return None
    codename = release.get("VERSION_CODENAME", "")
    suites = {codename, *_ROLLING}
    sources = [source for source in _sources(config) if "@" not in source.url]
    main = next((source.url for source in sources if suites & set(source.suites)), None)
    security_suites = {f"{suite}-security" for suite in suites}
    security = next((source.url for source in sources if security_suites & set(source.suites)), "")
    return Archive(main=main, security=security) if main else None


def _os_release(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    pairs = (line.partition("=") for line in path.read_text().splitlines())
    return {name: value.strip('"') for name, _, value in pairs}


def _sources(config: Path) -> Iterator[_Source]:
    """The binary sources in apt's order (sources.list(5)), in both formats."""
    parts = sorted((config / "sources.list.d").glob("*"))
    for path in (config / "sources.list", *parts):
        if path.suffix == ".list" and path.is_file():
            yield from _one_line_sources(path.read_text(errors="replace"))
        elif path.suffix == ".sources" and path.is_file():
            yield from _deb822_sources(path.read_text(errors="replace"))


def _one_line_sources(text: str) -> Iterator[_Source]:
    for url, suite in re.findall(r"^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", text, re.MULTILINE):
        yield from _resolved(url, (suite,))


def _deb822_sources(text: str) -> Iterator[_Source]:
    without_comments = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    for stanza in re.split(r"\n\s*\n", without_comments):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*((?:.*)(?:\n[ \t].*)*)", stanza, re.MULTILINE))
        if fields.get("Enabled", "yes").strip() != "no" and "deb" in fields.get("Types", "").split():
            for url in fields.get("URIs", "").split():
                yield from _resolved(url, tuple(fields.get("Suites", "").split()))


def _resolved(url: str, suites: tuple[str, ...]) -> Iterator[_Source]:
    """The source of a URL. Cloud images name a file that lists mirrors; other schemes than http(s) are ignored."""
    if url.startswith("mirror+file:"):
        path = Path(url.removeprefix("mirror+file:").replace("///", "/"))
        lines = path.read_text().splitlines() if path.is_file() else []
        url = next((line.split()[0] for line in lines if line.strip() and not line.startswith("#")), "")
    if url.startswith(("http://", "https://")):
        yield _Source(url=url.rstrip("/"), suites=suites)
