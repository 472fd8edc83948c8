"""The program's own files under `.build`: records that are written atomically, and locks that end with their holder."""

import errno
import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from build_lib.errors import BuildError


def write(path: Path, content: Any, *, compact: bool = False) -> None:
    """Write a record as JSON. Large records for programs are written `compact`."""
    text = json.dumps(content) if compact else json.dumps(content, indent=1, ensure_ascii=False)
    write_text(path, f"{text}\n")


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name, then rename it. Code points that UTF-8 cannot encode are escaped.

    Raises:
        BuildError: the file cannot be written.
    """
    with writing(path):
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Create the parent directory of `path`, and raise failures to write within the block as BuildError.

    Raises:
        BuildError: the disk is full, the path is not writable, or similar; with the path.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildError(f"{error.filename} cannot be created: {error.strerror}", hint=_advice(path, error)) from None
    try:
        yield
    except OSError as error:
        raise BuildError(f"{path} cannot be written: {error.strerror}", hint=_advice(path, error)) from error


def _advice(path: Path, error: OSError) -> str:
    """What to do about a failure to read or write below `.build`."""
    if isinstance(error, PermissionError):
        there = next(place for place in path.parents if os.access(place, os.F_OK))
        return f"it belongs to another user: sudo chown -R $(id -u) {there}"
    return "./inv clean removes what is not needed; or free up space there" if error.errno == errno.ENOSPC else ""


def read(path: Path) -> Any:
    """Read a record. Return None if it is missing or invalid, because no run depends on a record.

    Raises:
        BuildError: this user may not read it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror}", hint=_advice(path, error)) from None
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def holder(path: Path) -> str:
    """The task that holds a lock, as its process wrote it, such as `build (pid 5058)`; "" if that process has ended.

    The lock itself is not asked: whoever tries to get it keeps others from it.
    """
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    found = re.search(r"\(pid (\d+)\)$", text)
    return text if found and _is_alive(int(found[1])) else ""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return True


@contextmanager
def lock(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock `path` within the block. The kernel releases it when the process ends, however it ends.

    `doing` names the task in the message of another process that fails to get the lock.

    Raises:
        BuildError: another process holds the lock, or the file cannot be written.
    """
    with ExitStack() as stack:
        with writing(path):
            file = stack.enter_context(path.open("a+", encoding="utf-8"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "process"
            hint = "try again when it has ended"
            raise BuildError(f"another {holder} is running in this repository", hint=hint) from None
        with writing(path):
            file.truncate(0)
            os.pwrite(file.fileno(), f"{doing} (pid {os.getpid()})".encode(), 0)  # unbuffered
        try:
            yield
        finally:
            file.truncate(0)
