"""Failures of registries and engines: which may pass, which never will, and how long to wait."""

import random
import re
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from build_lib.errors import BuildError
from build_lib.graph import Cancel

T = TypeVar("T")

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 30.0


class Kind(Enum):
    """What a failure means for the next try."""

    FINAL = "final"  # the same answer would come again
    PASSING = "passing"  # worth another try
    UNREACHABLE = "unreachable"  # the host cannot be reached at all: no other image will be had from it either


# The first pattern that is found decides. What no pattern knows is final: a retry must have a reason.
_PATTERNS: tuple[tuple[Kind, str], ...] = (
    (Kind.UNREACHABLE, r"no such host|server misbehaving|Temporary failure in name resolution"),
    (Kind.UNREACHABLE, r"connection refused|no route to host|network is unreachable"),
    (Kind.UNREACHABLE, r"server gave HTTP response to HTTPS client|x509:|certificate signed by unknown"),
    (Kind.FINAL, r"unauthorized|authentication required|incorrect username or password|access denied|\b40[13]\b"),
    (Kind.FINAL, r"manifest unknown|not found|does not exist|name unknown|\b404\b|no matching manifest"),
    (Kind.PASSING, r"toomanyrequests|too many requests|\b429\b"),
    (Kind.PASSING, r"\b50[0-4]\b|internal server error|bad gateway|service unavailable|gateway time-?out"),
    (Kind.PASSING, r"\bEOF\b|connection reset|broken pipe|time-?out|deadline exceeded|TLS handshake|IncompleteRead"),
)
_COMPILED = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _PATTERNS)


def classify(message: str) -> Kind:
    """What kind of failure an engine's or a registry's message tells of."""
    return next((kind for kind, pattern in _COMPILED if pattern.search(message)), Kind.FINAL)


def wait_seconds(tries: int) -> float:
    """How long to wait after the `tries`-th try: doubling, with jitter, so that clients don't come in step."""
    longest = min(_FIRST_WAIT_SECONDS * 2 ** (tries - 1), _LONGEST_WAIT_SECONDS)
    return random.uniform(longest / 2, longest)


def call(action: Callable[[], T], *, tries: int, cancel: Cancel) -> T:
    """Do `action`, again while its failure may pass, at most `tries` times.

    Raises:
        BuildError: the last failure.
    """
    for done in range(1, tries):
        try:
            return action()
        except BuildError as error:
            if cancel.requested() or classify(error.message) is not Kind.PASSING:
                raise
            cancel.sleep(wait_seconds(done))
    return action()
