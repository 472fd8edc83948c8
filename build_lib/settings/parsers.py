"""Parsers that turn the text of a setting into its value.

Each function raises ValueError with what is allowed. Items of lists are separated by commas or white space.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from build_lib.errors import InvalidReference, nearest
from build_lib.reference import TAG_RULE, Mirror, PrivateRegistry, Reference, is_tag
from build_lib.settings.builder_address import BuilderAddress, parse_all
from build_lib.settings.package_paths import PackagePath


def text(text: str) -> str:
    """The text unchanged."""
    return text


def count(text: str) -> int:
    """A whole number from 1 to 1000."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1000:
        raise ValueError("a whole number from 1 to 1000")
    return int(text)


def optional_count(text: str) -> int | None:
    """A whole number, or None for ""."""
    return count(text) if text else None


def yes(text: str) -> bool:
    """Yes or no."""
    if text.lower() not in ("", "0", "1", "no", "yes", "false", "true"):
        raise ValueError("yes or no")
    return text.lower() in ("1", "yes", "true")


def one_of(*words: str) -> Callable[[str], str]:
    """A parser that accepts only these words."""

    def parse(text: str) -> str:
        if text not in words:
            allowed = f"{', '.join(filter(None, words[:-1]))} or {words[-1]}"
            raise ValueError("; ".join(filter(None, (allowed, nearest(text, words)))))
        return text

    return parse


def words(text: str) -> tuple[str, ...]:
    """The words of a list."""
    return tuple(text.replace(",", " ").split())


MirrorUse = Literal["pypi", "npm", "go", "apt", "url", "host", "apt-options", "none"]
_USES: Mapping[str, MirrorUse] = {use: use for use in get_args(MirrorUse)}
_ADDRESS = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:]+\])(:\d{1,5})?")


def pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Pairs of services, the first of which needs the second."""
    found = tuple(word.partition("=")[::2] for word in words(text))
    if not all(first and second and "=" not in second for first, second in found):
        raise ValueError("pairs of services such as slurm-master=apphub, separated by commas or spaces")
    return found


def mirror_args(text: str) -> dict[str, MirrorUse]:
    """What build arguments lead to, by their names."""
    found = dict(word.partition("=")[::2] for word in words(text))
    if not all(name.isidentifier() and use in _USES for name, use in found.items()):
        raise ValueError(f"NAME=USE, separated by commas or spaces; a use is one of {', '.join(_USES)}")
    return {name: _USES[use] for name, use in found.items()}


def address(text: str) -> str:
    """A host, with a port if it has one."""
    if text and not _ADDRESS.fullmatch(text):
        raise ValueError("a host of this machine, host or host:port, such as 10.0.0.5 or build.example:8099")
    return text


def directories(text: str) -> tuple[str, ...]:
    """Directories, or patterns of directories; the repository's top for ""."""
    return words(text) or (".",)


def file_names(text: str) -> tuple[str, ...]:
    """Names of files, or patterns of names."""
    found = words(text)
    if not found or "/" in text:
        raise ValueError("names of files without a directory, or patterns of names, such as Dockerfile or Dockerfile.*")
    return found


def path_patterns(text: str) -> tuple[str, ...]:
    """Paths, or patterns of paths, in which `**` is a whole component."""
    found = words(text)
    parts = [part for pattern in found for part in pattern.split("/")]
    if any(pattern.startswith("/") for pattern in found) or any("**" in part and part != "**" for part in parts):
        raise ValueError("paths relative to the repository, or patterns of paths, such as k8s/**/*.yaml")
    return found


def tag(text: str) -> str:
    """A tag that is valid at every registry."""
    if not is_tag(text):
        raise ValueError(TAG_RULE)
    return text


def optional_tag(text: str) -> str:
    """A tag, or ""."""
    return tag(text) if text else ""


def image_prefix(text: str) -> str:
    """A prefix of image names."""
    try:
        Reference.parse(f"{text}x:latest")
    except InvalidReference:
        raise ValueError("a prefix of image names, such as 'ai-infra-' or 'harbor.example/team/'") from None
    return text


def registry(text: str) -> PrivateRegistry | None:
    """A registry with its project, or None for ""."""
    try:
        return PrivateRegistry.parse(text) if text else None
    except InvalidReference as error:
        raise ValueError(error.hint) from None


def image(text: str) -> Reference | None:
    """An image, or None for ""."""
    try:
        return Reference.parse(text) if text else None
    except InvalidReference as error:
        raise ValueError(error.hint or "an image such as debian:bookworm-slim") from None


def images(text: str) -> tuple[Reference, ...]:
    """Images."""
    try:
        return tuple(Reference.parse(word) for word in words(text))
    except InvalidReference as error:
        raise ValueError(f"images separated by commas or spaces ({error.message})") from None


def mirrors(text: str) -> tuple[Mirror, ...]:
    """Mirrors, each with the registry that it mirrors."""
    try:
        return tuple(Mirror.parse(word) for word in words(text))
    except InvalidReference as error:
        raise ValueError(f"mirrors separated by commas or spaces ({error.message}; {error.hint})") from None


def hosts(text: str) -> tuple[str, ...]:
    """Hosts, each with its port if it has one."""
    try:
        found = tuple(PrivateRegistry.parse(word) for word in words(text))
    except InvalidReference as error:
        raise ValueError(
            f"hosts such as harbor.example:8080, separated by commas or spaces ({error.message})"
        ) from None
    if any(registry.project for registry in found):
        raise ValueError("hosts only, as host[:port], without a project")
    return tuple(registry.host for registry in found)


def package_paths(text: str) -> tuple[PackagePath, ...]:
    """From where packages are copied, and to where."""
    return tuple(PackagePath.parse(word) for word in words(text))


def builders(text: str) -> tuple[BuilderAddress, ...]:
    """The builders of a fleet."""
    return parse_all(words(text))


def directory(text: str) -> Path | None:
    """The absolute path of a directory that exists, or None for ""."""
    if text and not Path(text).expanduser().is_dir():
        raise ValueError("a directory that exists")
    return Path(text).expanduser().absolute() if text else None


def platforms(text: str) -> str:
    """Platforms, separated by commas alone, or ""."""
    found = dict.fromkeys(words(text))
    if not all(re.fullmatch(r"[a-z]+/[a-z0-9]+(/[a-z0-9]+)?", word) for word in found):
        raise ValueError("os/architecture, such as linux/amd64 or linux/arm/v7; several for BUILDERS")
    return ",".join(found)


def file(text: str) -> Path | None:
    """The absolute path of a file that exists, or None for ""."""
    if text and not Path(text).expanduser().is_file():
        raise ValueError("a file that exists")
    return Path(text).expanduser().absolute() if text else None


def apt_mirror(text: str) -> str:
    """A URL, or a host[:port][/path], unchanged; or ""."""
    url = urlsplit(text if "://" in text else f"http://{text}")
    if text and (url.scheme not in ("http", "https") or not _is_host(url.netloc.rpartition("@")[2])):
        raise ValueError("an http or https URL such as http://mirror.example/debian, or a host such as mirror.example")
    if "@" in url.netloc:
        raise ValueError("a URL without a password, which would be visible in the images' history")
    return text


def apt_archive(mirror: str) -> str:
    """The URL of the Debian archive at a mirror, without its trailing slash: `http://HOST/debian` for a host alone."""
    mirror = mirror.rstrip("/")
    if not mirror or "://" in mirror:
        return mirror
    return f"http://{mirror}" if "/" in mirror else f"http://{mirror}/debian"


def _is_host(text: str) -> bool:
    return bool(re.fullmatch(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?", text))
