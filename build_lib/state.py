"""The program's own files under `.build`: records that are written atomically, and locks that end with their holder."""

import errno
import fcntl
import json
import logging
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from build_lib.errors import BuildError
from build_lib.files import kind

OWN = ".build"  # the directory of the program's own files in a repository
_HOLDER = re.compile(r"\(pid ([1-9]\d{0,6})\)$")  # the kernel's largest is 2 ** 22 (proc(5), pid_max)
_log = logging.getLogger(__name__)


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

    Below `.build`, something else than a file at `path` gets another name, which `clean` removes.

    Raises:
        BuildError: the disk is full, the path is not writable, or similar; with the path.
    """
    try:
        _make_room(path)
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


def _make_room(path: Path) -> None:
    """Below `.build`, give another name to what is at the path, unless it is a file, and to files above it."""
    own = next((place for place in path.parents if place.name == OWN), None)
    if own is None:
        return
    for place in reversed(path.parents):
        if place.parent == own and place.is_file():
            _rename(place, "a file")
    if kind(path):
        _rename(path, kind(path))


def _rename(path: Path, kind: str) -> None:
    aside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    _log.warning("%s is %s: it is now %s", path, kind, aside.name)
    path.rename(aside)


def read(path: Path, shape: object = object) -> Any:
    """Read a record of this shape. Return None if it is missing or something else, because no run depends on a record.

    A shape is a type; a list with the shape of all items; a mapping with the shape of all values at the key `str`, or
    of each value at its key; a tuple of shapes, of which None means that a key may be missing; or a function.
    What is there and is not read is a warning in this module's log.

    Raises:
        BuildError: this user may not read it.
    """
    text = read_text(path)
    if text is None:
        return None
    try:
        content = json.loads(text)
        valid = _has(content, shape)
    except (ValueError, RecursionError):
        valid = False
    if not valid:
        _log.warning("%s is not as this program writes it: it is ignored", path)
    return content if valid else None


def read_text(path: Path) -> str | None:
    """Read a file. Return None if it is missing, and with a warning if it is no file or not UTF-8.

    Raises:
        BuildError: this user may not read it.
    """
    try:
        if kind(path):
            _log.warning("%s is %s: it is ignored", path, kind(path))
            return None
        return path.read_text(encoding="utf-8")
    except PermissionError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror}", hint=_advice(path, error)) from None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        _log.warning("%s is not as this program writes it: it is ignored", path)
        return None


def _has(value: object, shape: Any) -> bool:
    """Whether a value has the shape that `read` describes. No text may have what UTF-8 cannot encode."""
    match shape:
        case type():
            encodable = not isinstance(value, str) or value.encode(errors="replace").decode() == value
            return isinstance(value, shape) and encodable and (shape is bool or not isinstance(value, bool))
        case tuple():
            return any(value is None if each is None else _has(value, each) for each in shape)
        case [each]:
            return isinstance(value, list) and all(_has(item, each) for item in value)
        case dict() if str in shape:
            return isinstance(value, dict) and all(
                _has(item, shape[str]) for pair in value.items() for item in pair[1:]
            )
        case dict():
            return isinstance(value, dict) and all(_has(value.get(key), each) for key, each in shape.items())
    return bool(shape(value))


def holder(path: Path) -> str:
    """The task that holds a lock, as its process wrote it, such as `build (pid 5058)`; "" if that process has ended.

    The lock itself is not asked: whoever tries to get it keeps others from it.
    """
    text = (read_text(path) or "").strip()
    found = _HOLDER.search(text)
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
            file = stack.enter_context(path.open("a+", encoding="utf-8", errors="replace"))
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
