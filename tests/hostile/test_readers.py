"""No bytes of a file make its reader fail in another way than it says, or keep it."""

import json
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from build_lib.compose.env_file import read_env_file as read_compose_env_file
from build_lib.errors import BuildError, PackagesError, RegistryError, SettingsError
from build_lib.hub import deb
from build_lib.registry.credentials import Credentials
from build_lib.repository import ignore_file
from build_lib.settings import Settings, read_env_file
from tests.support import hubs
from tests.support.outcomes import outcome

IN_TIME = settings(deadline=timedelta(seconds=5))
ENV = st.lists(
    st.sampled_from(
        ["A", "=", "export ", "'", '"', "\\", "\n", "\r\n", "#", "${A", "${A:-", "}", "$$", " ", "\0", "é", "\\0777"]
    )
    | st.text(max_size=5),
    max_size=30,
).map("".join)
PATTERNS = st.lists(
    st.sampled_from(["**", "*", "?", "[a-", "[^", "]", "\\", "/", "!", "..", ".", "a", "\n", "#", "\ufeff", "{", "("]),
    max_size=40,
).map("".join)
PATHS = st.lists(st.sampled_from(["a", "aa", ".", "..", "b*", "[", "é", "\udc80"]), min_size=1, max_size=12).map(
    "/".join
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["auths", "registry.example", "auth", "username", "identitytoken", "HttpHeaders", "credsStore"]
            )
            | st.text(max_size=4),
            inner,
        )
    ),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readers")


@IN_TIME
@given(content=ENV.map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=200))
def test_an_env_file_is_read_or_refused(content: bytes, directory: Path) -> None:
    path = directory / "a.env"
    path.write_bytes(content)
    found, said = outcome(lambda: read_env_file(path), SettingsError)
    assert found is not None or "a.env" in said


@IN_TIME
@given(text=ENV)
@example(text="A=aaaaaaaaaaaaaaaaaaaa\n" + "".join(f"A{n}=${{A{n - 1}}}${{A{n - 1}}}\n" for n in range(1, 40)))
def test_an_env_file_of_compose_is_read_and_what_is_wrong_is_reported(text: str) -> None:
    reported: list[int] = []
    found = read_compose_env_file(text, {"A": "a"}, {}, lambda line, _reason: reported.append(line))
    assert all(isinstance(value, str) for value in found.values())
    assert all(1 <= line <= text.count("\n") + 1 for line in reported)


@IN_TIME
@given(text=PATTERNS | st.text(max_size=60), path=PATHS)
@example(text="/".join(["**"] * 40), path="/".join(["a"] * 40))
@example(text="*a" * 40, path="a" * 200)
@example(text="**/*a" * 30, path="a/" * 60 + "b")
def test_an_ignore_file_answers_in_time(text: str, path: str) -> None:
    rules, said = outcome(lambda: ignore_file.parse(text, Path(".dockerignore")), BuildError)
    assert rules is None or rules.ignores(path) in (True, False)
    assert rules is not None or " is not a pattern" in said


@cache
def package(directory: Path) -> bytes:
    return hubs.deb(directory, "tool", "1.0").read_bytes()


@IN_TIME
@given(data=st.data())
def test_a_package_with_other_bytes_is_read_or_refused(data: st.DataObject, directory: Path) -> None:
    content = bytearray(package(directory))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 60))] = data.draw(st.binary(max_size=60))
        content += b"\0" * (not content)
    path = directory / "changed.deb"
    path.write_bytes(content)
    found, said = outcome(lambda: deb.read(path, "changed.deb"), PackagesError)
    assert found is not None or said.startswith("changed.deb is damaged: ")


@IN_TIME
@given(content=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=100))
@example(content=b"[" * 100_000)
@example(content=b'{"auths": {"registry.example": {"auth": "bm8gY29sb24="}}}')
@example(content=b'{"auths": {"registry.example": "a login"}}')
@example(content=b'{"auths": [], "credHelpers": []}')
@example(content=b'{"credHelpers": {"registry.example": 7}}')
@example(content=b'{"credsStore": "../../bin/sh"}')
def test_a_docker_config_is_read_or_refused(content: bytes, directory: Path) -> None:
    (directory / "config.json").write_bytes(content)
    used = Settings.load(directory, environ={"DOCKER_CONFIG": str(directory), "HOME": str(directory)})
    _, said = outcome(lambda: Credentials(used).of("registry.example"), RegistryError)
    assert not said or f"docker config {directory}/config.json" in said
