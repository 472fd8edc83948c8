"""What the processes of one test run share: made by the first that needs it, removed by the last."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))  # the number of this process


@pytest.fixture(scope="session")
def shared_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that all processes of this run have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextmanager
def shared(directory: Path, name: str, *, make: Callable[[], object], remove: Callable[[], object]) -> Iterator[None]:
    """Within, it is there; what `make` raises is for the caller, and the next process tries again."""
    users = directory / f"{name}.users"
    with _counted(users) as count:
        if count.value == 0:
            make()
        count.value += 1
    try:
        yield
    finally:
        with _counted(users) as count:
            count.value -= 1
            if count.value == 0:
                remove()


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Within, no other process of this machine does the same."""
    with (Path(tempfile.gettempdir()) / f"build-lib-test-{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Count:
    def __init__(self, value: int) -> None:
        self.value = value


@contextmanager
def _counted(path: Path) -> Iterator[_Count]:
    """The number in a file, for this process alone; it is written back at the end, if nothing failed."""
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        count = _Count(int(file.read() or 0))
        yield count
        file.truncate(0)
        file.write(str(count.value))
