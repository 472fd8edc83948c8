"""Credentials go to those that they are for, and to nobody else: proved by what listeners receive."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from build_lib.errors import RegistryError
from build_lib.reference import Reference
from build_lib.registry import Registries, addresses
from build_lib.settings import Settings
from tests.hostile.attacks import GOOD
from tests.hostile.lying_registry import Handler, Lie, LyingRegistry, leads, lying, says, wants_token
from tests.support.tokens import certificate

USER, PASSWORD, NETRC = "user", "the-password", "the-password-of-netrc"
BASIC = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
DIGEST = GOOD.manifest.blobs[1]


@pytest.fixture(autouse=True)
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with a login for every host there is."""
    (tmp_path / "netrc").write_text(f"default login {USER} password {NETRC}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def other() -> Iterator[LyingRegistry]:
    """Somebody else on the same host, who hears what is sent there."""
    with lying(GOOD) as registry:
        yield registry


@pytest.fixture
def elsewhere() -> Iterator[LyingRegistry]:
    """Somebody on another host."""
    with lying(GOOD, address="127.0.0.2") as registry:
        yield registry


def client(root: Path, host: str, **settings: str) -> Registries:
    """A client with a login for this host."""
    login = {"PRIVATE_REGISTRY": f"{host}/p", "PRIVATE_REGISTRY_USERNAME": USER, "PRIVATE_REGISTRY_PASSWORD": PASSWORD}
    quick = {"TRIES": "1", "STALL_SECONDS": "5"}
    return Registries(Settings.load(root, environ={"HOME": str(root), **quick, **login, **settings}))


def fetch(registries: Registries, host: str) -> bytes:
    return b"".join(registries.blob(Reference.parse(f"{host}/p/a"), DIGEST))


def authorizations(registry: LyingRegistry) -> list[str]:
    return [item.headers.get("Authorization", "") for item in registry.seen]


def nothing_of(*secrets: str, heard_by: LyingRegistry) -> bool:
    """Whether a listener received none of these, in no form."""
    received = repr([(item.path, dict(item.headers), item.body) for item in heard_by.seen])
    coded = [base64.b64encode(f"{USER}:{secret}".encode()).decode() for secret in secrets]
    return not any(text in received for text in (*secrets, *coded))


def then(lie: Lie) -> Lie:
    """A request for a user's name and password, and this for who gives them."""

    def answer(handler: Handler) -> None:
        if handler.headers.get("Authorization", "").startswith("Basic"):
            lie(handler)
        else:
            handler.say("401 Unauthorized", b"", 'WWW-Authenticate: Basic realm="a test"')

    return answer


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("host", ["other", "elsewhere"])
def test_a_redirect_takes_no_login_along(
    status: int, host: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    target: LyingRegistry = request.getfixturevalue(host)
    away = then(leads(f"{status} Go", f"http://{target.host}/v2/p/a/blobs/{DIGEST.digest}"))
    with lying(GOOD, at="layer", lie=away) as registry, client(tmp_path, registry.host) as registries:
        assert fetch(registries, registry.host) == GOOD.blobs[1]
        assert authorizations(registry) == ["", BASIC]
        assert nothing_of(NETRC, heard_by=registry)
    assert authorizations(target) == [""]
    assert nothing_of(PASSWORD, NETRC, heard_by=target)


def test_a_redirect_within_the_registry_keeps_the_login(tmp_path: Path) -> None:
    def on(handler: Handler) -> None:
        if "moved" in handler.path:
            handler.tell_the_truth()
        else:
            leads("307 Go", f"/v2/moved/blobs/{DIGEST.digest}")(handler)

    with lying(GOOD, at="layer", lie=then(on)) as registry, client(tmp_path, registry.host) as registries:
        assert fetch(registries, registry.host) == GOOD.blobs[1]
        assert authorizations(registry) == ["", BASIC, BASIC]


def test_a_redirect_there_and_back_has_lost_the_login(other: LyingRegistry, tmp_path: Path) -> None:
    with lying(GOOD, at="layer") as registry, client(tmp_path, registry.host) as registries:
        other.at, other.lie = "layer", leads("307 Go", f"http://{registry.host}/v2/back/blobs/{DIGEST.digest}")
        registry.lie = then(leads("307 Go", f"http://{other.host}/v2/p/a/blobs/{DIGEST.digest}"))
        with pytest.raises(RegistryError):
            fetch(registries, registry.host)
        assert [
            text for item, text in zip(registry.seen, authorizations(registry), strict=True) if "back" in item.path
        ] == [""]


def test_netrc_is_not_read_at_all(tmp_path: Path) -> None:
    with lying(GOOD) as registry, client(tmp_path, "registry.example") as registries:
        assert registries.resolve(Reference.parse(f"{registry.host}/a:1")) is not None
        assert set(authorizations(registry)) == {""}


@pytest.mark.parametrize("insecure", [False, True])
def test_a_realm_elsewhere_that_is_not_encrypted_hears_nothing(
    insecure: bool, elsewhere: LyingRegistry, tmp_path: Path
) -> None:
    """The registry is on loopback, and its realm is another host; also if both are listed as insecure."""
    realm = f"http://{elsewhere.host}/token"
    with lying(GOOD, at="manifest", lie=wants_token(realm)) as registry:
        listed = f"{registry.host} {elsewhere.host}" if insecure else ""
        with (
            client(tmp_path, registry.host, INSECURE_REGISTRIES=listed) as registries,
            pytest.raises(RegistryError, match=f"asks for the login to be sent to {realm}, which is not encrypted"),
        ):
            registries.manifest(Reference.parse(f"{registry.host}/p/a"), "1")
        assert nothing_of(PASSWORD, NETRC, heard_by=registry)
    assert elsewhere.seen == []


def test_a_realm_of_an_insecure_registry_elsewhere_hears_nothing(
    other: LyingRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = "registry.example"  # which is only known to the proxy
    with lying(GOOD, at="manifest", lie=wants_token(f"http://{other.host}/token")) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
        with client(tmp_path, far, INSECURE_REGISTRIES=far) as registries, pytest.raises(RegistryError) as caught:
            registries.manifest(Reference.parse(f"{far}/p/a"), "1")
        assert f"{far} asks for the login to be sent to http://{other.host}/token" in caught.value.message
        assert len(proxy.seen) == 1
    assert other.seen == []


def test_a_realm_on_the_host_of_an_insecure_registry_gets_the_login(other: LyingRegistry, tmp_path: Path) -> None:
    """On another port, as those who run a token server beside their registry have it."""
    realm = f"http://{other.host}/token"
    with lying(GOOD, at="manifest", lie=wants_token(realm)) as registry, client(tmp_path, registry.host) as registries:
        assert registries.manifest(Reference.parse(f"{registry.host}/p/a"), "1").digest == GOOD.manifest.digest
        assert authorizations(registry) == ["", "Bearer a-token"]
        assert nothing_of(PASSWORD, heard_by=registry)
    assert authorizations(other) == [BASIC]


def test_a_realm_that_leads_on_takes_no_login_along(elsewhere: LyingRegistry, tmp_path: Path) -> None:
    with lying(at="token", lie=leads("307 Go", f"http://{elsewhere.host}/token")) as tokens:
        asks = wants_token(f"http://{tokens.host}/token")
        with lying(GOOD, at="manifest", lie=asks) as registry, client(tmp_path, registry.host) as registries:
            registries.manifest(Reference.parse(f"{registry.host}/p/a"), "1")
        assert authorizations(tokens) == [BASIC]
    assert authorizations(elsewhere) == [""]


def test_an_identity_token_is_not_led_on(other: LyingRegistry, tmp_path: Path) -> None:
    with lying(at="token", lie=leads("307 Go", f"http://{other.host}/token")) as tokens:
        asks = wants_token(f"http://{tokens.host}/token")
        with lying(GOOD, at="manifest", lie=asks) as registry:
            (tmp_path / ".docker").mkdir()
            login = {registry.host: {"identitytoken": PASSWORD}}
            (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": login}))
            with client(tmp_path, "registry.example") as registries, pytest.raises(RegistryError) as caught:
                registries.manifest(Reference.parse(f"{registry.host}/p/a"), "1")
    assert "did not issue a token" in caught.value.message
    assert PASSWORD not in caught.value.message
    assert other.seen == []


def test_who_a_registry_leads_to_may_not_ask_for_its_login(other: LyingRegistry, tmp_path: Path) -> None:
    """Its realm is https and so would do, but it is not the registry that names it."""
    other.at, other.lie = "layer", wants_token("https://127.0.0.2:1/token")
    away = then(leads("307 Go", f"http://{other.host}/v2/p/a/blobs/{DIGEST.digest}"))
    with lying(GOOD, at="layer", lie=away) as registry, client(tmp_path, registry.host) as registries:
        with pytest.raises(RegistryError, match="answered 401 Unauthorized"):
            fetch(registries, registry.host)
        assert authorizations(registry) == ["", BASIC]
        # and the registry's own login is still good
        registry.lie = then(Handler.tell_the_truth)
        assert fetch(registries, registry.host) == GOOD.blobs[1]
    assert authorizations(other) == [""]


def test_an_upload_elsewhere_takes_no_login_along(elsewhere: LyingRegistry, tmp_path: Path) -> None:
    begun = then(says("202 Accepted", b"", f"Location: http://{elsewhere.host}/v2/p/a/blobs/uploads/1"))
    with lying(at="begin upload", lie=begun) as registry, client(tmp_path, registry.host) as registries:
        place = Reference.parse(f"{registry.host}/p/a")
        registries.put_blob(place, DIGEST, lambda: [GOOD.blobs[1]])
        assert authorizations(registry) == ["", BASIC]
    assert authorizations(elsewhere) == [""]
    assert nothing_of(PASSWORD, NETRC, heard_by=elsewhere)


def test_a_page_of_tags_elsewhere_takes_no_login_along(other: LyingRegistry, tmp_path: Path) -> None:
    link = f'Link: <http://{other.host}/v2/p/a/tags/list>; rel="next"'
    page = then(says("200 OK", '{"tags": ["0"]}', link))
    with lying(GOOD, at="tags", lie=page) as registry, client(tmp_path, registry.host) as registries:
        assert registries.tags(Reference.parse(f"{registry.host}/p/a")) == ("0", "1")
    assert authorizations(other) == [""]


def test_a_cookie_is_sent_to_nobody(other: LyingRegistry, tmp_path: Path) -> None:
    to = f"Location: http://{other.host}/v2/p/a/blobs/{DIGEST.digest}"
    away = says("307 Go", b"", "Set-Cookie: a=b; Path=/", to)
    with lying(GOOD, at="layer", lie=away) as registry, client(tmp_path, registry.host) as registries:
        for _ in range(2):
            fetch(registries, registry.host)
        assert not [item for item in (*registry.seen, *other.seen) if "Cookie" in item.headers]


def test_an_encrypted_registry_does_not_lead_to_plain_http(
    other: LyingRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anywhere = "0.0.0.0"  # leads to this machine, and is no loopback address
    monkeypatch.setenv("no_proxy", anywhere)
    key, found = certificate(tmp_path, anywhere)
    target = f"http://{anywhere}:{other.port}/v2/p/a/blobs/{DIGEST.digest}"
    with lying(GOOD, at="layer", lie=then(leads("307 Go", target))) as registry:
        registry.encrypt(found, key)
        host = f"{anywhere}:{registry.port}"
        with client(tmp_path, host, REGISTRY_CA_FILE=str(found)) as registries:
            with pytest.raises(RegistryError) as caught:
                fetch(registries, host)
            assert caught.value.message == f"{host} leads to http://{anywhere}:{other.port}, which is not encrypted"
            registry.lie = then(says("202 Accepted", b"", f"Location: {target}"))
            registry.at = "begin upload"
            with pytest.raises(RegistryError, match="which is not encrypted"):
                registries.put_blob(Reference.parse(f"{host}/p/a"), DIGEST, lambda: [GOOD.blobs[1]])
    assert other.seen == []


def test_a_registry_elsewhere_does_not_lead_to_this_machine(
    other: LyingRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = "registry.example"
    with lying(GOOD, at="layer", lie=leads("307 Go", f"http://{other.host}/secret")) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
        with client(tmp_path, far, INSECURE_REGISTRIES=far) as registries, pytest.raises(RegistryError) as caught:
            fetch(registries, far)
    assert caught.value.message == f"{far} leads to http://{other.host}, which is an address of this machine alone"
    assert other.seen == []


HERE = ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "localhost", "LOCALHOST", "0.0.0.0", "[::1]", "[::]"]
HERE += ["[::ffff:127.0.0.1]", "169.254.169.254", "[fe80::1]"]


@pytest.mark.parametrize("target", [*HERE, *(f"{host}:8080" for host in HERE)])
def test_addresses_of_this_machine_alone(target: str) -> None:
    source, lead = urlsplit("https://registry.example"), urlsplit(f"https://{target}/secret")
    with pytest.raises(RegistryError, match="which is an address of this machine alone"):
        addresses.check_lead(source, lead, may_be_insecure=True)
    addresses.check_lead(urlsplit("http://127.0.0.1:5000"), lead, may_be_insecure=True)


@pytest.mark.parametrize("target", ["https://cdn.example/a", "https://10.0.0.1/a", "http://registry.example/a"])
def test_other_addresses(target: str) -> None:
    addresses.check_lead(urlsplit("https://registry.example"), urlsplit(target), may_be_insecure=True)
