"""Recordings: what the build of a service downloaded, and what of that could not be recorded."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from build_lib.foreign import on_one_line
from build_lib.registry import Descriptor, is_sha256

Kind = Literal["http", "pypi", "npm", "go", "apt", "git"]

FORMAT = 1
HEADERS = (  # of an answer, those that are recorded and sent again
    "Content-Type",
    "Content-Encoding",
    "Content-Disposition",
    "ETag",
    "Last-Modified",
    "X-PyPI-Last-Serial",
)
_MEDIA_TYPE = "application/octet-stream"
_LARGEST = 1 << 50  # bytes of a download
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")  # a release or a service, which are names of files


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """An answer that a build got.

    `url` is what it asked for. What came through a mirror of packages has the URL that it has without one:
    `https://pypi.org/simple/six/`. `source` is where it came from, without the query. `kind` is how it was asked for:
    http is the proxy or any URL; git is a repository, whose content is a bundle of git. `accept` is the request's
    header, if the answer depends on it. `status` is 200, or why there is no content (such as 404, which is an answer,
    too); `sha256` is then "".
    """

    url: str
    kind: Kind
    status: int
    sha256: str  # in hexadecimal
    size: int  # bytes
    headers: tuple[tuple[str, str], ...]  # of HEADERS
    accept: str
    source: str
    at: str  # when it was recorded (ISO 8601)
    lines: tuple[int, ...]  # of the Dockerfile that may have asked for it; () if that is not known

    @property
    def blob(self) -> Descriptor | None:
        """Its content as a blob; None if it has none."""
        if not self.sha256:
            return None
        return Descriptor(digest=f"sha256:{self.sha256}", size=self.size, media_type=_MEDIA_TYPE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Passed:
    """What a build reached in a way that cannot be recorded, such as an encrypted connection to a host."""

    what: str  # host:port, or a URL
    why: str
    lines: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """What the build of a service downloaded: the image that was built has this `fingerprint` (its hash).

    `path` is the Dockerfile, relative to the repository.
    """

    service: str
    release: str
    fingerprint: str
    path: str
    at: str
    downloads: tuple[Download, ...]
    passed: tuple[Passed, ...]

    def blobs(self) -> dict[str, Descriptor]:
        """The content of all downloads, by digest."""
        return {blob.digest: blob for item in self.downloads if (blob := item.blob)}


def as_json(recording: Recording) -> dict[str, Any]:
    """The recording as a JSON value."""
    return {"format": FORMAT, **asdict(recording)}


def from_json(value: Any) -> Recording:
    """The recording that a JSON value describes. The value may come from elsewhere: all of it is checked.

    Raises:
        ValueError, TypeError, LookupError: it describes none, or is of another format. The message says why.
    """
    found = _object(value)
    if found.get("format") != FORMAT:
        raise ValueError(f"its format is {found.get('format')!r}, and this program reads {FORMAT}")
    return Recording(
        service=_name(found["service"]),
        release=_name(found["release"]),
        fingerprint=_text(found["fingerprint"]),
        path=_text(found["path"]),
        at=_text(found["at"]),
        downloads=tuple(map(_download, _list(found["downloads"]))),
        passed=tuple(map(_passed, _list(found["passed"]))),
    )


def _download(value: Any) -> Download:
    found = _object(value)
    kind, sha256 = found["kind"], _text(found["sha256"])
    if kind not in get_args(Kind):
        raise ValueError(f"the kind {kind!r} is not known")
    if sha256 and not is_sha256(f"sha256:{sha256}"):
        raise ValueError(f"{sha256!r} is no SHA-256")
    return Download(
        url=_text(found["url"]),
        kind=kind,
        status=_number(found["status"], 100, 599),
        sha256=sha256,
        size=_number(found["size"], 0, _LARGEST),
        headers=tuple(_header(each) for each in _list(found["headers"])),
        accept=_text(found["accept"]),
        source=_text(found["source"]),
        at=_text(found["at"]),
        lines=_lines(found["lines"]),
    )


def _passed(value: Any) -> Passed:
    found = _object(value)
    return Passed(what=_text(found["what"]), why=_text(found["why"]), lines=_lines(found["lines"]))


def _header(value: Any) -> tuple[str, str]:
    name, text = map(_text, _list(value))
    if name not in HEADERS:
        raise ValueError(f"the header {name} is none of those that are recorded")
    return name, text


def _lines(value: Any) -> tuple[int, ...]:
    return tuple(_number(line, 0, _LARGEST) for line in _list(value))


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"an object is expected, not {type(value).__name__}")
    return value


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"a list is expected, not {type(value).__name__}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or value != on_one_line(value):
        raise TypeError("a printable text is expected")
    return value


def _name(value: Any) -> str:
    if not _NAME.fullmatch(_text(value)):
        raise ValueError(f"{value!r} is no name of a release or a service")
    return str(value)


def _number(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"a number from {least} to {most} is expected")
    return value
