"""Who is let in, and how: logins, tokens and certificates, with real registries and a real token server."""

import base64
import json
import os
import secrets
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build_lib.errors import RegistryError, SettingsError
from build_lib.reference import Reference
from build_lib.registry.client import Registries
from build_lib.settings import Settings
from tests.support.engines import install
from tests.support.faults import ALWAYS, Fault, proxied
from tests.support.images import layer, make, write
from tests.support.registries import Registry, running_registry
from tests.support.tokens import TokenServer, certificate, token_server

USER = "user"
EVERYWHERE = "0.0.0.0"  # leads to this machine, and is no loopback address: nothing is taken as insecure there


@pytest.fixture
def password() -> str:
    return secrets.token_urlsafe(12)


@pytest.fixture
def tokens(tmp_path: Path, password: str) -> Iterator[TokenServer]:
    with token_server(tmp_path / "tokens", **{USER: password}) as server:
        yield server


@pytest.fixture
def closed(machine: Settings, tokens: TokenServer, tmp_path: Path) -> Iterator[Registry]:
    """A registry that wants tokens."""
    with running_registry(machine, tmp_path / "closed", auth=tokens.auth()) as running:
        yield running


@pytest.fixture
def basic(machine: Settings, password: str, tmp_path: Path) -> Iterator[Registry]:
    """A registry that wants a user and a password."""
    program = install("htpasswd", "apache2-utils", machine)
    done = subprocess.run([program, "-inB", USER], input=password, capture_output=True, text=True, check=True)
    (tmp_path / "htpasswd").write_text(done.stdout)
    auth = {"htpasswd": {"realm": "a test", "path": str(tmp_path / "htpasswd")}}
    with running_registry(machine, tmp_path / "basic", auth=auth) as running:
        yield running


def client(root: Path, host: str = "", password: str = "", **settings: str) -> Registries:
    """A client that logs in at the host, if a password is given; else as the docker config below `root` says."""
    environment = {**os.environ, "HOME": str(root), **settings}
    if password:
        login = {"PRIVATE_REGISTRY_USERNAME": USER, "PRIVATE_REGISTRY_PASSWORD": password}
        environment |= {"PRIVATE_REGISTRY": f"{host}/p", **login}
    environment.pop("DOCKER_CONFIG", None)
    return Registries(Settings.load(root, environ=environment))


def docker_config(root: Path, **content: Any) -> None:
    (root / ".docker").mkdir()
    (root / ".docker/config.json").write_text(json.dumps(content))


def goes_both_ways(registries: Registries, host: str, *, content: str = "1") -> None:
    """Whether an image can be written there, and read again."""
    image = make([layer(a=content)])
    digest = write(registries, f"{host}/p/a:1", image)
    there = registries.manifest(Reference.parse(f"{host}/p/a:1"), digest)
    assert [b"".join(registries.blob(Reference.parse(f"{host}/p/a"), blob)) for blob in there.blobs] == [*image.blobs]


def test_an_open_registry_wants_no_login(registry: Registry, tmp_path: Path) -> None:
    with client(tmp_path) as registries:
        goes_both_ways(registries, registry.host)


def test_user_and_password(basic: Registry, password: str, tmp_path: Path) -> None:
    with client(tmp_path, basic.host, password) as registries:
        goes_both_ways(registries, basic.host)


def test_a_token_for_user_and_password(closed: Registry, tokens: TokenServer, password: str, tmp_path: Path) -> None:
    with client(tmp_path, closed.host, password) as registries:
        goes_both_ways(registries, closed.host)
    scopes = [asked["scope"] for _, asked, _ in tokens.asked]
    # one for each scope, kept for the whole run
    assert sorted(scopes) == [["repository:p/a:pull"], ["repository:p/a:pull,push"]]


def test_a_wrong_basic_password_is_said_once_and_never_shown(basic: Registry, tmp_path: Path) -> None:
    with proxied(basic.host) as proxy, client(tmp_path, proxy.host, "not-the-password") as registries:
        with pytest.raises(RegistryError) as caught:
            registries.resolve(Reference.parse(f"{proxy.host}/p/a:1"))
        assert [item.status for item in proxy.seen if "Authorization" in item.headers] == [401]
    assert caught.value.message == f"{proxy.host} refused the login as {USER!r}"
    assert caught.value.hint.startswith("correct PRIVATE_REGISTRY_USERNAME and PRIVATE_REGISTRY_PASSWORD, in .env ")
    assert "not-the-password" not in repr(caught.value) + caught.value.message + caught.value.hint


