"""Recorders, and clients that ask as builds do."""

import base64
import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from build_lib.downloads import Download, Recorder, Recording, Seen, Store
from build_lib.repository import Service, discover
from build_lib.settings import Settings
from tests.support.page_servers import own_address

DOCKERFILE = """\
FROM debian:bookworm-slim
ARG PIP_INDEX_URL={pypi}
ARG PIP_TRUSTED_HOST
ARG NPM_CONFIG_REGISTRY={npm}
ARG GOPROXY={go}
ARG GITHUB_MIRROR
"""


@dataclass(frozen=True, kw_only=True)
class Got:
    """An answer to a client."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class Client:
    """A build's program: by its proxy, or by its mirrors."""

    def __init__(self, recorder: Recorder, service: Service) -> None:
        self.recorder = recorder
        self.way, self.arguments = recorder.open(service)

    def proxied(self, url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Got:
        """Ask for a URL through the proxy."""
        proxy = urlsplit(self.arguments["http_proxy"])
        login = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        return ask(
            proxy.netloc.rpartition("@")[2], method, url, body, {"Proxy-Authorization": f"Basic {login}"} | headers
        )

    def mirrored(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Got:
        """Ask for a path of the mirrors."""
        return ask(self.recorder.authority, method, f"/{self.way.token}/{path}", body, headers)

    def seen(self) -> Seen:
        """End, and return what was seen."""
        return self.recorder.close(self.way)


def ask(authority: str, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] = {}) -> Got:
    """Send one request; header names are written with underscores for dashes."""
    connection = http.client.HTTPConnection(authority, timeout=30)
    try:
        connection.request(method, target, body, {name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        return Got(status=answer.status, reason=answer.reason, headers=dict(answer.getheaders()), body=answer.read())
    finally:
        connection.close()


class Site:
    """A repository with one service, `web`, and its store."""

    def __init__(self, root: Path, *, pypi: str = "", npm: str = "", go: str = "", **environ: str) -> None:
        (root / "src/web").mkdir(parents=True)
        (root / "src/web/Dockerfile").write_text(DOCKERFILE.format(pypi=pypi, npm=npm, go=go))
        environ = {"TRIES": "3", "STALL_SECONDS": "5", **environ}
        self.settings = Settings.load(root, environ=environ)
        self.store = Store(self.settings)
        self.service = discover(self.settings).services["web"]

    @contextmanager
    def client(self, recordings: Mapping[str, Recording] | None = None) -> Iterator[Client]:
        """A client of a recorder, or of a replay."""
        with Recorder(own_address(), self.store, self.settings, recordings) as recorder:
            yield Client(recorder, self.service)

    @contextmanager
    def replayed(self, seen: Seen) -> Iterator[Client]:
        """A client of a replay of what was seen."""
        recording = Recording(
            service="web", release="v1", fingerprint="", path="", at="", downloads=items(seen), passed=()
        )
        self.store.write(recording)
        with self.client(self.store.recordings("v1")) as client:
            yield client


def items(seen: Seen) -> tuple[Download, ...]:
    """The downloads that were seen."""
    return tuple(item for item, _ in seen.downloads)


def told(seen: Seen) -> list[tuple[str, str, str]]:
    """What else was seen: kind, what, why."""
    return [(event.kind, event.what, event.why) for event in seen.events]
