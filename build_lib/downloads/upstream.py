"""Fetching for builds: by the project's rule for retries, resumed where an answer broke off, through proxies."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # documented, but not in typeshed

import aiohttp
from yarl import URL

from build_lib.downloads import guard
from build_lib.downloads.routes import origin
from build_lib.errors import BuildError, RegistryError
from build_lib.registry import retry
from build_lib.settings import Settings
from build_lib.units import shortened

CHUNK = 1 << 18  # bytes
_CONNECT_SECONDS = 15
_CONNECTIONS = 32
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 10  # of one request, as in Go's client
_FETCHED = ("GET", "HEAD")


class Answer:
    """An answer from upstream, whose body is read once."""

    def __init__(self, upstream: "Upstream", response: aiohttp.ClientResponse, asked: Mapping[str, str]) -> None:
        self.status = response.status
        self.reason = response.reason or ""
        self.headers = response.headers
        self.url = str(response.url)
        self.size = response.content_length
        self._response = response
        self._upstream = upstream
        self._asked = asked

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read the body. Where it breaks off, the rest is asked for, if the server can say that it is the same.

        Raises:
            BuildError: it could not be read to its end.
        """
        done, tries = 0, 0
        while True:
            try:
                if tries:
                    await self._resume(done)
                with _translated(self.url):
                    async for chunk in self._response.content.iter_chunked(CHUNK):
                        done += len(chunk)
                        yield chunk
                return
            except BuildError as error:
                tries += 1
                await asyncio.sleep(retry.seconds_before_next(error, done=tries, tries=self._upstream.tries))

    async def _resume(self, done: int) -> None:
        """Ask for what follows the first bytes.

        Raises:
            BuildError: nothing answers, or what answers does not say that it is the same content.
        """
        self._response.close()
        if self._validator:
            headers = {**self._asked, "Range": f"bytes={done}-", "If-Range": self._validator}
            self._response = await self._upstream.send("GET", self.url, headers)
            begins = self._response.headers.get("Content-Range", "").startswith(f"bytes {done}-")
            if self._response.status == 206 and begins:
                return
        raise BuildError(f"{origin(self.url)}: the answer ended after {done} bytes, and cannot be resumed")

    def close(self) -> None:
        """Read no more."""
        self._response.close()

    @property
    def _validator(self) -> str:
        """What names this very content to its server (RFC 9110, 13.1.5); "" if nothing does."""
        etag = self.headers.get("ETag", "")
        return etag if etag and not etag.startswith("W/") else self.headers.get("Last-Modified", "")


class Upstream:
    """What the recorder asks on behalf of builds. It lives in one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.tries = settings.tries
        self._environment = settings.environment
        context = _trusting(settings.registry_ca_file)
        connector = aiohttp.TCPConnector(resolver=guard.Resolver(), ssl=context, limit=_CONNECTIONS)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=settings.stall_seconds)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    @asynccontextmanager
    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: AsyncIterator[bytes] | None = None
    ) -> AsyncIterator[Answer]:
        """Send a request, and again if its failure may pass. Redirects of GET and HEAD are followed.

        Raises:
            NotAllowed: it leads to an address that builds may not reach.
            BuildError: nothing answers.
        """
        tries = 0
        while True:
            try:
                response = await self.send(method, url, headers, body)
                tries += 1
                if method not in _FETCHED or not await self._again(response, tries):
                    break
            except BuildError as error:
                tries += 1
                if body is not None or isinstance(error, guard.NotAllowed):
                    raise
                await asyncio.sleep(retry.seconds_before_next(error, done=tries, tries=self.tries))
        answer = Answer(self, response, headers)
        try:
            yield answer
        finally:
            answer.close()

    def proxy(self, url: str) -> str | None:
        """The proxy for a URL, as the environment names it; None if it is reached directly."""
        parts = urlsplit(url)
        found = self._variable(f"{parts.scheme}_proxy") or self._variable("all_proxy")
        direct = proxy_bypass_environment(parts.netloc, {"no": self._variable("no_proxy")})
        return None if not found or direct else found

    def _variable(self, name: str) -> str:
        return self._environment.get(name) or self._environment.get(name.upper()) or ""

    async def _again(self, response: aiohttp.ClientResponse, tries: int) -> bool:
        """Whether to ask once more, after a wait, because a server's error may pass."""
        if response.status < 400:
            return False
        given = response.headers.get("Retry-After", "")
        asked = float(given) if given.isdecimal() else None
        error = RegistryError(f"{response.status} {response.reason}", status=response.status, retry_after=asked)
        try:
            seconds = retry.seconds_before_next(error, done=tries, tries=self.tries)
        except RegistryError:
            return False
        response.close()
        await asyncio.sleep(seconds)
        return True

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: AsyncIterator[bytes] | None = None
    ) -> aiohttp.ClientResponse:
        """Send a request once, and follow redirects.

        Raises:
            NotAllowed: it leads to an address that builds may not reach.
            BuildError: nothing answers, or it leads nowhere.
        """
        at, first = url, urlsplit(url)
        for _ in range(_MOST_REDIRECTS + 1):
            with _translated(at):
                _check_literal(at)
                response = await self._session.request(
                    method,
                    URL(at, encoded=True),
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    proxy=self.proxy(at),
                )
            location = response.headers.get("Location", "")
            if method not in _FETCHED or response.status not in _REDIRECTS or not location:
                return response
            response.close()
            at = _lead(at, location)
            if urlsplit(at).netloc != first.netloc:  # a login is for the first host alone
                headers = {name: text for name, text in headers.items() if name != "Authorization"}
        raise BuildError(f"{origin(url)} redirects more than {_MOST_REDIRECTS} times")


def _trusting(file: Path | None) -> ssl.SSLContext:
    """What to trust: what the system does, and the certificates in this file.

    Raises:
        BuildError: it cannot be read.
    """
    context = ssl.create_default_context()
    try:
        if file:
            context.load_verify_locations(cafile=str(file))
    except OSError as error:  # SSLError is one
        raise BuildError(f"the certificates in {file} cannot be read: {error}") from None
    return context


def _lead(at: str, location: str) -> str:
    """Where a redirect leads.

    Raises:
        BuildError: to no URL of http, or from an encrypted to an unencrypted one.
    """
    try:
        target = urljoin(at, location)
        scheme = urlsplit(target).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("http", "https"):
        raise BuildError(f"{origin(at)} leads to {shortened(location)!r}, which is no URL of http")
    if scheme == "http" and at.startswith("https:"):
        raise BuildError(f"{origin(at)} leads to {origin(target)}, which is not encrypted")
    return target


def _check_literal(url: str) -> None:
    """Check a host that is written as an address, which is not resolved."""
    host = urlsplit(url).hostname or ""
    try:
        guard.check_address(host, host)
    except ValueError:
        return  # it is a name


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Raise failures of aiohttp's client within the block as BuildError."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        if no := guard.refused(error):
            raise no from None
        raise BuildError(f"{origin(url)}: {_words(error)}") from error


def _words(error: Exception) -> str:
    """An error of aiohttp's client, in words that `retry` knows."""
    if isinstance(error, aiohttp.ClientPayloadError):
        return "unexpected EOF"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection"
    return "timed out" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
