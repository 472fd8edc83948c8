"""Image references, which are parsed once, when they are read.

The grammar is that of the distribution project's reference package (`reference.go`, `normalize.go`).
"""

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Self

from build_lib.errors import InvalidReference
from build_lib.settings import masked_value

DOCKER_HUB = "docker.io"
_HUB_ALIASES = ("docker.io", "index.docker.io")
_OFFICIAL = "library/"  # the path on Docker Hub of images with a one-word name
_REPOSITORY_LIMIT = 255  # characters of host and path together
TAG_LIMIT = 128
_DOWNLOADS = "build_lib/downloads"  # a path that no image has in a private registry

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
    """The name of an image: `host/path:tag@digest`.

    `host` is never empty (`docker.io` by default), and `path` is the full path (`library/redis` for `redis`). A
    reference has a tag, a digest, or both; the tag is `latest` if neither was given.
    """

    host: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a reference as the engine does.

        Raises:
            InvalidReference: the text is not a reference; the message names it and the invalid part.
        """
        if _IMAGE_ID_RE.fullmatch(text):
            raise InvalidReference(f"{text!r} is an image id, not an image's name")
        rest, at, digest = text.partition("@")
        if at:
            _check_digest(text, digest)
        rest, tag = _split_tag(rest)
        if tag is not None and not _TAG_RE.fullmatch(tag):
            raise InvalidReference(f"{text!r} has an invalid tag {tag!r}", hint=TAG_RULE)
        host, path = _split_host(rest)
        _check_name(text, host, path)
        if tag is None and not at:
            tag = "latest"
        return cls(host, path, tag, digest if at else None)

    @property
    def repository(self) -> str:
        """The full host and path, such as `docker.io/library/redis`: equal for the same repository."""
        return f"{self.host}/{self.path}"

    @property
    def familiar(self) -> str:
        """The repository in its short form: `redis`, `minio/minio`, `quay.io/a/b`."""
        if self.host != DOCKER_HUB:
            return self.repository
        short = self.path.removeprefix(_OFFICIAL)
        if "/" not in short:
            return short
        return self.path if _split_host(self.path)[0] == DOCKER_HUB else self.repository

    def __str__(self) -> str:
        """The shortest equivalent form, with tag and digest."""
        return self.familiar + self._suffix

    @property
    def canonical(self) -> str:
        """The form without defaults: `docker.io/library/redis:7-alpine`."""
        return self.repository + self._suffix

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def identity(self) -> str:
        """The canonical form without the tag if there is a digest, which alone identifies the image."""
        return f"{self.repository}@{self.digest}" if self.digest else self.canonical

    def with_tag(self, tag: str) -> Self:
        """The same repository under another tag, and no digest."""
        return replace(self, tag=tag, digest=None)


@dataclass(frozen=True, slots=True)
class PrivateRegistry:
    """The user's own registry, `host[:port]/project`, and the names of images in it."""

    host: str
    project: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `host[:port]` or `host[:port]/project[/…]`; one trailing slash is allowed.

        Raises:
            InvalidReference: the text has another form.
        """
        host, _, project = text.removesuffix("/").partition("/")
        if not _is_host(host) or (project and not _PATH_RE.fullmatch(project)):
            raise InvalidReference(
                f"{text!r} is not a valid registry", hint="write host[:port]/project, such as harbor.example/aihpc"
            )
        return cls(host, project)

    def __str__(self) -> str:
        """The form that settings use, without a trailing slash."""
        return f"{self.host}/{self.project}" if self.project else self.host

    def place(self, image: Reference) -> Reference:
        """The image's name in this registry: its own path below the project (design, decision 8).

        Images of Docker Hub keep their short path. Others have their host as the first component, with `_` instead of
        the colon before the port. An image of this registry keeps its name.
        """
        if self.holds(image):
            return image
        prefix = f"{self.project}/" if self.project else ""
        return replace(image, host=self.host, path=prefix + _path_with_host(image))

    def downloads(self, release: str) -> Reference:
        """The name in this registry of what the builds of a release downloaded.

        `place` gives it to no image: a path of Docker Hub whose first component has an underscore gets its host in
        front, and a host has an underscore before its port alone, which `lib` is not.
        """
        prefix = f"{self.project}/" if self.project else ""
        return Reference(self.host, prefix + _DOWNLOADS, release)

    def holds(self, image: Reference) -> bool:
        """Whether the image belongs to this registry's project by its own name."""
        below = f"{self.project}/" if self.project else ""
        return image.host == self.host and image.path.startswith(below)


