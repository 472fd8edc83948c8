"""Servers that stand for GitHub, its storage, Go's module proxy and a site with TLS, where builds reach them."""

import gzip
import io
import os
import ssl
import subprocess
import tarfile
import threading
import zipfile
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODULES = {"example.org/greeting": "v1.2.0", "example.org/words": "v0.3.1"}  # the first one needs the second
RELEASE = "https://github.com/acme/tool/releases/download/v1.0/tool-1.0.tar.gz"
REPOSITORY = "https://github.com/acme/tool.git"
PLAIN = "/files/plain.txt"
OTHER = "/git/other.git"
LARGE = "/files/large"
_CHUNK = 1 << 20
_GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_HTTP_EXPORT_ALL": "1"}
_IDENTITY = ["-c", "user.name=test", "-c", "user.email=test@example.org"]


class Server:
    """An HTTP server: files by path, redirects, and repositories of git below a directory. It counts what it sends."""

    def __init__(self, address: str, repositories: Path | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.large: dict[str, int] = {}  # sizes of files of zeros
        self.redirects: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self.sent = 0  # bytes of files
        self.repositories = repositories
        self._server = _Server((address, 0), _Handler)
        self._server.owner = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.host = f"{address}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Upstreams:
    """What the builds of a closed room ask, besides the archives of Debian, PyPI and npm; close it at the end."""

    def __init__(self, address: str, directory: Path) -> None:
        for path, at in ((f"/{REPOSITORY}", "front"), (OTHER, "storage")):
            _repository(directory / at / path.lstrip("/"), path)
        self.front = Server(address, directory / "front")
        self.storage = Server(address, directory / "storage")
        self.encrypted = Server(address, tls=_tls(directory))
        self.tarball = _tarball({"tool/bin/tool": b"#!/bin/sh\necho tool 1.0\n", "tool/data": os.urandom(1 << 20)})
        self.front.redirects[f"/{RELEASE}"] = f"http://{self.storage.host}/objects/17?signature=of-the-redirect"
        self.storage.files["/objects/17?signature=of-the-redirect"] = self.tarball
        self.storage.large[LARGE] = 1_000_000_000
        self.storage.files[PLAIN] = b"plain\n" * 1000
        self.encrypted.files["/"] = b"secret\n"
        for path, content in _modules().items():
            self.front.files[f"/go/{path}"] = content

    @property
    def arguments(self) -> Mapping[str, str]:
        """The build arguments that lead to them, by name."""
        return {"GOPROXY": f"http://{self.front.host}/go", "GITHUB_MIRROR": f"http://{self.front.host}/"}

    def close(self) -> None:
        """End all servers."""
        for each in (self.front, self.storage, self.encrypted):
            each.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    owner: Server

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no failure."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        owner = self.server.owner
        owner.asked[self.path] += 1
        if self.path in owner.redirects:
            self._send(302, b"", Location=owner.redirects[self.path])
        elif self.path in owner.files:
            content = owner.files[self.path]
            owner.sent += len(content)
            self._send(200, content, **{"Content-Type": "application/octet-stream"})
        elif self.path in owner.large:
            self._zeros(owner.large[self.path])
        elif ".git/" in self.path:
            self._git(b"")
        else:
            self._send(404, b"there is no such file\n")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self._git(self.rfile.read(int(self.headers["Content-Length"])))

    def _git(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environment = {
            **_GIT,
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.owner.repositories),
            "PATH_INFO": path.replace("//", "/"),  # as it is on disk
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self._send(int(headers.pop("Status", "200").split()[0]), content, **headers)

    def _zeros(self, size: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        for sent in range(0, size, _CHUNK):
            self.wfile.write(bytes(min(_CHUNK, size - sent)))

    def _send(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


def _repository(place: Path, text: str) -> None:
    """A bare repository with two commits and a tag, and a file of this text."""
    work = place.with_suffix(".work")
    work.mkdir(parents=True)
    _git("init", "--quiet", "--initial-branch=main", str(work))
    for name in ("first", "second"):
        (work / name).write_text(f"{name} of {text}\n")
        _git("-C", str(work), "add", ".")
        _git("-C", str(work), *_IDENTITY, "commit", "--quiet", f"--message={name}")
    _git("-C", str(work), "tag", "v1")
    _git("clone", "--quiet", "--bare", str(work), str(place))


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True, env={**os.environ, **_GIT})


def _tls(directory: Path) -> ssl.SSLContext:
    key, certificate = directory / "key.pem", directory / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=build-lib-test"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def _tarball(files: Mapping[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o755
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(archive.getvalue(), mtime=0)


def _modules() -> dict[str, bytes]:
    """The files of a module proxy, by path (go.dev/ref/mod, GOPROXY protocol)."""
    first, second = MODULES
    sources = {
        first: f'package greeting\n\nimport "{second}"\n\nfunc Say() string {{ return words.Hello }}\n',
        second: 'package words\n\nconst Hello = "hello"\n',
    }
    needs = {first: f"\nrequire {second} {MODULES[second]}\n", second: ""}
    found = {}
    for name, version in MODULES.items():
        mod = f"module {name}\n\ngo 1.19\n{needs[name]}".encode()
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as made:
            for file, text in (("go.mod", mod), ("source.go", sources[name].encode())):
                made.writestr(zipfile.ZipInfo(f"{name}@{version}/{file}"), text)
        found[f"{name}/@v/list"] = f"{version}\n".encode()
        found[f"{name}/@v/{version}.info"] = f'{{"Version":"{version}","Time":"2026-01-02T03:04:05Z"}}'.encode()
        found[f"{name}/@v/{version}.mod"] = mod
        found[f"{name}/@v/{version}.zip"] = content.getvalue()
    return found
