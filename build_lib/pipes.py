"""Output that cannot be written: nobody reads it any more, as in `inv --list | head`, or the disk is full."""

import atexit
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from build_lib.errors import BuildError

READER_GONE = 141  # exit code of a program that SIGPIPE ends: 128 + SIGPIPE


@contextmanager
def checked() -> Iterator[None]:
    """Within, a failure to write to stdout or stderr ends the program, without a traceback.

    Raises:
        SystemExit: nobody reads the output any more; with READER_GONE.
        BuildError: the disk is full.
    """
    try:
        try:
            yield
        finally:
            _flush()
    except BrokenPipeError:
        _discard()
        raise SystemExit(READER_GONE) from None
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename:  # of a file, which is reported with its path
            raise
        raise not_written(error) from None


def not_written(error: OSError) -> BuildError:
    """The failure to write to stdout or stderr, after which nothing more is written there."""
    _discard()
    hint = "free up space there, or write the output elsewhere"
    return BuildError(f"the output cannot be written: {error.strerror}", hint=hint)


def end_quietly() -> None:
    """Let this process end without a traceback wherever it is when the reader of its output leaves.

    For programs that are not this project's: invoke's own `inv` lists tasks without giving them control.
    """
    sys.excepthook = _without_traceback
    atexit.register(_flush_or_discard)


def _without_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, BrokenPipeError):
        _discard()
    else:
        sys.__excepthook__(kind, error, trace)


def _flush_or_discard() -> None:
    try:
        _flush()
    except BrokenPipeError:
        _discard()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # it is None if the caller closed its descriptor
            stream.flush()


def _discard() -> None:
    """Send what cannot be written nowhere, because Python tries again when it ends (its manual, "Note on SIGPIPE")."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
