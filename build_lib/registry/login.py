"""Logins to registries: by user name and password, or by tokens (distribution's `token.md` and `oauth.md`)."""

import re
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit
from urllib.request import parse_http_list

from requests.auth import _basic_auth_str

from build_lib.errors import RegistryError
from build_lib.registry.addresses import api_host, host_name, joined
from build_lib.registry.answer import Answer
from build_lib.registry.connections import Connections
from build_lib.registry.credentials import Credentials, Login
from build_lib.registry.retry import Hosts
from build_lib.settings import Settings
from build_lib.units import shortened

_TOKEN_SECONDS = 60  # the lifetime of a token without `expires_in` (token.md)
_LONGEST_SECONDS = 24 * 60 * 60  # of a lifetime that is believed
_RENEW_SECONDS = 10  # before a token expires
_IN_SETTINGS = "PRIVATE_REGISTRY_USERNAME and PRIVATE_REGISTRY_PASSWORD"
_TOKEN = re.compile(r"[\x21-\x7e]{1,32768}")  # what a header can carry


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
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
        self._challenges: dict[str, Challenge] = {}
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

    def challenged(self, host: str, scopes: tuple[str, ...], answer: Answer, sent: str) -> bool:
        """Remember the authentication that the host requires. Return whether to send the request again."""
        found = parse_challenge(answer.headers.get("WWW-Authenticate", ""))
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

    def refused(self, host: str, realm: str, answer: Answer, login: Login | None) -> RegistryError:
        """The error for a refused login. It is not tried again for every image: some registries lock users out."""
        error = _login_refused(host, realm, answer, login, self.advice(host))
        if login is not None and error.status == 401:
            self._hosts.refuse(host, error)
        return error

    def _token(self, host: str, challenge: Challenge, scopes: tuple[str, ...], login: Login | None) -> str:
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
        self, host: str, challenge: Challenge, scopes: tuple[str, ...], login: Login | None
    ) -> tuple[str, float]:
        realm = self._realm(host, challenge)
        with self._ask_realm(host, realm, challenge.service, scopes, login) as answer:
            if answer.status != 200:
                raise self.refused(host, realm.netloc, answer, login)
            answer.read()
        try:
            return parse_token(answer.json())
        except ValueError:
            raise RegistryError(f"{realm.netloc} did not issue a token for {host}") from None

    def _realm(self, host: str, challenge: Challenge) -> SplitResult:
        """The address that issues tokens for a host: an encrypted one, or one on an insecure host itself.

        Raises:
            RegistryError: it is another address.
        """
        insecure = self._connections.may_be_insecure(host)
        base = urlsplit(f"{'http' if insecure else 'https'}://{api_host(host)}")
        realm = joined(base.geturl(), challenge.realm)
        if realm.scheme != "https" and not (insecure and host_name(realm.netloc) == host_name(host)):
            shown = shortened(challenge.realm)
            raise RegistryError(f"{host} asks for the login to be sent to {shown}, which is not encrypted")
        return self._connections.lead(base, challenge.realm)

    def _ask_realm(
        self, host: str, realm: SplitResult, service: str, scopes: tuple[str, ...], login: Login | None
    ) -> Answer:
        what = f"cannot get a token from {realm.netloc}"
        if login and login.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": login.identity_token, "client_id": "build-lib"}
            form |= {"service": service, "scope": " ".join(scopes)}
            return self._connections.request("POST", realm.geturl(), registry=host, what=what, data=form)
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        url = realm._replace(query="&".join(filter(None, (realm.query, urlencode(query))))).geturl()
        header = _basic_auth_str(login.username, login.password) if login else ""
        return self._connections.request("GET", url, registry=host, what=what, header=header)


def _login_refused(host: str, realm: str, answer: Answer, login: Login | None, advice: str) -> RegistryError:
    if answer.status in (401, 403):
        message = f"{host} refused the login as {login.username!r}" if login else f"{host} requires a login"
        return RegistryError(message, hint=advice, status=401)
    message = f"{realm} did not issue a token for {host}: {answer.status} {answer.reason}"
    return RegistryError(message, status=answer.status, retry_after=retry_after(answer))


def retry_after(answer: Answer) -> float | None:
    """The value of Retry-After in seconds. Its date form is rare, and ignored."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None


def parse_challenge(header: str) -> Challenge | None:
    """Parse `Bearer realm="…",service="…"` or `Basic realm="…"`; None if the scheme is not known."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() not in ("basic", "bearer"):
        return None
    pairs = (item.partition("=") for item in parse_http_list(rest))
    found = {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
    if scheme.lower() == "bearer" and not found.get("realm"):
        return None
    return Challenge(scheme=scheme.lower(), realm=found.get("realm", ""), service=found.get("service", ""))


def parse_token(content: Any) -> tuple[str, float]:
    """The token in a token server's answer, and its lifetime in seconds (token.md, oauth.md).

    Raises:
        ValueError: there is none, or no header could carry it.
    """
    try:
        token = content.get("token") or content["access_token"]
        seconds = float(content.get("expires_in") or _TOKEN_SECONDS)
    except (KeyError, TypeError, AttributeError, OverflowError):
        raise ValueError("no token") from None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise ValueError("no token")
    return token, seconds if seconds < _LONGEST_SECONDS else _TOKEN_SECONDS  # also for what is not a number
