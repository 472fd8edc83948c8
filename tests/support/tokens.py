"""A token server as registries have them (distribution's `token.md` and `oauth.md`), with real signatures."""

import base64
import contextlib
import json
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_SERVICE = "registry of a test"
_ISSUER = "build-lib-test"
_LONG_AGO_SECONDS = 3600  # more than the minute that a registry's clock may differ


class TokenServer:
    """Signs tokens for who knows a password or an identity token; keeps what it was asked."""

    def __init__(self, directory: Path, users: Mapping[str, str]) -> None:
        directory.mkdir()
        self.key, self.certificate = certificate(directory, "127.0.0.1")
        self.users = dict(users)
        self.identity_tokens: set[str] = set()
        self.seconds = 300  # how long it says that its tokens last
        self.outdated = 0  # how many of the next tokens are good no more when they are given
        self.asked: list[tuple[str, dict[str, list[str]], str]] = []  # method, query or form, who
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.tokens = self
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def auth(self, *, host: str = "") -> dict[str, Any]:
        """What a registry's config has for `auth`; its realm at `host`, if that is another."""
        realm = f"http://{host or self.host}/token"
        options = {"realm": realm, "service": _SERVICE, "issuer": _ISSUER, "rootcertbundle": str(self.certificate)}
        return {"token": options}

    def knows(self, method: str, asked: Mapping[str, Sequence[str]], header: str) -> str:
        """Who asks, or "" if that cannot be told."""
        if method == "POST":
            return "owner" if asked.get("refresh_token", [""])[0] in self.identity_tokens else ""
        try:
            user, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        except ValueError:
            return ""
        return user if user and self.users.get(user) == password else ""

    def token(self, user: str, scopes: Sequence[str]) -> str:
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        now = int(time.time())
        if self.outdated:
            self.outdated -= 1
            now -= _LONG_AGO_SECONDS
        claims = {"iss": _ISSUER, "sub": user, "aud": _SERVICE, "iat": now, "nbf": now - 5, "exp": now + 300}
        return self._signed({**claims, "jti": secrets.token_hex(8), "access": access})

    def _signed(self, claims: Mapping[str, Any]) -> str:
        der = "".join(self.certificate.read_text().splitlines()[1:-1])
        signed = ".".join(
            _encoded(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "RS256", "x5c": [der]}, claims)
        )
        command = ["openssl", "dgst", "-sha256", "-sign", str(self.key)]
        done = subprocess.run(command, input=signed.encode(), capture_output=True, check=True)
        return f"{signed}.{_encoded(done.stdout)}"


def certificate(directory: Path, *addresses: str) -> tuple[Path, Path]:
    """A key, and a certificate for the addresses that it signs itself."""
    key, found = directory / "key.pem", directory / "certificate.pem"
    names = ",".join(f"IP:{address}" for address in addresses)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=build-lib-test"]
    command += ["-addext", f"subjectAltName={names}", "-keyout", str(key), "-out", str(found)]
    subprocess.run(command, check=True, capture_output=True)
    return key, found


@contextlib.contextmanager
def token_server(directory: Path, **users: str) -> Iterator[TokenServer]:
    """A token server on a free port of the loopback, with its users' passwords."""
    server = TokenServer(directory, users)
    try:
        yield server
    finally:
        server.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    tokens: TokenServer


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """The server keeps what it was asked."""

    def do_GET(self) -> None:
        self._answer(parse_qs(urlsplit(self.path).query))

    def do_POST(self) -> None:
        self._answer(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))

    def _answer(self, asked: dict[str, list[str]]) -> None:
        tokens = self.server.tokens
        user = tokens.knows(self.command, asked, self.headers.get("Authorization", ""))
        tokens.asked.append((self.command, asked, user))
        scopes = [scope for text in asked.get("scope", []) for scope in text.split()]
        status, content = (
            (200, {"token": tokens.token(user, scopes), "expires_in": tokens.seconds}) if user else (401, {})
        )
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
