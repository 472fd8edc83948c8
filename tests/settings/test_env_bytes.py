"""No bytes of a .env file make its reader fail in another way than it says, or keep it."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build_lib.errors import SettingsError
from build_lib.settings import read_env_file
from tests.support.odd_texts import ENV
from tests.support.outcomes import outcome

IN_TIME = settings(deadline=timedelta(seconds=5))


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
