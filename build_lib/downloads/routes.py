"""What a request to the recorder is for: from paths of mirrors to the URLs that are recorded, and back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from build_lib.downloads.recording import Kind

# where packages are when no mirror is in between; what came through a mirror is recorded under these URLs
PYPI, NPM, GO = "https://pypi.org/simple/", "https://registry.npmjs.org/", "https://proxy.golang.org/"
MIRRORS: Mapping[str, tuple[Kind, str]] = {"pypi/simple/": ("pypi", PYPI), "npm/": ("npm", NPM), "go/": ("go", GO)}
_SCHEME = re.compile(r"(https?)(?::|%3A)?/{1,2}(?=[^/])", re.IGNORECASE)  # clients may quote it, or merge slashes
_HOST = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.[A-Za-z0-9._-]*[A-Za-z0-9](:\d+)?/")  # `github.com/`
ADDED = "add/"  # before the URLs of ADDs
_DIRECT = (ADDED, "http/", "https/")  # before what no mirror of the service's is asked for, also links of indexes


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What is asked for: the URL under which it is recorded, and the one that it is fetched from."""

    kind: Kind
    url: str
    upstream: str


def target(path: str, upstreams: Mapping[str, str]) -> Target | None:
    """What a path of the mirror, without its first slash, is for; None if it is for nothing.

    `upstreams` are the mirrors that the service would use without the recorder, by kind; `""` is one for any URL, which
    is written before it.
    """
    for prefix, (kind, base) in MIRRORS.items():
        if path.startswith(prefix):
            rest = path.removeprefix(prefix)
            return Target(kind=kind, url=base + rest, upstream=upstreams.get(kind, base) + rest)
    if path.startswith("apt/"):
        rest = path.removeprefix("apt/")
        encrypted = upstreams.get("apt", "").startswith(f"https://{rest.partition('/')[0]}")
        return Target(
            kind="apt", url=without_login(f"http://{rest}"), upstream=f"{'https' if encrypted else 'http'}://{rest}"
        )
    mirror = "" if path.startswith(_DIRECT) else upstreams.get("", "")
    path = path.removeprefix(ADDED)
    scheme = _SCHEME.match(path)
    if not (scheme or _HOST.match(path)):
        return None
    rest = path[scheme.end() :] if scheme else path
    upstream = f"{scheme[1].lower() if scheme else 'https'}://{rest}"
    asked = upstream if scheme else rest
    return Target(kind="http", url=without_login(upstream), upstream=f"{mirror}{asked}" if mirror else upstream)


def without_login(url: str) -> str:
    """A URL without user name and password."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def path_of(url: str) -> str:
    """The path of the mirror for a URL, without its first slash. It is the same in an exported directory."""
    for prefix, (_, base) in MIRRORS.items():
        if url.startswith(base):
            return prefix + url.removeprefix(base)
    return url.replace("://", "/", 1)


def host_of(url: str) -> str:
    """The host of a URL, with its port."""
    return urlsplit(url).netloc.rpartition("@")[2]


def origin(url: str) -> str:
    """A URL without user name, password, query and fragment, for users."""
    parts = urlsplit(url)
    return SplitResult(parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "").geturl()
