"""Mistakes that users make, each a command line in a small repository, and what the program answers."""

import contextlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.commands import ROOT
from tests.support.faults import ALWAYS, Fault, proxied
from tests.support.projects import write

_SERVICES = {"src/web/Dockerfile": "FROM debian:12\n", "src/api/Dockerfile": "FROM debian:12\n"}
_NO_ENGINE = "unix:///nowhere.sock"
HARBOR = "HARBOR"  # in a command: the host of a registry that answers as the mistake says
_METHODS = "GET|HEAD|POST|PUT"
_USER, _GROUP = "nobody", "daemon"


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A command, and what is wrong around it. `files` are added to a repository of two services, web and api."""

    command: str
    given: str = ""  # what is wrong besides the command, in words
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)  # None is a directory
    services: bool = True  # whether the repository has the two services
    status: int = 0  # what the registry answers to everything
    of_another: bool = False  # the repository is another user's, and DOCKER_HOST is a socket for another group


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the program said: its first line on stderr, the next step, and the exit code."""

    said: str
    next: str
    code: int


def answer(mistake: Mistake, place: Path) -> Answer:
    """Make the mistake in a repository in this directory, which does not exist yet.

    Raises:
        PermissionError: only root can give the repository to another user.
    """
    _lay_out(mistake, place)
    environment = _environment(place)
    with _registry(mistake) as host, contextlib.ExitStack() as stack:
        prefix: list[str] = []
        if mistake.of_another:
            environment["DOCKER_HOST"] = f"unix://{stack.enter_context(_socket(place / 'engine.sock'))}"
            prefix = give_away(place)
        done = subprocess.run(
            [*prefix, "sh", "-c", mistake.command.replace(HARBOR, host)],
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    assert "Traceback" not in done.stderr, done.stderr
    user = pwd.getpwuid(os.geteuid()).pw_name if mistake.of_another else ""
    lines = [_general(line, place, host, user) for line in done.stderr.splitlines()]
    hints = [line.strip().removeprefix("next: ") for line in lines if line.startswith("  next: ")]
    return Answer(said=next(iter(lines), ""), next=next(iter(hints), ""), code=done.returncode)


def give_away(place: Path) -> list[str]:
    """Give all files to another user, and return the command under which root is bound by permissions."""
    for path in (place, *place.rglob("*")):
        shutil.chown(path, _USER, _GROUP)
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@contextlib.contextmanager
def _socket(path: Path) -> Iterator[Path]:
    """A socket that only its owner and a group may use, as an engine's is."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        path.chmod(0o660)
        yield path


def _lay_out(mistake: Mistake, place: Path) -> None:
    (place / "home").mkdir(parents=True)
    write(place, _SERVICES if mistake.services else {})
    for name, content in mistake.files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


def _environment(place: Path) -> dict[str, str]:
    """The one in which `inv` is on the PATH, and nothing of this machine's settings applies."""
    script = place / "bin/inv"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m build_lib.wrapper "$0" "{ROOT}" "$@"\n')
    script.chmod(0o755)
    return {
        "PATH": f"{script.parent}:{os.environ['PATH']}",
        "HOME": str(place / "home"),
        "LANG": "C.UTF-8",
        "PROJECT_ROOT": str(place),
        "DOCKER_HOST": _NO_ENGINE,
    }


@contextlib.contextmanager
def _registry(mistake: Mistake) -> Iterator[str]:
    if not mistake.status:
        yield HARBOR
        return
    headers = {"WWW-Authenticate": 'Basic realm="a test"'} if mistake.status == 401 else {}
    fault = Fault(method=_METHODS, path="", status=mistake.status, headers=headers, times=ALWAYS)
    with proxied("127.0.0.1:1", fault) as proxy:
        yield proxy.host


def _general(line: str, place: Path, host: str, user: str) -> str:
    """The line without what differs from run to run."""
    line = re.sub(rf"\b{re.escape(host)}\b", HARBOR, line)
    line = re.sub(rf"\b{user}\b", "USER", line) if user else line
    return line.replace(str(place), "/repository").replace(str(ROOT), "/build-lib")
