"""What is advised when a registry cannot be reached, or does not accept the login."""

import base64
import json
import os
from pathlib import Path

import pytest

from build_lib.errors import RegistryError
from build_lib.reference import Reference
from build_lib.registry import Registries
from build_lib.settings import Settings
from tests.support.faults import ALWAYS, Fault, proxied

_LOGIN = {"PRIVATE_REGISTRY_USERNAME": "me", "PRIVATE_REGISTRY_PASSWORD": "geheim"}
_BASIC = {"WWW-Authenticate": 'Basic realm="a test"'}


def refused(root: Path, host: str, **environment: str) -> RegistryError:
    settings = Settings.load(root, environ={**os.environ, "HOME": str(root), "DOCKER_CONFIG": "", **environment})
    with Registries(settings) as registries, pytest.raises(RegistryError) as caught:
        registries.resolve(Reference.parse(f"{host}/p/a:1"))
    return caught.value


def log_in(root: Path, host: str) -> None:
    (root / ".docker").mkdir()
    auth = base64.b64encode(b"me:geheim").decode()
    (root / ".docker/config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def test_advice_about_a_login_is_for_the_place_that_it_comes_from(tmp_path: Path) -> None:
    with proxied("127.0.0.1:1", Fault(method="HEAD|GET", path="", status=401, headers=_BASIC, times=ALWAYS)) as closed:
        host = closed.host
        private = {"PRIVATE_REGISTRY": f"{host}/p"}
        settings = "PRIVATE_REGISTRY_USERNAME and PRIVATE_REGISTRY_PASSWORD"
        assert refused(tmp_path, host).hint == f"docker login {host}"
        assert refused(tmp_path, host, **private).hint == f"set {settings} in .env, or docker login {host}"
        wrong = refused(tmp_path, host, **private, **_LOGIN)
        assert wrong.hint == f"correct {settings}, in .env or in the environment, which overrides it"
        log_in(tmp_path, host)
        assert refused(tmp_path, host, **private).hint == f"docker login {host} with the right password"
        assert "geheim" not in wrong.message + wrong.hint


@pytest.mark.parametrize(("status", "advice"), [(403, "for access"), (429, "REGISTRY_MIRRORS"), (502, "the log of")])
def test_other_refusals_have_a_next_step_too(status: int, advice: str, tmp_path: Path) -> None:
    with proxied("127.0.0.1:1", Fault(method="HEAD|GET", path="", status=status, times=ALWAYS)) as proxy:
        assert advice in refused(tmp_path, proxy.host, TRIES="1").hint


def test_a_connection_that_is_refused_is_told_from_one_that_the_proxy_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = refused(tmp_path, "127.0.0.1:1")
    assert (direct.message, direct.hint[:17]) == ("127.0.0.1:1: Connection refused", "./inv registry-up")
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:geheim@127.0.0.1:1")
    by_proxy = refused(tmp_path, "harbor.example")
    assert by_proxy.message == "harbor.example: the proxy: Connection refused"
    assert by_proxy.hint == "correct the proxy that HTTPS_PROXY names, or list the host in NO_PROXY"
