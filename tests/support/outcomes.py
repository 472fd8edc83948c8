"""What came of a call that may fail in a way that it announces."""

from collections.abc import Callable
from typing import TypeVar

from build_lib.errors import BuildError

T = TypeVar("T")


def outcome(call: Callable[[], T], kind: type[BuildError]) -> tuple[T | None, str]:
    """What the call returned, or the message of its error; any other error is raised."""
    try:
        return call(), ""
    except kind as error:
        return None, error.message
