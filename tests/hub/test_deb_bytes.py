"""No bytes of a package make its reader fail in another way than it says, or keep it."""

from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build_lib.errors import PackagesError
from build_lib.hub import deb
from tests.support import hubs
from tests.support.outcomes import outcome

IN_TIME = settings(deadline=timedelta(seconds=5))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readers")


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
