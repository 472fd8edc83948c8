"""The entries of BUILDERS: each form, what is none, and each builder once."""

from pathlib import Path

import pytest

from build_lib.errors import SettingsError
from build_lib.settings import BuilderAddress, Settings
from build_lib.settings.builder_address import parse_all


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("tcp://builder-1.example:1234", "daemon", "builder-1.example:1234"),
        ("tcp://127.0.0.1:1", "daemon", "127.0.0.1:1"),
        ("tcp://[::1]:1234", "daemon", "[::1]:1234"),
        ("tcp://[fe80::1]:65535", "daemon", "[fe80::1]:65535"),
        ("docker-container://buildkitd_1.a", "container", "buildkitd_1.a"),
        ("kubernetes://build/buildkitd", "kubernetes", "build/buildkitd"),
        ("ssh://host", "engine", "host"),
        ("ssh://user@host.example", "engine", "user@host.example"),
        ("ssh://user@host.example:22", "engine", "user@host.example:22"),
        ("unix:///var/run/docker.sock", "engine", "/var/run/docker.sock"),
        ("default", "own", "default"),
        ("my-builder_2.x", "own", "my-builder_2.x"),
    ],
)
def test_each_form_is_known(text: str, kind: str, name: str) -> None:
    found = BuilderAddress.parse(text)
    assert (found.kind, found.text, found.name) == (kind, text, name)
    assert found.own == (kind in ("engine", "own"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tcp://",
        "tcp://host",
        "tcp://host:",
        "tcp://host:port",
        "tcp://host:123456",
        "tcp://host:1234/",
        "tcp://user@host:1234",
        "tcp://::1:1234",
        "tcp://host:1234\n",
        "docker-container://",
        "docker-container://a/b",
        "docker-container://-a",
        "kubernetes://buildkitd",
        "kubernetes://a/b/c",
        "kubernetes:///buildkitd",
        "ssh://",
        "ssh://user:password@host",
        "ssh://user@host/path",
        "unix://docker.sock",
        "unix:///a b",
        "http://host:1234",
        "podman://host",
        "-name",
        "a/b",
        "$(x)",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"has another form than tcp://host:port, ") as raised:
        BuilderAddress.parse(text)
    assert str(raised.value).startswith(repr(text))


def test_all_keep_their_order() -> None:
    texts = ("tcp://b:1", "a", "tcp://a:1")
    assert tuple(address.text for address in parse_all(texts)) == texts


@pytest.mark.parametrize("texts", [("a", "a"), ("a", "ssh://a"), ("docker-container://a", "tcp://a:1", "a")])
def test_a_name_stands_for_one_builder(texts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"^each builder once, but a is there twice$"):
        parse_all(texts)


def test_an_error_names_the_setting_and_where_it_is(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BUILDERS=tcp://a:1,tcp://b\n")
    with pytest.raises(SettingsError) as raised:
        _ = Settings.load(tmp_path, environ={}).builders
    assert raised.value.message == "BUILDERS in .env is 'tcp://a:1,tcp://b'"
    assert "'tcp://b' has another form than " in raised.value.hint
