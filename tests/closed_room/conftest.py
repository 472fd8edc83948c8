"""A repository whose builds were recorded once, for all tests: what was built, recorded, and seen meanwhile."""

import hashlib
import re
import secrets
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from build_lib.downloads import Download, Store
from build_lib.engine import Engine
from build_lib.settings import Settings
from tests.support.closed_rooms import SERVICES, build_tools, write_repository
from tests.support.commands import run_inv
from tests.support.engines import install, remove_images
from tests.support.upstreams import Upstreams

RELEASE = "v1"
_TOKEN = re.compile(rb"http://build:([\w-]{20,})@")
_KEPT = {  # what each service's builds leave in their images
    "add": ("/opt/plain.txt", "/opt/tool-1.0.tar.gz", "/opt/tool", "/opt/other"),
    "debian": ("/var/lib/dpkg/status", "/usr/bin/hello"),
    "go": ("/opt/go/pkg/mod",),
    "node": ("/locked", "/free"),
    "python": ("/opt/python",),
    "tarball": ("/opt/tool",),
}
_OF_A_BUILD = re.compile(  # what differs from build to build, recorded or not
    r"/\.git/|/cache/lock$|/opt/go/pkg/mod/cache/download/sumdb|"
    r"/free/package-lock\.json$|/\.package-lock\.json$|/direct_url\.json$|/RECORD$"
)


class Watch:
    """Within a `with` block, reads what this machine's processes show of themselves; those in containers are left out.

    `tokens` are those of the builds, from their environments, which only their own user can read.
    """

    def __init__(self) -> None:
        self.commands: set[bytes] = set()
        self.tokens: set[bytes] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        own = Path("/proc/self/ns/pid").readlink()
        while not self._over.wait(0.01):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    command = (process / "cmdline").read_bytes()
                    if command in self.commands or (process / "ns/pid").readlink() != own:
                        continue
                    self.tokens |= set(_TOKEN.findall((process / "environ").read_bytes()))
                    self.commands.add(command)
                except OSError:  # it has ended
                    continue


@dataclass(frozen=True, kw_only=True)
class Room:
    """The repository; its environment; what its servers hold; the tools' image; the recording run and its images."""

    root: Path
    environment: dict[str, str]
    upstreams: Upstreams
    tools: str
    debian: str
    prefix: str
    done: "subprocess.CompletedProcess[str]"
    watch: Watch
    files: dict[str, dict[str, str]]
    asked: Counter[str]  # what the front server was asked for while that ran

    @property
    def store(self) -> Store:
        return Store(Settings.load(self.root, environ=self.environment))

    def downloads(self, service: str) -> dict[str, Download]:
        """What was recorded for a service, by URL."""
        recording = self.store.recording(RELEASE, service)
        assert recording is not None
        return {item.url: item for item in recording.downloads}

    def image(self, service: str) -> str:
        return f"{self.prefix}{service}:{RELEASE}"

    def inv(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return run_inv(self.root, arguments, self.environment)


def files_in(engine: Engine, image: str, service: str) -> dict[str, str]:
    """The SHA-256 of the files that a service's build left in its image, by path."""
    found = {}
    with engine.containers.temporary(image, owner="test") as container:
        for place in _KEPT[service]:
            for member, content in container.files(place):
                path = str(Path(place).parent / member.name)
                if content is not None and not _OF_A_BUILD.search(path):
                    found[path] = hashlib.sha256(content.read()).hexdigest()
    return found


@pytest.fixture(scope="session")
def room(engine: Engine, machine: Settings, debian: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """The six services, built while their downloads are recorded."""
    install("openssl", "openssl", machine)
    install("git", "git", machine)
    network = engine.networks.default()
    assert network is not None
    prefix = f"blt-{secrets.token_hex(4)}-"
    upstreams = Upstreams(network.gateway, tmp_path_factory.mktemp("upstreams"))
    try:
        tools = build_tools(tmp_path_factory.mktemp("tools"), f"{prefix}base-", debian)
        root = tmp_path_factory.mktemp("room")
        write_repository(root, tools, debian, upstreams)
        environment = {"IMAGE_PREFIX": prefix, "IMAGE_TAG": RELEASE}
        with Watch() as watch:
            done = run_inv(root, ("build-all", "--record"), environment)
        assert done.returncode == 0, done.stdout + done.stderr
        files = {name: files_in(engine, f"{prefix}{name}:{RELEASE}", name) for name in SERVICES}
        yield Room(
            root=root,
            environment=environment,
            upstreams=upstreams,
            tools=tools,
            debian=debian,
            prefix=prefix,
            done=done,
            watch=watch,
            files=files,
            asked=upstreams.front.asked.copy(),
        )
    finally:
        upstreams.close()
        remove_images(engine, prefix)
