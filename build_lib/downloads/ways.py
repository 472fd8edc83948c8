"""The ways of builds to the recorder: each service has one, with a token that names it, and what happened on it."""

import base64
import binascii
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from build_lib.downloads.recording import Download
from build_lib.foreign import on_one_line

_USER = "build"  # of proxies' logins

Key = tuple[str, str]  # of a download: URL, Accept
Happened = Literal["passed", "refused", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that a build asked for and that was not recorded, and when (time.time).

    `passed` went on without being recorded; `refused` did not; `failed` could not be fetched.
    """

    kind: Happened
    what: str
    why: str
    moment: float


@dataclass(kw_only=True, slots=True)
class Way:
    """What the build of one service asks the recorder for. Its parts change in the event loop alone."""

    service: str
    upstreams: Mapping[str, str]  # see routes.target
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    downloads: dict[Key, Download] = field(default_factory=dict)
    moments: dict[Key, list[float]] = field(default_factory=dict)  # when each was asked for
    events: list[Event] = field(default_factory=list)
    requests: int = 0

    def proxy(self, authority: str) -> str:
        """The URL of the proxy, for a build."""
        return f"http://{_USER}:{self.token}@{authority}"

    def mirror(self, authority: str) -> str:
        """The URL of the mirrors, for a build, with a slash at its end."""
        return f"http://{authority}/{self.token}/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What the build of a service asked for: downloads with the times of the requests, and the rest."""

    downloads: tuple[tuple[Download, tuple[float, ...]], ...]
    events: tuple[Event, ...]
    requests: int


def event(kind: Happened, what: str, why: str) -> Event:
    """Something that happens now."""
    return Event(kind=kind, what=on_one_line(what), why=on_one_line(why), moment=time.time())


def note(way: Way, key: Key, download: Download) -> None:
    """Note that a way's service gets this download now."""
    way.downloads[key] = download
    way.moments.setdefault(key, []).append(time.time())


class Ways:
    """The ways that are open, by their tokens."""

    def __init__(self) -> None:
        self._open: dict[str, Way] = {}

    def open(self, service: str, upstreams: Mapping[str, str]) -> Way:
        """Open the way of a service."""
        way = Way(service=service, upstreams=upstreams)
        self._open[way.token] = way
        return way

    def close(self, way: Way) -> None:
        """Nothing can be asked for on this way any more."""
        self._open.pop(way.token, None)

    def of_token(self, token: str) -> Way | None:
        """The way with this token."""
        return self._open.get(token)

    def of_login(self, header: str) -> Way | None:
        """The way that a Proxy-Authorization header names."""
        scheme, _, encoded = header.partition(" ")
        try:
            text = base64.b64decode(encoded.strip(), validate=True).decode() if scheme.lower() == "basic" else ""
        except (binascii.Error, ValueError):
            return None
        return self.of_token(text.partition(":")[2])