@dataclass(frozen=True, slots=True)
class Mirror:
    """A registry with the images of another registry under the same full paths, such as a pull-through cache."""

    of: str  # the host that is mirrored
    registry: PrivateRegistry

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `host[:port][/path]` for Docker Hub, or `quay.io=host[:port][/path]`; `https://` is allowed.

        Raises:
            InvalidReference: the text has another form.
        """
        of, equals, place = text.rpartition("=")
        if equals and not _is_host(of):
            raise InvalidReference(f"{text!r} is not a valid mirror", hint="write host[/path], or quay.io=host[/path]")
        of = DOCKER_HUB if not of or of in _HUB_ALIASES else of
        return cls(of, PrivateRegistry.parse(place.removeprefix("https://")))

    def __str__(self) -> str:
        """The form that settings use."""
        return str(self.registry) if self.of == DOCKER_HUB else f"{self.of}={self.registry}"

    def place(self, image: Reference) -> Reference | None:
        """The image's name at the mirror; None if the image belongs to another registry."""
        if image.host != self.of:
            return None
        prefix = f"{self.registry.project}/" if self.registry.project else ""
        return replace(image, host=self.registry.host, path=prefix + image.path)


def pinned(image: Reference) -> Reference | None:
    """The local tag for an image that is pinned by its digest; None if it is not pinned.

    An engine finds `x@sha256:…` only if it pulled the image from x itself (moby#43570). An image from any other source
    gets this tag, under which every builder finds it.
    """
    if not image.digest:
        return None
    return Reference(DOCKER_HUB, "build-lib/pinned", image.digest.replace(":", "-"))


def local_names(image: Reference) -> tuple[Reference, ...]:
    """The names under which an engine may have the image: its own, and the tag from `pinned`."""
    local = pinned(image)
    return (image,) if local is None else (image, local)


TAG_RULE = f"a tag has up to {TAG_LIMIT} letters, digits, '_', '.' and '-', and does not begin with '.' or '-'"


def is_tag(text: str) -> bool:
    """Whether the text is a valid tag."""
    return _TAG_RE.fullmatch(text) is not None


def _path_with_host(image: Reference) -> str:
    """A path that is unique for each repository.

    A path of Docker Hub whose first component could be another host gets its own host.
    """
    if image.host != DOCKER_HUB:
        return f"{_as_component(image.host)}/{image.path}"
    first, slash, _ = image.familiar.partition("/")
    return f"{DOCKER_HUB}/{image.path}" if slash and ("_" in first or "." in first) else image.familiar


def _as_component(host: str) -> str:
    """A host as a path component, which cannot contain colons, brackets or capital letters.

    Hosts contain no underscores, so that replacements with underscores stay unique.
    """
    name, _, port = host.lower().rpartition(":") if _HAS_PORT_RE.search(host) else (host.lower(), "", "")
    if name.startswith("["):
        name = "ipv6__" + ipaddress.IPv6Address(name[1:-1]).exploded.replace(":", "-")
    if not port and "." not in name and name != "localhost" and not name.startswith("ipv6__"):
        port = "443"  # only its capital letters made it a host: in lower case, it needs a port
    return f"{name}_{port}" if port else name


def _split_tag(text: str) -> tuple[str, str | None]:
    """Split off the tag, which begins at a colon after the last slash: `host:5000/x` has a port and no tag."""
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, None
    return name, tag


def _split_host(text: str) -> tuple[str, str]:
    """Split off the host: a first part with a dot, a colon or a capital letter, or `localhost`."""
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
        raise InvalidReference(f"{text!r} has an invalid registry {host!r}")
    if not _PATH_RE.fullmatch(path):
        raise InvalidReference(
            f"{text!r} is not a valid image reference", hint="names are lower-case: name[:tag][@digest]"
        )
    if len(path) + len(host) + 1 > _REPOSITORY_LIMIT:
        raise InvalidReference(f"{text[:60]!r}… is longer than {_REPOSITORY_LIMIT} characters")


def _check_digest(text: str, digest: str) -> None:
    algorithm, _, value = digest.partition(":")
    if len(value) != _DIGEST_LENGTHS.get(algorithm) or not _HEX_RE.fullmatch(value):
        raise InvalidReference(
            f"{masked_value(text)!r} has an invalid digest", hint="a digest is sha256: followed by 64 hex digits"
        )
