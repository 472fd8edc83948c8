"""What buildx reads: the login that the settings have beside the user's own config, which stays as it is."""

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from build_lib.fleet import environment
from build_lib.settings import Settings

HOST = "harbor.example:8080"
LOGIN = {"PRIVATE_REGISTRY_USERNAME": "robot", "PRIVATE_REGISTRY_PASSWORD": "a-secret"}
AUTH = "cm9ib3Q6YS1zZWNyZXQ="  # base64 of robot:a-secret
OTHER = {"auth": "b3RoZXI6b3RoZXI="}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The user's directory for the docker CLI."""
    found = tmp_path / "home/.docker"
    found.mkdir(parents=True)
    return found


def load(tmp_path: Path, **environ: str) -> Settings:
    return Settings.load(
        tmp_path, environ={"HOME": str(tmp_path / "home"), "PRIVATE_REGISTRY": f"{HOST}/project", **environ}
    )


def given(tmp_path: Path, config: Any) -> dict[str, Any]:
    """The config that buildx reads, if the user's is this."""
    path = tmp_path / "home/.docker/config.json"
    text = config if isinstance(config, str) else json.dumps(config)
    path.write_text(text)
    with environment(load(tmp_path, **LOGIN)) as found:
        read: dict[str, Any] = json.loads((Path(found["DOCKER_CONFIG"]) / "config.json").read_text())
    assert path.read_text() == text
    return read


def test_without_a_login_the_users_own_config_is_read(tmp_path: Path, home: Path) -> None:
    settings = load(tmp_path, DOCKER_CONFIG=str(home))
    with environment(settings) as found:
        assert found["DOCKER_CONFIG"] == str(home)
        assert "SSL_CERT_FILE" not in found


def test_the_login_is_in_a_file_for_this_user_alone_until_the_end(tmp_path: Path, home: Path) -> None:
    with environment(load(tmp_path, **LOGIN)) as found:
        path = Path(found["DOCKER_CONFIG"]) / "config.json"
        assert json.loads(path.read_text())["auths"] == {HOST: {"auth": AUTH}}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.parent.exists()
    assert [*home.iterdir()] == []


def test_the_file_is_gone_after_an_error_too(tmp_path: Path, home: Path) -> None:
    with pytest.raises(KeyError), environment(load(tmp_path, **LOGIN)) as found:
        raise KeyError(found["DOCKER_CONFIG"])
    with environment(load(tmp_path, **LOGIN)) as again:
        assert again["DOCKER_CONFIG"] != found["DOCKER_CONFIG"]
    assert not Path(found["DOCKER_CONFIG"]).exists()


def test_other_logins_stay_and_the_settings_come_first(tmp_path: Path, home: Path) -> None:
    read = given(tmp_path, {"auths": {HOST: OTHER, "other.example": OTHER}, "HttpHeaders": {"X-A": "b"}})
    assert read["auths"] == {HOST: {"auth": AUTH}, "other.example": OTHER}
    assert read["HttpHeaders"] == {"X-A": "b"}


def test_only_for_this_registry_no_helper_and_no_store_is_asked(tmp_path: Path, home: Path) -> None:
    helpers = {HOST: "pass", "ecr.example": "ecr-login"}
    read = given(tmp_path, {"credsStore": "desktop", "credHelpers": helpers, "auths": {HOST: {}, "other.example": {}}})
    assert read["credHelpers"] == {HOST: "", "ecr.example": "ecr-login"}
    assert read["credsStore"] == "desktop"
    assert read["auths"] == {HOST: {"auth": AUTH}, "other.example": {}}


@pytest.mark.parametrize(
    "config",
    ["", "{", "[]", "null", '{"auths": null, "credHelpers": null}', '{"auths": [], "credHelpers": "x"}', "[" * 100_000],
)
def test_a_config_that_cannot_be_read_is_as_none(tmp_path: Path, home: Path, config: str) -> None:
    assert given(tmp_path, config)["auths"] == {HOST: {"auth": AUTH}}


def test_a_missing_config_is_as_none(tmp_path: Path) -> None:
    with environment(load(tmp_path, **LOGIN)) as found:
        assert (Path(found["DOCKER_CONFIG"]) / "config.json").is_file()


def test_plugins_of_the_user_are_found(tmp_path: Path, home: Path) -> None:
    if shutil.which("docker") is None:
        pytest.skip("there is no docker CLI")
    (home / "cli-plugins").mkdir()
    plugin = home / "cli-plugins/docker-own"
    metadata = '{"SchemaVersion": "0.1.0", "Vendor": "a test", "Version": "1"}'
    plugin.write_text(f"#!/bin/sh\necho '{metadata}'\n")
    plugin.chmod(0o755)
    with environment(load(tmp_path, **LOGIN)) as found:
        done = subprocess.run(
            ["docker", "own"], env={**os.environ, **found}, capture_output=True, text=True, check=False
        )
    assert metadata in done.stdout, done.stderr


def test_certificates_are_those_of_the_system_and_the_file(tmp_path: Path) -> None:
    own = tmp_path / "ca.pem"
    own.write_text("-----BEGIN CERTIFICATE-----\nown\n")
    with environment(load(tmp_path, REGISTRY_CA_FILE=str(own))) as found:
        text = Path(found["SSL_CERT_FILE"]).read_text()
        assert text.endswith(own.read_text())
        assert text.count("BEGIN CERTIFICATE") > 1
        assert "DOCKER_CONFIG" not in found
    assert not Path(found["SSL_CERT_FILE"]).exists()
