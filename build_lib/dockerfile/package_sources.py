"""Where package managers download from in a stage: what its commands wrote to configuration files, or its base image.

A source is either one that replaces those of the image, such as a mirror that `sed` writes to `sources.list`, or one in
addition to them, such as a file in `sources.list.d`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath

from build_lib.dockerfile.flags import given
from build_lib.dockerfile.simple_commands import Simple
from build_lib.dockerfile.url_hosts import Place, found_in, places
from build_lib.dockerfile.variable_values import Values
from build_lib.errors import InvalidReference
from build_lib.reference import Reference

_FILES = (  # what is in the names of files that tell a package manager's sources
    ("apt", re.compile(r"/etc/apt/|sources\.list")),
    ("dnf", re.compile(r"/etc/yum\.repos\.d|/etc/(?:dnf|yum)\.conf")),
    ("apk", re.compile(r"/etc/apk/repositories")),
    ("pip", re.compile(r"pip\.(?:conf|ini)|pypoetry|uv\.toml")),
    ("npm", re.compile(r"\.?npmrc|\.yarnrc")),
    ("cargo", re.compile(r"\.?cargo/config|CARGO_HOME\}?/config")),
    ("conda", re.compile(r"condarc")),
    ("maven", re.compile(r"settings\.xml")),
    ("gem", re.compile(r"gemrc")),
)
SOURCE_FILES = ("sources", "repositories", "repos", "npmrc", "yarnrc", "condarc", "gemrc", "settings", "pypoetry")
_ONE_OF_SEVERAL = re.compile(r"/(?:sources\.list|yum\.repos)\.d/")
_DISTRIBUTION = re.compile(r"(?i)debian\.|ubuntu\.|alma|rocky|centos|fedora|alpine")
_COPIED = re.compile(
    r"sources\.list$|(?:debian|ubuntu)\.sources$|/repositories$|\.conf$|rc(?:\.yml)?$|\.xml$|config\.toml$"
)
_COPY = re.compile(r"(?i)(?:[.-]|\b)(?:bak|backup|orig|old|save|disabled)")
_SED = re.compile(r"s([|/#,@!%;+~^])(?P<old>(?:\\.|(?!\1).)*+)\1(?P<new>(?:\\.|(?!\1).)*+)\1", re.DOTALL)
_MOST = 32  # sources of a family
_SETS = {  # the words after which the source is said
    "npm": re.compile(r"config set (?:--?\S+ )*(?:\S*:)?registry[ =](\S+)|set registry[ =](\S+)"),
    "yarn": re.compile(r"config set (?:npmRegistryServer|registry) (\S+)"),
    "pip": re.compile(r"config (?:--\S+ )*set (?:global|install|user)\.(?:index-url|index) (\S+)"),
    "poetry": re.compile(r"(?:source add (?:--\S+ )*\S+|config repositories\.\S+) (\S+)"),
    "go": re.compile(r"env -w (?:\S+ )*GOPROXY=(\S+)"),
    "conda": re.compile(r"config (?:--\S+ )*(?:channels|channel_alias|default_channels|custom_channels\.\S+) (\S+)"),
    "gem": re.compile(r"sources .*(?:--add|-a) (\S+)"),
    "bundle": re.compile(r"config (?:set )?(?:--\S+ )*mirror\.\S+ (\S+)"),
    "composer": re.compile(r"config .*\brepos?\S* (?:composer )?(\S+)"),
}
_WRITERS = frozenset([*_SETS, "pnpm", "mamba", "cp", "curl", "git", "mv", "perl", "sed", "tee", "wget"])
_FAMILY = {"pip3": "pip", "pnpm": "npm", "yarn": "npm", "poetry": "pip", "mamba": "conda", "bundle": "gem"}
_INSTEAD_OF = re.compile(r"url\.(.+)\.insteadof", re.IGNORECASE)


@dataclass(slots=True)
class Sources:
    """What the commands of a stage said so far, by the name of the family."""

    instead: dict[str, list[Place]] = field(default_factory=dict)
    more: dict[str, list[Place]] = field(default_factory=dict)
    restored: set[str] = field(default_factory=set)  # families of which a copy of the image's own file is put back
    rewritten: list[tuple[str, str]] = field(default_factory=list)  # of git: beginnings of URLs, and what they become

    def copy(self) -> "Sources":
        """Return the sources for a stage that is based on this one."""
        return Sources(
            {name: list(found) for name, found in self.instead.items()},
            {name: list(found) for name, found in self.more.items()},
            set(self.restored),
            list(self.rewritten),
        )

    def note(self, simple: Simple, before: Simple | None, values: Values) -> None:
        """Note what a command says; `before` is the one before it, whose output `tee` may write."""
        if simple.words[0] == "git":
            self._note_git(simple)
        if not simple.targets and simple.words[0] not in _WRITERS and not simple.words[0].startswith("pip"):
            return
        for family, text in _said(simple):
            _add(self.instead, family, (item for value in values.all(text) for item in found_in(value)))
        for family, file, appends in _written(simple):
            found = list(_content(simple, before, values))
            into = self.more if _is_another(simple, family, file, appends=appends) else self.instead
            _add(into, family, found)

        if simple.words[0] in ("cp", "mv") and len(simple.words) > 2:
            self.restored.update(
                family
                for family, pattern in _FILES
                if pattern.search(simple.words[-1]) and any(map(pattern.search, simple.words[1:-1]))
                if not _COPY.search(simple.words[-1])
            )

    def copied(self, files: Iterable[str]) -> None:
        """Note that files are copied: what they say cannot be told."""
        for file in files:
            for family, pattern in _FILES:
                if pattern.search(file) and _COPIED.search(file):
                    said = Place(f"as {PurePosixPath(file).name} says", "", frozenset())
                    _add(self.instead, family, [said])

    def _note_git(self, simple: Simple) -> None:
        words = given(simple.words[1:], ("-f", "--file")).words
        for name, old in pairwise(words):
            found = _INSTEAD_OF.fullmatch(name)
            if found and len(self.rewritten) < _MOST and (old, found[1]) not in self.rewritten:
                self.rewritten.append((old, found[1]))


def _add(into: dict[str, list[Place]], family: str, found: Iterable[Place]) -> None:
    known = into.setdefault(family, [])
    known += [item for item in dict.fromkeys(found) if item not in known][: _MOST - len(known)]


def _is_another(simple: Simple, family: str, file: str, *, appends: bool) -> bool:
    """Whether a command writes sources in addition to those that there are."""
    if family not in ("apt", "dnf", "apk") or simple.words[0] in ("sed", "perl"):
        return False
    return appends or (_ONE_OF_SEVERAL.search(file) is not None and not _DISTRIBUTION.search(file))


def _said(simple: Simple) -> Iterator[tuple[str, str]]:
    """The source that a package manager is told to keep, as written."""
    tool = simple.words[0]
    tool = "pip" if re.fullmatch(r"pip[\d.]*", tool) else {"pnpm": "npm", "mamba": "conda"}.get(tool, tool)
    said = _SETS.get(tool)
    found = said.search(" ".join(simple.words[1:])) if said else None
    if found:
        yield _FAMILY.get(tool, tool), next(filter(None, found.groups()))


def _written(simple: Simple) -> Iterator[tuple[str, str, bool]]:
    """The files of sources that a command writes, with their families, and whether it adds to them."""
    tool, *words = simple.words
    files = [(text, operator.endswith(">>")) for operator, text in simple.targets if ">" in operator]
    if tool in ("sed", "perl", "tee"):
        files += [(word, tool == "tee" and "-a" in words) for word in words]
    elif tool in ("curl", "wget"):
        files += [(word, True) for word in words if "://" not in word]
    for text, appends in files:
        for family, pattern in _FILES:
            if pattern.search(text):
                yield family, text, appends


def _content(simple: Simple, before: Simple | None, values: Values) -> Iterator[Place]:
    """The places in what a command writes."""
    if simple.words[0] in ("sed", "perl"):
        for word in simple.words[1:]:
            for found in _SED.finditer(word):
                yield from (item for value in values.all(found["new"]) for item in found_in(value))
        return
    texts = [*simple.words[1:], *simple.documents]
    if simple.words[0] == "tee" and before:
        texts += [*before.words[1:], *before.documents]
    for text in texts:
        if "://" in text or "$" in text:
            for line in text.replace("\\n", "\n").split("\n"):
                for value in values.all(line):
                    yield from places(value)


_BY_NAME: Mapping[str, Mapping[str, tuple[tuple[str, ...], str]]] = {
    "apt": {
        "debian": (("deb.debian.org",), "http://deb.debian.org/debian"),
        "ubuntu": (("archive.ubuntu.com", "security.ubuntu.com"), "http://archive.ubuntu.com/ubuntu"),
    },
    "dnf": {
        "rocky": (("mirrors.rockylinux.org",), "https://mirrors.rockylinux.org"),
        "alma": (("mirrors.almalinux.org",), "https://mirrors.almalinux.org"),
        "centos": (("mirrorlist.centos.org", "mirrors.centos.org"), "http://mirrorlist.centos.org"),
        "fedora": (("mirrors.fedoraproject.org",), "https://mirrors.fedoraproject.org"),
        "oracle": (("yum.oracle.com",), "https://yum.oracle.com"),
        "amazon": (("cdn.amazonlinux.com",), "https://cdn.amazonlinux.com"),
        "ubi": (("cdn-ubi.redhat.com",), "https://cdn-ubi.redhat.com"),
    },
    "apk": {
        "wolfi": (("packages.wolfi.dev",), "https://packages.wolfi.dev/os"),
        "chainguard": (("packages.wolfi.dev",), "https://packages.wolfi.dev/os"),
        "": (("dl-cdn.alpinelinux.org",), "https://dl-cdn.alpinelinux.org/alpine"),
    },
}
_UBUNTU = re.compile(r"ubuntu|\b(?:bionic|focal|jammy|noble)\b")
_DEBIAN = re.compile(r"debian|\b(?:slim|buster|bullseye|bookworm|trixie|forky|sid)\b")
_ON_DEBIAN = frozenset(  # official images whose usual variants have Debian's packages
    "buildpack-deps caddy composer erlang gcc golang haskell httpd julia maven memcached mysql nginx node perl php"  # noqa: SIM905
    " postgres pypy python r-base rabbitmq rails redis ruby rust tomcat".split()
)


def of_image(family: str, image: str) -> tuple[tuple[str, ...], str] | None:
    """Return the hosts and the URL of the sources that an image has, by its name; None if that cannot be told."""
    by_name = _BY_NAME.get(family, {})
    text = image.lower()
    if family == "apt":
        if _UBUNTU.search(text):
            return by_name["ubuntu"]
        return by_name["debian"] if _DEBIAN.search(text) or _is_on_debian(image) else None
    return next((found for name, found in by_name.items() if name in text), None)


def _is_on_debian(image: str) -> bool:
    try:
        name = Reference.parse(image)
    except InvalidReference:
        return False
    return name.path.rpartition("/")[2] in _ON_DEBIAN
