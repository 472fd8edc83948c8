"""Image references: parsed once at the edge, printed when handed on.

The grammar is that of the distribution project's reference package (`reference.go`, `normalize.go`).
"""

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Self

from build_lib.errors import InvalidReference

DOCKER_HUB = "docker.io"
_HUB_ALIASES = ("docker.io", "index.docker.io")
_OFFICIAL = "library/"  # where Docker Hub keeps the images that are written with one word
_REPOSITORY_LIMIT = 255  # characters of host and path together
TAG_LIMIT = 128

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{TAG_LIMIT - 1}}}"

_HOST_RE = re.compile(_HOST)
_PATH_RE = re.compile(_PATH)
_TAG_RE = re.compile(_TAG)
_HEX_RE = re.compile(r"[a-f0-9]+")
_HAS_PORT_RE = re.compile(r":[0-9]+$")
_IMAGE_ID_RE = re.compile(r"[a-f0-9]{64}")
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an image is: `host/path:tag@digest`.

    `host` is always there (`docker.io` if none was written), and `path` is the whole one
    (`library/redis` for `redis`). A reference has a tag, a digest, or both: `latest` if neither was written.
    """

    host: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference as the engine does.

        Raises:
            InvalidReference: the text is none; the message names it and the part that is wrong.
        """
        if _IMAGE_ID_RE.fullmatch(text):
            raise InvalidReference(f"{text!r} is an image id, not an image's name")
        rest, at, digest = text.partition("@")
        if at:
            _check_digest(text, digest)
        rest, tag = _split_tag(rest)
        if tag is not None and not _TAG_RE.fullmatch(tag):
            raise InvalidReference(f"{text!r} has an impossible tag {tag!r}", hint=TAG_RULE)
        host, path = _split_host(rest)
        _check_name(text, host, path)
        if tag is None and not at:
            tag = "latest"
        return cls(host, path, tag, digest if at else None)

    @property
    def repository(self) -> str:
        """Host and path in full, such as `docker.io/library/redis`: equal for equal places."""
        return f"{self.host}/{self.path}"

    @property
    def familiar(self) -> str:
        """The repository as people write it: `redis`, `minio/minio`, `quay.io/a/b`."""
        if self.host != DOCKER_HUB:
            return self.repository
        short = self.path.removeprefix(_OFFICIAL)
        if "/" not in short:
            return short
        return self.path if _split_host(self.path)[0] == DOCKER_HUB else self.repository

    def __str__(self) -> str:
        """The shortest form that means the same, with its tag and digest."""
        return self.familiar + self._suffix

    @property
    def canonical(self) -> str:
        """The form that needs no defaults: `docker.io/library/redis:7-alpine`."""
        return self.repository + self._suffix

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def identity(self) -> str:
        """The canonical form of what it pins down: with a digest, the tag says nothing more."""
        return f"{self.repository}@{self.digest}" if self.digest else self.canonical

    def with_tag(self, tag: str) -> Self:
        """The same repository under another tag, and no digest."""
        return replace(self, tag=tag, digest=None)


