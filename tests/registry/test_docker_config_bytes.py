"""No bytes of a docker config make its reader fail in another way than it says, or keep it."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from build_lib.errors import RegistryError
from build_lib.registry.credentials import Credentials
from build_lib.settings import Settings
from tests.support.outcomes import outcome

IN_TIME = settings(deadline=timedelta(seconds=5))
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
