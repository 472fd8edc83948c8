"""Failures of registries and engines: which are temporary, which are final, and how long to wait."""

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from typing import TypeVar

from build_lib.errors import BuildError, RegistryError
from build_lib.graph import Cancel

T = TypeVar("T")

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 30.0
_LONGEST_ASKED_SECONDS = 120.0  # if a registry asks for a longer wait, the failure is final
_STALLS_OF_WORK = 10  # times STALL_SECONDS: the time for work of several requests
_MAY_PASS = frozenset([408, 425, 429, 500, 502, 503, 504])  # HTTP statuses


_passed: ContextVar[list[BuildError] | None] = ContextVar("_passed", default=None)


class Kind(Enum):
    """Whether a failure is worth another try."""

    FINAL = "final"  # another try would fail the same way
    PASSING = "passing"  # worth another try
    UNREACHABLE = "unreachable"  # the host cannot be reached at all: requests for other images would fail too


# The first pattern that matches decides. A failure that matches none is final: a retry needs a reason.
_PATTERNS: tuple[tuple[Kind, str], ...] = (
    (Kind.PASSING, r"blob upload (unknown|invalid)|does not match its digest"),
    (
        Kind.PASSING,
        r"IncompleteRead|closed (the )?connection",
    ),  # before the statuses, for it has byte counts: `404 bytes read`
    (Kind.UNREACHABLE, r"no such host|server misbehaving|name resolution|name or service not known|no address assoc"),
    (Kind.UNREACHABLE, r"connection refused|no route to host|network is unreachable"),
    (Kind.UNREACHABLE, r"server gave HTTP response to HTTPS client|x509:|certificate signed by unknown"),
    (Kind.UNREACHABLE, r"certificate verify failed|wrong version number"),
    (Kind.PASSING, r"toomanyrequests|too many requests|\b429\b"),
    (Kind.FINAL, r"unauthorized|authentication required|incorrect username or password|access denied|\b40[13]\b"),
    (Kind.FINAL, r"manifest unknown|not found|does not exist|name unknown|\b404\b|no matching manifest"),
    (Kind.FINAL, r"no space left|quota|denied:|immutable"),
    (Kind.PASSING, r"\b50[0234]\b|internal server error|bad gateway|service unavailable|gateway time-?out"),
    (Kind.PASSING, r"\bEOF\b|connection reset|connection aborted|broken pipe|time-?out|timed out|deadline exceeded"),
    (Kind.PASSING, r"TLS handshake|stream error|http2: "),
)
_COMPILED = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _PATTERNS)


def classify(error: BuildError) -> Kind:
    """The kind of a failure: by the registry's HTTP status, or else by the message of the engine or the network."""
    status = error.status if isinstance(error, RegistryError) else 0
    by_message = next((kind for kind, pattern in _COMPILED if pattern.search(error.message)), Kind.FINAL)
    if not status:
        return by_message
    return Kind.PASSING if status in _MAY_PASS or by_message is Kind.PASSING else Kind.FINAL


def wait_seconds(tries: int) -> float:
    """The seconds to wait after the `tries`-th try: doubled each time, with jitter to spread clients."""
    longest = min(_FIRST_WAIT_SECONDS * 2 ** (tries - 1), _LONGEST_WAIT_SECONDS)
    return random.uniform(longest / 2, longest)


def call(
    action: Callable[[], T], *, tries: int, cancel: Cancel, final: Callable[[BuildError], bool] = lambda _error: False
) -> T:
    """Call `action` up to `tries` times, as long as its failures are temporary.

    The wait between tries is at least what a registry asks for. A failure for which `final` returns true is never
    retried.

    Raises:
        BuildError: the last failure.
    """
    done = 0
    while True:
        try:
            return action()
        except BuildError as error:
            if final(error):
                raise
            done += 1
            pause(error, done=done, tries=tries, cancel=cancel)


@contextmanager
def counted() -> Iterator[list[BuildError]]:
    """Collect the failures that were retried within the block, in this thread."""
    passed: list[BuildError] = []
    token = _passed.set(passed)
    try:
        yield passed
    finally:
        _passed.reset(token)


def pause(error: BuildError, *, done: int, tries: int, cancel: Cancel) -> None:
    """Wait before the next try, after `done` of `tries`. The wait is at least what a registry asks for.

    Raises:
        BuildError: the error itself, if another try is useless or none is left.
    """
    if cancel.requested():
        raise error
    seconds = seconds_before_next(error, done=done, tries=tries)
    passed = _passed.get()
    if passed is not None:
        passed.append(error)
    cancel.sleep(seconds)


def seconds_before_next(error: BuildError, *, done: int, tries: int) -> float:
    """The seconds to wait before the next try, after `done` of `tries`. It is at least what a registry asks for.

    Raises:
        BuildError: the error itself, if another try is useless or none is left.
    """
    asked = getattr(error, "retry_after", None) or 0.0
    if done >= tries or classify(error) is not Kind.PASSING or asked > _LONGEST_ASKED_SECONDS:
        raise error
    return float(max(asked, wait_seconds(done)))


class Deadline:
    """The time for work that takes several requests, each of which a slow registry can draw out."""

    def __init__(self, host: str, what: str, stall_seconds: int) -> None:
        self._seconds = stall_seconds * _STALLS_OF_WORK
        self._end = time.monotonic() + self._seconds
        self._host, self._what = host, what

    def check(self) -> None:
        """Check that there is time left.

        Raises:
            RegistryError: the work takes too long.
        """
        if time.monotonic() > self._end:
            raise RegistryError(f"{self._host} takes longer than {self._seconds}s for {self._what}")


class Hosts:
    """The hosts that turned out to be unreachable in one run. Safe to use from several threads."""

    def __init__(self) -> None:
        self._dead: dict[str, BuildError] = {}
        self._lock = threading.Lock()

    def check(self, host: str) -> None:
        """Check that a host has not failed before.

        Raises:
            RegistryError: the host was unreachable or refused the login; with the original reason.
        """
        with self._lock:
            before = self._dead.get(host)
        if before is not None:
            raise RegistryError(f"{before.message} (not asked again)", hint=before.hint)

    def refuse(self, host: str, error: BuildError) -> None:
        """Remember a host that refused the login, so that it is not asked again."""
        with self._lock:
            self._dead.setdefault(host, error)

    def note(self, host: str, error: BuildError) -> None:
        """Remember the host, if the failure shows that it is unreachable."""
        if host and classify(error) is Kind.UNREACHABLE:
            with self._lock:
                self._dead.setdefault(host, error)
