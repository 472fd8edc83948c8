"""Where the content of a URL is in an exported directory. A server of plain files has to find it there."""

import os
import re
from collections.abc import Collection, Iterable
from urllib.parse import quote, unquote_to_bytes, urlsplit

from build_lib.downloads.recording import Download
from build_lib.downloads.routes import MIRRORS

Parts = tuple[str, ...]  # of a path, below the exported directory

INDEX = "index.html"  # what servers answer for a directory
TOPS = ("pypi", "npm", "go", "apt", "http", "https")
_OF_APT = ("InRelease", "Release", "Packages", "Packages.gz", "Packages.xz")
# what a name of a host may have, and a port: it is a name of a directory, and in the lines that the front page shows
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,250}[a-z0-9_])?(?::\d{1,5})?|\[[0-9a-f:.]{2,45}\](?::\d{1,5})?")
_LONGEST = 255  # bytes of a name, on common file systems


def place(url: str, apt: Collection[str]) -> Parts:
    """The parts of the path; `apt` are the hosts that have archives of apt.

    Servers unquote the path of a request, take several slashes for one, and ignore the query: so does this.

    Raises:
        ValueError: no file can have this URL. The message says why.
    """
    for path, (_, base) in MIRRORS.items():
        if url.startswith(base):
            return (*path.removesuffix("/").split("/"), *_names(url.removeprefix(base)))
    scheme, host = url.partition("://")[0].lower(), _host(url)
    if scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise ValueError("it is no URL of http or https with a host")
    top = "apt" if scheme == "http" and host in apt else scheme
    return (top, host, *_names(urlsplit(url).path))


def apt_hosts(downloads: Iterable[Download]) -> frozenset[str]:
    """The hosts of http that were asked for as archives of apt, or that gave apt's indexes."""
    plain = (item for item in downloads if item.url.startswith("http://"))
    return frozenset(_host(item.url) for item in plain if item.kind == "apt" or _last(item.url) in _OF_APT)


def link(parts: Parts, page: Parts | None = None) -> str:
    """The link to a place, quoted: relative to a page, or to the exported directory."""
    path = "/".join(parts[:-1]) + "/" if parts[-1] == INDEX else "/".join(parts)
    return quote("../" * (len(page) - 1 if page else 0) + path, safe="/@!+~:,=")


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:  # such as https://[
        return ""


def _last(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def _names(path: str) -> Parts:
    path = path.partition("#")[0].partition("?")[0]
    names = os.fsdecode(unquote_to_bytes(path)).split("/")
    return _checked([*filter(None, names), *([] if names[-1] else [INDEX])])


def _checked(names: list[str]) -> Parts:
    for name in names:
        if name in (".", "..") or "\0" in name:
            raise ValueError(f"a file cannot be named {name!r}")
        if len(os.fsencode(name)) > _LONGEST:
            raise ValueError(f"a part of its path is longer than {_LONGEST} bytes")
    return tuple(names)