@dataclass(frozen=True, slots=True)
class PrivateRegistry:
    """The user's own registry, `host[:port]/project`, and what each image is called there."""

    host: str
    project: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `host[:port]` or `host[:port]/project[/…]`; one trailing slash is allowed.

        Raises:
            InvalidReference: the text is no such place.
        """
        host, _, project = text.removesuffix("/").partition("/")
        if not _is_host(host) or (project and not _PATH_RE.fullmatch(project)):
            raise InvalidReference(
                f"{text!r} is no registry", hint="write host[:port]/project, such as harbor.example/aihpc"
            )
        return cls(host, project)

    def __str__(self) -> str:
        """As it is written in settings, with no trailing slash."""
        return f"{self.host}/{self.project}" if self.project else self.host

    def place(self, image: Reference) -> Reference:
        """The image's name here: its own path below the project (design, decision 8).

        Images of Docker Hub keep the short path that people write, others carry their host as the first
        component, with `_` for the port's colon. What is under this registry already stays where it is.
        """
        if self.holds(image):
            return image
        prefix = f"{self.project}/" if self.project else ""
        return replace(image, host=self.host, path=prefix + _path_with_host(image))

    def holds(self, image: Reference) -> bool:
        """Whether the image's own name is in this registry's project."""
        below = f"{self.project}/" if self.project else ""
        return image.host == self.host and image.path.startswith(below)


@dataclass(frozen=True, slots=True)
class Mirror:
    """A registry that has another one's images under their own full paths, such as a pull-through cache."""

    of: str  # the host whose images it has
    registry: PrivateRegistry

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `host[:port][/path]`, a mirror of Docker Hub, or `quay.io=host[:port][/path]`; `https://` is allowed.

        Raises:
            InvalidReference: the text is no such place.
        """
        of, equals, place = text.rpartition("=")
        if equals and not _is_host(of):
            raise InvalidReference(f"{text!r} is no mirror", hint="write host[/path], or quay.io=host[/path]")
        of = DOCKER_HUB if not of or of in _HUB_ALIASES else of
        return cls(of, PrivateRegistry.parse(place.removeprefix("https://")))

    def __str__(self) -> str:
        """As settings write it."""
        return str(self.registry) if self.of == DOCKER_HUB else f"{self.of}={self.registry}"

    def place(self, image: Reference) -> Reference | None:
        """Where the mirror has the image; None if it is of another registry."""
        if image.host != self.of:
            return None
        prefix = f"{self.registry.project}/" if self.registry.project else ""
        return replace(image, host=self.registry.host, path=prefix + image.path)


def pinned(image: Reference) -> Reference | None:
    """The local tag of an image that is pinned by its digest; None if it is not.

    An engine finds `x@sha256:…` only after its own pull from x itself (moby#43570). Whatever else brought the image in
    gives it this name, by which every builder finds it.
    """
    if not image.digest:
        return None
    return Reference(DOCKER_HUB, "build-lib/pinned", image.digest.replace(":", "-"))


def local_names(image: Reference) -> tuple[Reference, ...]:
    """The names under which an engine may have the image: its own, and what `pinned` gives."""
    local = pinned(image)
    return (image,) if local is None else (image, local)


TAG_RULE = f"a tag has up to {TAG_LIMIT} letters, digits, '_', '.' and '-', and begins with none of '.' and '-'"


def is_tag(text: str) -> bool:
    """Whether the text can be a tag."""
    return _TAG_RE.fullmatch(text) is not None


def _path_with_host(image: Reference) -> str:
    """A path that no two repositories share.

    A path of Docker Hub whose first component could stand for another host is written with its own host.
    """
    if image.host != DOCKER_HUB:
        return f"{_as_component(image.host)}/{image.path}"
    first, slash, _ = image.familiar.partition("/")
    return f"{DOCKER_HUB}/{image.path}" if slash and ("_" in first or "." in first) else image.familiar


def _as_component(host: str) -> str:
    """A host as a path component, in which neither colons, brackets nor capitals may stand.

    No host has an underscore, so what is put in its place is never part of another host's name.
    """
    name, _, port = host.lower().rpartition(":") if _HAS_PORT_RE.search(host) else (host.lower(), "", "")
    if name.startswith("["):
        name = "ipv6__" + ipaddress.IPv6Address(name[1:-1]).exploded.replace(":", "-")
    if not port and "." not in name and name != "localhost" and not name.startswith("ipv6__"):
        port = "443"  # a host that only its capitals made one: without them it needs its port to be one
    return f"{name}_{port}" if port else name


def _split_tag(text: str) -> tuple[str, str | None]:
    """`host:5000/x` has a port and no tag: only a colon after the last slash begins a tag."""
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, None
    return name, tag


def _split_host(text: str) -> tuple[str, str]:
    """The first part is a host if it has a dot, a colon or an upper-case letter, or is `localhost`."""
    first, slash, rest = text.partition("/")
    is_host = slash and (any(c in first for c in ".:") or first == "localhost" or first != first.lower())
    host, path = (first, rest) if is_host else (DOCKER_HUB, text)
    if host in _HUB_ALIASES:
        host = DOCKER_HUB
        path = path if "/" in path else _OFFICIAL + path
    return host, path


def _is_host(host: str) -> bool:
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1 : host.index("]")] if "]" in host else host)
        except ValueError:
            return False
    return _HOST_RE.fullmatch(host) is not None


def _check_name(text: str, host: str, path: str) -> None:
    if not _is_host(host):
        raise InvalidReference(f"{text!r} has an impossible registry {host!r}")
    if not _PATH_RE.fullmatch(path):
        raise InvalidReference(f"{text!r} is no image reference", hint="names are lower-case: name[:tag][@digest]")
    if len(path) + len(host) + 1 > _REPOSITORY_LIMIT:
        raise InvalidReference(f"{text[:60]!r}… is longer than {_REPOSITORY_LIMIT} characters")


def _check_digest(text: str, digest: str) -> None:
    algorithm, _, value = digest.partition(":")
    if len(value) != _DIGEST_LENGTHS.get(algorithm) or not _HEX_RE.fullmatch(value):
        raise InvalidReference(f"{text!r} has an impossible digest", hint="a digest is sha256: and 64 hex digits")
