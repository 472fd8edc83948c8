"""Logins to registries: by user name and password, or by tokens (distribution's `token.md` and `oauth.md`)."""

import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import parse_http_list, parse_keqv_list

import requests
from requests.auth import _basic_auth_str

from build_lib.errors import RegistryError
from build_lib.registry.connections import Connections, is_loopback, translated
from build_lib.registry.credentials import Credentials, Login
from build_lib.registry.retry import Hosts
from build_lib.settings import Settings

_TOKEN_SECONDS = 60  # the lifetime of a token without `expires_in` (token.md)
_RENEW_SECONDS = 10  # before a token expires
_IN_SETTINGS = "PRIVATE_REGISTRY_USERNAME and PRIVATE_REGISTRY_PASSWORD"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Challenge:
    """The authentication that a registry requires (WWW-Authenticate)."""

    scheme: str  # "basic" or "bearer"
    realm: str
    service: str


class Logins:
    """The authentication that each host requires, and the tokens of one run. Safe to use from several threads."""

    def __init__(self, settings: Settings, connections: Connections, hosts: Hosts) -> None:
        self._connections = connections
        self._hosts = hosts
        self._credentials = Credentials(settings)
        self._private_host = settings.private_registry.host if settings.private_registry else ""
        self._challenges: dict[str, _Challenge] = {}
        self._tokens: dict[tuple[str, tuple[str, ...]], tuple[str, float]] = {}
        self._lock = threading.Lock()

    def of(self, host: str) -> Login | None:
        """The login for the host, or None for anonymous access."""
        return self._credentials.of(host)

    def basic(self, host: str) -> str:
        """The Authorization header for user name and password; "" for anonymous access."""
        login = self._credentials.of(host)
        return _basic_auth_str(login.username, login.password) if login else ""

    def authorization(self, host: str, scopes: tuple[str, ...]) -> str:
        """The Authorization header for what is known about the host so far; "" for anonymous access."""
        with self._lock:
            challenge = self._challenges.get(host)
        if challenge is None:
            return ""
        if challenge.scheme == "basic":
            return self.basic(host)
        return f"Bearer {self._token(host, challenge, scopes, self._credentials.of(host))}"

    def challenged(self, host: str, scopes: tuple[str, ...], response: requests.Response, sent: str) -> bool:
        """Remember the authentication that the host requires. Return whether to send the request again."""
        found = _parse_challenge(response.headers.get("WWW-Authenticate", ""))
        if found is None:
            return False
        with self._lock:
            self._challenges[host] = found
            self._tokens.pop((host, scopes), None)
        return not sent or found.scheme == "bearer"

    def advice(self, host: str) -> str:
        """What to do if the host does not accept the login: where it comes from, or could come from."""
        login = self._credentials.of(host)
        if login is not None and login.from_settings:
            return f"correct {_IN_SETTINGS}, in .env or in the environment, which overrides it"
        if login is not None:
            return f"docker login {host} with the right password"
        return (
            f"set {_IN_SETTINGS} in .env, or docker login {host}"
            if host == self._private_host
            else f"docker login {host}"
        )

    def refused(self, host: str, realm: str, response: requests.Response, login: Login | None) -> RegistryError:
        """The error for a refused login. It is not tried again for every image: some registries lock users out."""
        error = _login_refused(host, realm, response, login, self.advice(host))
        if login is not None and error.status == 401:
            self._hosts.refuse(host, error)
        return error

    def _token(self, host: str, challenge: _Challenge, scopes: tuple[str, ...], login: Login | None) -> str:
        key = (host, scopes)
        with self._lock:
            token, until = self._tokens.get(key, ("", 0.0))
        if time.monotonic() < until:
            return token
        token, seconds = self._ask_for_token(host, challenge, scopes, login)
        with self._lock:
            self._tokens[key] = (token, time.monotonic() + max(seconds - _RENEW_SECONDS, 1))
        return token

    def _ask_for_token(
        self, host: str, challenge: _Challenge, scopes: tuple[str, ...], login: Login | None
    ) -> tuple[str, float]:
        realm = urlsplit(challenge.realm)
        if (
            realm.scheme != "https"
            and login
            and not (self._connections.may_be_insecure(host) or is_loopback(realm.netloc))
        ):
            raise RegistryError(f"{host} asks for the login to be sent to {challenge.realm}, which is not encrypted")
        with translated(f"cannot get a token from {realm.netloc}", self._hosts, host):
            response = self._ask_realm(challenge, scopes, login)
        with response:
            if response.status_code != 200:
                raise self.refused(host, realm.netloc, response, login)
            try:
                content = response.json()
                token = content.get("token") or content["access_token"]
                return str(token), float(content.get("expires_in") or _TOKEN_SECONDS)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise RegistryError(f"{realm.netloc} did not issue a token for {host}") from None

    def _ask_realm(self, challenge: _Challenge, scopes: tuple[str, ...], login: Login | None) -> requests.Response:
        host = urlsplit(challenge.realm).netloc
        if login and login.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": login.identity_token, "client_id": "build-lib"}
            form |= {"service": challenge.service, "scope": " ".join(scopes)}
            return self._connections.request("POST", host, challenge.realm, data=form)
        query = [("service", challenge.service)] if challenge.service else []
        query += [("scope", scope) for scope in scopes]
        header = _basic_auth_str(login.username, login.password) if login else ""
        return self._connections.request("GET", host, challenge.realm, params=query, header=header)


def _login_refused(
    host: str, realm: str, response: requests.Response, login: Login | None, advice: str
) -> RegistryError:
    status = response.status_code
    if status in (401, 403):
        message = f"{host} refused the login as {login.username!r}" if login else f"{host} requires a login"
        return RegistryError(message, hint=advice, status=401)
    message = f"{realm} did not issue a token for {host}: {status} {response.reason}"
    return RegistryError(message, status=status, retry_after=retry_after(response))


def retry_after(response: requests.Response) -> float | None:
    """The value of Retry-After in seconds. Its date form is rare, and ignored."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _parse_challenge(header: str) -> _Challenge | None:
    """Parse `Bearer realm="…",service="…"` or `Basic realm="…"`; None if the scheme is not known."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() not in ("basic", "bearer"):
        return None
    found = parse_keqv_list([item for item in parse_http_list(rest) if "=" in item])
    if scheme.lower() == "bearer" and not found.get("realm"):
        return None
    return _Challenge(scheme=scheme.lower(), realm=found.get("realm", ""), service=found.get("service", ""))
