"""The commands of package managers that download packages."""

import re
from dataclasses import dataclass

from build_lib.dockerfile.flags import Given, given
from build_lib.dockerfile.package_families import APT, GEM, GO, GRADLE, MAVEN, NPM, PIP, SECOND, TOOLS, YARN, Family
from build_lib.dockerfile.simple_commands import Simple


@dataclass(frozen=True, kw_only=True, slots=True)
class Packages:
    """A command that downloads packages."""

    family: Family
    tool: str
    action: str
    flags: Given  # its words are those after the subcommand


_PYTHON = re.compile(r"(?:python|pypy)[\d.]*")
_PIP_NAME = re.compile(r"pip[\d.]*")


def packages(simple: Simple) -> Packages | None:
    """Return what a command downloads with a package manager, or None."""
    words = _as_called(simple.words)
    if words is None or words[0] not in TOOLS:
        return None
    tool, *rest = words
    family, does = TOOLS[tool]
    flags = given(rest, frozenset((*family.index, *family.more, *family.valued)), combined=family.combined)
    action, *after = flags.words or [""]
    if tool == "yarn" and not flags.words and not flags.has("--version", "-v", "--help"):
        action = "install"  # `yarn` alone
    elif does and action not in does:
        return None
    elif not does and not flags.words and family not in (MAVEN, GRADLE, APT):
        return None  # such as `npx --version`
    if (tool, action) in SECOND:
        second = SECOND[tool, action]
        if second is not None and (not after or after[0] not in second):
            return None
        action, *after = [f"{action} {after[0]}", *after[1:]] if after else [action]
    elif not does:
        action, after = "", flags.words
    flags.words = after
    said = Packages(family=family, tool=tool, action=action, flags=flags)
    return None if _stays_here(said, simple) else said


def _as_called(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """The words of the tool: `python -m pip` is pip, and so is `pip3.11`."""
    name = words[0]
    if _PYTHON.fullmatch(name):
        try:
            at = words.index("-m", 1)
        except ValueError:
            return None
        return _as_called(words[at + 1 :]) if len(words) > at + 1 else None
    if _PIP_NAME.fullmatch(name):
        return ("pip", *words[1:])
    return words


def _stays_here(said: Packages, simple: Simple) -> bool:
    """Whether the command downloads nothing, by its flags or because it names only local files."""
    flags = said.flags
    if flags.has(*said.family.offline, "--help"):
        return True
    if said.family is GO:
        return "vendor" in flags.of("-mod") or any(
            (name, text) in (("GOPROXY", "off"), ("GOFLAGS", "-mod=vendor")) for name, text in simple.environment
        )
    if said.tool == "mk-build-deps":
        return not flags.has("-i", "--install")
    return bool(flags.words) and _names_only_files(said)


def _names_only_files(said: Packages) -> bool:
    flags, words = said.flags, said.flags.words
    if said.family is PIP and said.action in ("install", "pip install", "download", "wheel"):
        return not flags.has("-r", "--requirement", "-e", "--editable") and all(map(_is_local, words))
    if said.family in (NPM, YARN) and said.tool != "corepack":
        return flags.has("--no-install") or all(word.startswith(("./", "../", "/", "file:")) for word in words)
    return said.family is GEM and all(word.endswith(".gem") for word in words)


def _is_local(word: str) -> bool:
    """Whether pip installs a file or a directory; the project itself, `.`, usually has dependencies elsewhere."""
    return word.startswith(("./", "../", "/", "file:")) or (word.endswith((".whl", ".tar.gz")) and "://" not in word)