def test_a_wrong_password_is_sent_to_the_token_server_once(
    closed: Registry, tokens: TokenServer, tmp_path: Path
) -> None:
    with client(tmp_path, closed.host, "not-the-password") as registries, pytest.raises(RegistryError) as caught:
        registries.manifest(Reference.parse(f"{closed.host}/p/a"), "1")
    assert len(tokens.asked) == 1
    assert caught.value.message == f"{closed.host} refused the login as {USER!r}"
    assert "not-the-password" not in repr(caught.value) + caught.value.message + caught.value.hint


@pytest.mark.parametrize("kind", ["basic", "closed"])
def test_who_has_no_login_is_told_how_to_get_one(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    host = request.getfixturevalue(kind).host
    with client(tmp_path) as registries, pytest.raises(RegistryError) as caught:
        registries.resolve(Reference.parse(f"{host}/p/a:1"))
    assert host in caught.value.message
    assert caught.value.hint.startswith(f"docker login {host}")
    assert caught.value.status == 401


def test_half_a_login_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PRIVATE_REGISTRY_PASSWORD is empty"):
        client(tmp_path, PRIVATE_REGISTRY="127.0.0.1:1/p", PRIVATE_REGISTRY_USERNAME=USER)


def test_a_token_that_has_ended_is_replaced(
    closed: Registry, tokens: TokenServer, password: str, tmp_path: Path
) -> None:
    with client(tmp_path, closed.host, password) as registries:
        goes_both_ways(registries, closed.host)
        asked = len(tokens.asked)
        with client(tmp_path, closed.host, password) as other:
            tokens.outdated = 1
            place = Reference.parse(f"{closed.host}/p/a:1")
            with pytest.raises(RegistryError) as caught:
                other.resolve(place)  # a token server that gives an outdated one at once is broken
            assert caught.value.status == 401
            assert other.resolve(place) is not None
        assert len(tokens.asked) == asked + 2


def test_a_token_is_renewed_before_its_end(
    closed: Registry, tokens: TokenServer, password: str, tmp_path: Path
) -> None:
    tokens.seconds = 11  # so it is renewed after one
    refused = closed.log.read_text().count('HTTP/1.1" 401')
    with client(tmp_path, closed.host, password) as registries:
        deadline = time.monotonic() + 20
        while len(tokens.asked) < 3 and time.monotonic() < deadline:
            assert registries.resolve(Reference.parse(f"{closed.host}/p/a:1")) is None
    assert len(tokens.asked) == 3
    assert {user for _, _, user in tokens.asked} == {USER}
    assert closed.log.read_text().count('HTTP/1.1" 401') == refused + 1  # none was used past its end


@pytest.mark.parametrize(
    "request_", ["POST /blobs/uploads/", "PUT digest=", "PUT /manifests/", "GET /blobs/", "HEAD /manifests/"]
)
def test_a_token_that_is_refused_in_the_middle_of_the_work_is_replaced(
    request_: str, closed: Registry, tokens: TokenServer, password: str, tmp_path: Path
) -> None:
    method, _, path = request_.partition(" ")
    challenge = f'Bearer realm="http://{tokens.host}/token",service="registry of a test",error="invalid_token"'
    refused = Fault(method=method, path=path, status=401, headers={"WWW-Authenticate": challenge})
    with proxied(closed.host) as proxy, client(tmp_path, proxy.host, password) as registries:
        goes_both_ways(registries, proxy.host)
        before, first = len(proxy.seen), len(tokens.asked)
        proxy.faults.append(refused)
        goes_both_ways(registries, proxy.host, content="2")
        assert registries.resolve(Reference.parse(f"{proxy.host}/p/a:1")) is not None
        assert [item.status for item in proxy.seen[before:]].count(401) == 1
    assert len(tokens.asked) == first + 1


def test_a_login_that_docker_login_left(closed: Registry, password: str, tmp_path: Path) -> None:
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    docker_config(tmp_path, auths={closed.host: {"auth": auth}})
    with client(tmp_path) as registries:
        goes_both_ways(registries, closed.host)


@pytest.mark.parametrize("config", [{"credsStore": "test"}, {"credHelpers": {"HOST": "test"}}])
def test_a_login_from_a_credential_helper(
    config: dict[str, Any],
    basic: Registry,
    password: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    helper(tmp_path, monkeypatch, {"Username": USER, "Secret": password})
    docker_config(tmp_path, **json.loads(json.dumps(config).replace("HOST", basic.host)))
    with client(tmp_path) as registries:
        goes_both_ways(registries, basic.host)
    # each host is asked for once
    assert (tmp_path / "bin/asked").read_text().split() == [basic.host]


def helper(root: Path, monkeypatch: pytest.MonkeyPatch, content: dict[str, str] | None) -> None:
    """A credential helper on PATH that gives this login, or fails; the hosts that it is asked for are in `asked`."""
    directory = root / "bin"
    directory.mkdir()
    script = directory / "docker-credential-test"
    answer = f"cat <<'END'\n{json.dumps(content)}\nEND" if content else "echo the keyring is locked; exit 1"
    script.write_text(f'#!/bin/sh\nread host\necho "$host" >>{directory}/asked\n{answer}\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")


def test_a_credential_helper_that_fails_is_named(
    basic: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper(tmp_path, monkeypatch, None)
    docker_config(tmp_path, credsStore="test")
    with client(tmp_path) as registries, pytest.raises(RegistryError) as caught:
        registries.resolve(Reference.parse(f"{basic.host}/p/a:1"))
    assert f"login for {basic.host} from the docker config {tmp_path}/.docker/config.json" in caught.value.message
    assert "the keyring is locked" in caught.value.message


def test_a_credential_helper_that_is_not_there_is_named(basic: Registry, tmp_path: Path) -> None:
    docker_config(tmp_path, credsStore="none-such")
    with client(tmp_path) as registries, pytest.raises(RegistryError, match="docker-credential-none-such"):
        registries.resolve(Reference.parse(f"{basic.host}/p/a:1"))


@pytest.mark.parametrize("source", ["config", "helper"])
def test_an_identity_token_in_place_of_a_password(
    source: str, closed: Registry, tokens: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = secrets.token_urlsafe(12)
    tokens.identity_tokens.add(token)
    if source == "config":
        docker_config(tmp_path, auths={closed.host: {"auth": "", "identitytoken": token}})
    else:
        helper(tmp_path, monkeypatch, {"Username": "<token>", "Secret": token})
        docker_config(tmp_path, credsStore="test")
    with client(tmp_path) as registries:
        goes_both_ways(registries, closed.host)
    assert {method for method, _, _ in tokens.asked} == {"POST"}
    asked = tokens.asked[0][1]
    assert (asked["grant_type"], asked["refresh_token"]) == (["refresh_token"], [token])


def test_an_identity_token_that_is_good_no_more_is_said(closed: Registry, tokens: TokenServer, tmp_path: Path) -> None:
    docker_config(tmp_path, auths={closed.host: {"identitytoken": "not-the-token"}})
    with client(tmp_path) as registries, pytest.raises(RegistryError) as caught:
        registries.resolve(Reference.parse(f"{closed.host}/p/a:1"))
    assert caught.value.message.startswith(f"{closed.host} refused the login")
    assert "not-the-token" not in caught.value.message
    assert len(tokens.asked) == 1


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the machine comes between."""
    monkeypatch.setenv("NO_PROXY", EVERYWHERE)
    monkeypatch.setenv("no_proxy", EVERYWHERE)


def secured(machine: Settings, root: Path, **config: Any) -> Any:
    """A registry with https, by a certificate that it signed itself; the certificate is in `root`."""
    key, found = certificate(root, "127.0.0.1", EVERYWHERE)
    return running_registry(machine, root / "secured", tls={"key": str(key), "certificate": str(found)}, **config)


@pytest.fixture(params=["no bundle", "a bundle"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What requests are told to trust by the environment: with or without it, our own settings count."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    if request.param == "a bundle":
        (tmp_path / "other").mkdir()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate(tmp_path / "other", EVERYWHERE)[1]))


def test_https_is_found_on_the_loopback(machine: Settings, tmp_path: Path, bundle: None) -> None:
    with secured(machine, tmp_path) as running, client(tmp_path) as registries:
        goes_both_ways(registries, running.host)


def elsewhere(running: Registry) -> str:
    return running.host.replace("127.0.0.1", EVERYWHERE)


def test_a_certificate_is_checked_by_the_file_that_is_named(
    machine: Settings, tmp_path: Path, direct: None, bundle: None
) -> None:
    with secured(machine, tmp_path) as running:
        with client(tmp_path, REGISTRY_CA_FILE=str(tmp_path / "certificate.pem")) as registries:
            goes_both_ways(registries, elsewhere(running))
        with client(tmp_path) as registries:
            for _ in range(2):
                with pytest.raises(RegistryError, match="certificate verify failed") as caught:
                    registries.resolve(Reference.parse(f"{elsewhere(running)}/p/a:1"))
            assert "(not asked again)" in caught.value.message
        with client(tmp_path, INSECURE_REGISTRIES=elsewhere(running)) as registries:
            goes_both_ways(registries, elsewhere(running))


def test_a_certificate_is_looked_for_where_the_engine_has_it(machine: Settings, tmp_path: Path, direct: None) -> None:
    with secured(machine, tmp_path) as running:
        directory = Path("/etc/docker/certs.d") / elsewhere(running)
        directory.mkdir(parents=True)
        try:
            shutil.copy(tmp_path / "certificate.pem", directory / "ca.crt")
            with client(tmp_path) as registries:
                goes_both_ways(registries, elsewhere(running))
        finally:
            shutil.rmtree(directory)


def test_a_proxy_of_the_environment_is_used_but_not_for_the_loopback(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    far = "registry.example"  # which the proxy alone knows
    with proxied(registry.host) as proxy, client(tmp_path, INSECURE_REGISTRIES=far) as registries:
        monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
        goes_both_ways(registries, far)
        asked = len(proxy.seen)
        assert {item.path.partition("/v2/")[0] for item in proxy.seen} == {f"http://{far}"}
        goes_both_ways(registries, registry.host)
        assert len(proxy.seen) == asked


def test_plain_http_is_not_spoken_to_who_is_not_named_for_it(registry: Registry, tmp_path: Path, direct: None) -> None:
    with client(tmp_path) as registries, pytest.raises(RegistryError):
        registries.resolve(Reference.parse(f"{elsewhere(registry)}/p/a:1"))
    with client(tmp_path, INSECURE_REGISTRIES=elsewhere(registry)) as registries:
        goes_both_ways(registries, elsewhere(registry))


def test_a_login_is_never_sent_in_the_clear(
    machine: Settings, tokens: TokenServer, password: str, tmp_path: Path, direct: None
) -> None:
    realm = tokens.host.replace("127.0.0.1", EVERYWHERE)
    trusted = {"REGISTRY_CA_FILE": str(tmp_path / "certificate.pem")}
    with secured(machine, tmp_path, auth=tokens.auth(host=realm)) as running:
        host = elsewhere(running)
        with client(tmp_path, host, password, **trusted) as registries, pytest.raises(RegistryError) as caught:
            registries.resolve(Reference.parse(f"{host}/p/a:1"))
        assert (
            caught.value.message
            == f"{host} asks for the login to be sent to http://{realm}/token, which is not encrypted"
        )
        with client(tmp_path, **trusted) as registries, pytest.raises(RegistryError, match="which is not encrypted"):
            registries.resolve(Reference.parse(f"{host}/p/a:1"))
        assert tokens.asked == []


def test_a_password_is_not_sent_to_where_a_registry_points(
    registry: Registry, closed: Registry, tokens: TokenServer, password: str, tmp_path: Path
) -> None:
    """As registries do that have their blobs in an object store."""
    image = make([layer(a="1")])
    with client(tmp_path) as registries:
        write(registries, f"{registry.host}/p/a:1", image)
    with proxied(registry.host) as store:
        blob = image.manifest.blobs[1]
        moved = {"Location": f"http://{store.host}/v2/p/a/blobs/{blob.digest}"}
        away = Fault(method="GET", path=blob.digest, status=307, headers=moved, times=ALWAYS)
        with proxied(closed.host, away) as front, client(tmp_path, front.host, password) as registries:
            write(registries, f"{front.host}/p/a:1", image)
            assert b"".join(registries.blob(Reference.parse(f"{front.host}/p/a"), blob)) == image.blobs[1]
            assert "Authorization" in front.of("GET", blob.digest)[0].headers
        assert "Authorization" not in store.of("GET", blob.digest)[0].headers
