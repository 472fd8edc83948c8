"""Repositories of git: recorded as bundles of git, and served by git's own `upload-pack` (gitprotocol-http)."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from build_lib.downloads import guard, serving
from build_lib.downloads.recording import Download
from build_lib.downloads.routes import Target, origin
from build_lib.downloads.store import Store
from build_lib.downloads.upstream import CHUNK
from build_lib.downloads.ways import Way, event, note
from build_lib.errors import BuildError

_SERVICE = "git-upload-pack"
_REFS, _PACK = "/info/refs", f"/{_SERVICE}"
_ANY = ["-c", "uploadpack.allowAnySHA1InWant=true", "-c", "uploadpack.allowFilter=true"]
# no logins of the user's, and nothing but the network: a Dockerfile chooses the URL
_QUIET = [
    *("-c", "credential.helper=", "-c", "core.askPass=true", "-c", "protocol.allow=never"),
    *("-c", "protocol.http.allow=always", "-c", "protocol.https.allow=always", "-c", "http.followRedirects=initial"),
]


def is_for(url: str, method: str) -> bool:
    """Whether a request is one of those that git sends to clone or fetch."""
    parts = urlsplit(url)
    if method == "POST":
        return parts.path.endswith(_PACK)
    return parts.path.endswith(_REFS) and parse_qs(parts.query).get("service") == [_SERVICE]


class Repositories:
    """The repositories that builds ask for, each as a bare one in a temporary directory while the recorder runs.

    `recordings` are what may be replayed, by service; None records.
    """

    def __init__(
        self, store: Store, environment: Mapping[str, str], recordings: Mapping[str, Mapping[str, Download]] | None
    ) -> None:
        self._store = store
        self._environment = {**environment, "GIT_TERMINAL_PROMPT": "0"}
        self._recordings = recordings
        self._directory = Path(tempfile.mkdtemp(prefix="build-lib-git-"))
        self._known: dict[str, tuple[Path, Download]] = {}  # by URL, or by SHA-256 of what is replayed
        self._coming: dict[str, asyncio.Lock] = {}
        self._numbers = itertools.count()

    def close(self) -> None:
        """Remove all repositories; what was recorded of them stays in the store."""
        shutil.rmtree(self._directory, ignore_errors=True)

    async def answer(self, request: web.BaseRequest, way: Way, target: Target) -> web.StreamResponse:
        """Answer a request of git's."""
        url = _repository(target.url)
        try:
            recorded = self._recorded(way, url)
            key = recorded.sha256 if recorded else url
            async with self._coming.setdefault(key, asyncio.Lock()):
                if key not in self._known:
                    self._known[key] = await self._found(recorded, url, _repository(target.upstream))
        except BuildError as error:
            refused = self._recordings is not None or isinstance(error, guard.NotAllowed)
            way.events.append(event("refused" if refused else "failed", url, error.message))
            return await serving.plain(request, 403 if refused else 502, error.message)
        directory, download = self._known[key]
        note(way, (url, ""), download)
        return await _upload_pack(request, directory, self._environment)

    def _recorded(self, way: Way, url: str) -> Download | None:
        """What was recorded for the way's service; None if that is to be done.

        Raises:
            BuildError: it was not recorded.
        """
        if self._recordings is None:
            return None
        found = self._recordings.get(way.service, {}).get(url)
        if found is None:
            raise BuildError("not recorded")
        return found

    async def _found(self, recorded: Download | None, url: str, upstream: str) -> tuple[Path, Download]:
        directory = self._directory / str(next(self._numbers))
        if recorded is None:
            return directory, await self._record(url, upstream, directory)
        if recorded.blob and (fault := await asyncio.to_thread(self._store.fault, recorded.blob)):
            raise BuildError(f"its content, sha256:{recorded.sha256}, is {fault}")
        await self._git("clone", "--quiet", "--mirror", str(self._store.path(recorded.sha256)), str(directory))
        return directory, recorded

    async def _record(self, url: str, upstream: str, directory: Path) -> Download:
        """Clone all of a repository, and keep it as one file.

        Raises:
            BuildError: it cannot be cloned.
        """
        parts = urlsplit(upstream)
        await guard.addresses(parts.hostname or "", parts.port or 443)
        await self._git(*_QUIET, "clone", "--quiet", "--mirror", "--", upstream, str(directory))
        bundle = directory.with_suffix(".bundle")
        await self._git("-C", str(directory), "bundle", "create", "--quiet", str(bundle), "--all", "HEAD")
        with self._store.incoming() as incoming, bundle.open("rb") as file:
            while chunk := file.read(CHUNK):
                incoming.write(chunk)
            sha256, size = incoming.keep(), incoming.size
        bundle.unlink()
        return Download(
            url=url,
            kind="git",
            status=200,
            sha256=sha256,
            size=size,
            headers=(),
            accept="",
            source=origin(upstream),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            lines=(),
        )

    async def _git(self, *arguments: str) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *("git", *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=dict(self._environment),
            )
        except OSError as error:
            raise BuildError(f"git cannot be run: {error.strerror}") from None
        try:
            _, said = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            raise
        if process.returncode:
            last = said.decode(errors="replace").strip().rpartition("\n")[2]
            raise BuildError(f"git says: {last.removeprefix('fatal: ')}")


def _repository(url: str) -> str:
    """The URL of the repository that a request of git's is for."""
    parts = urlsplit(url)
    path = parts.path.removesuffix(_REFS).removesuffix(_PACK)
    return parts._replace(path=path, query="").geturl()


async def _upload_pack(request: web.BaseRequest, directory: Path, environment: Mapping[str, str]) -> web.StreamResponse:
    first = request.method == "GET"
    kind = "advertisement" if first else "result"
    response = web.StreamResponse(headers={"Cache-Control": "no-cache"})
    response.content_type = f"application/x-{_SERVICE}-{kind}"
    protocol = request.headers.get("Git-Protocol", "")
    options = ["--stateless-rpc", *(["--advertise-refs"] if first else []), str(directory)]
    async with _process([*_ANY, "upload-pack", *options], {**environment, "GIT_PROTOCOL": protocol}) as process:
        assert process.stdin
        assert process.stdout
        await response.prepare(request)
        if first and "version=2" not in protocol:
            await response.write(_packet(f"# service={_SERVICE}\n") + b"0000")
        feeding = asyncio.ensure_future(_feed(request, process.stdin))
        while chunk := await process.stdout.read(CHUNK):
            await response.write(chunk)
        await feeding
    await response.write_eof()
    return response


def _packet(line: str) -> bytes:
    """A line of git's protocol (gitprotocol-common, pkt-line)."""
    return f"{len(line) + 4:04x}{line}".encode()


async def _feed(request: web.BaseRequest, stdin: asyncio.StreamWriter) -> None:
    try:
        async for chunk in request.content.iter_any():
            stdin.write(chunk)
            await stdin.drain()
        stdin.close()
    except ConnectionError:  # it has ended; its output says why
        return


@asynccontextmanager
async def _process(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *("git", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=dict(environment),
    )
    try:
        yield process
    except BaseException:
        if process.returncode is None:
            process.kill()
        raise
    finally:  # killing one that has just ended takes its end from asyncio, which warns of that
        await process.wait()
