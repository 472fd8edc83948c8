"""What the stages take from the build context: the sources of COPY and ADD, and those of bind mounts.

BuildKit asks the client for just these paths (`dockerfile2llb/convert.go`, ctxPaths). A path is told only if every
builder reads it the same way. With variables, they differ: to BuildKit, an ARG replaces an ENV, and a stage has the
arguments of the stage that it is based on; to the classic builder, neither is so.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from build_lib.dockerfile.arguments import PREDEFINED, Argument
from build_lib.dockerfile.shell_pattern import LIMIT, Refused
from build_lib.dockerfile.shell_word import Variable, expand
from build_lib.dockerfile.stages import Steps, Taken

_NAME = re.compile(r"\$\{?(\w+)")
_WORD = re.compile(r"\w+")
_MADE_KEY = re.compile(r"^[^\s=$]*\$|\s[^\s=$]*\$[^\s=]*=")  # an ENV whose name has to be expanded itself
_WILD = re.compile(r"[*?\[\\]")
_REMOTE = ("http://", "https://")
_MOST_NAMES = 100  # arguments in one text, so that arguments made of arguments take no longer and longer


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextPath:
    """A path that an instruction takes from the build context, with everything below it.

    The path is relative and clean, and may have the wildcards of Go's filepath.Match. "" is the whole context, None a
    path that cannot be told.
    """

    line: int
    path: str | None
    variables: frozenset[str] = frozenset()  # arguments in it, which an ENV of the base image may replace
    excluded: tuple[str, ...] = ()  # patterns of --exclude as written: what is left out below it


def context_paths(
    steps: Iterable[Steps],
    above: Iterable[Argument],
    build_args: Mapping[str, str],
    environment: Iterable[str],
    escape: str,
) -> Iterator[ContextPath]:
    """Return what the steps take; `above` are the arguments above the first FROM, and `environment` all ENVs."""
    steps = [stage for stage in steps if stage.takes]
    expands = any("$" in word for stage in steps for taken in stage.takes for word in taken.paths)
    unsure = _may_set(environment) if expands else None
    outer = _Arguments(build_args, escape, unsure)
    for argument in above:
        outer.declare(argument)
    for stage in steps:
        arguments = _Arguments(build_args, escape, unsure, outer.values)
        declared = 0
        for taken in stage.takes:
            for argument in stage.arguments[declared : taken.arguments]:
                arguments.declare(argument)
            declared = taken.arguments
            for word in taken.paths:
                yield from _path(taken, word, arguments)


@dataclass(frozen=True, slots=True)
class _Value:
    """A text, and the names of the arguments that it was made of."""

    text: str
    names: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Arguments:
    """The arguments of which every builder has the same value, in the order of their declaration."""

    build_args: Mapping[str, str]
    escape: str
    unsure: frozenset[str] | None  # names that may have another value; None for any name
    outer: Mapping[str, _Value] = field(default_factory=dict)
    values: dict[str, _Value] = field(default_factory=dict)

    def declare(self, argument: Argument) -> None:
        """Note the value of an ARG, or that it is not known."""
        value = self._value(argument)
        name = argument.name
        if value is None or self.unsure is None or name in self.unsure or name in PREDEFINED:
            self.values.pop(name, None)
        else:
            self.values[name] = _Value(value.text, value.names | {name})

    def _value(self, argument: Argument) -> _Value | None:
        if argument.name in self.build_args:
            return _Value(self.build_args[argument.name])
        if argument.default is not None:
            return self.expand(argument.default)
        return self.outer.get(argument.name)

    def expand(self, word: str) -> _Value | None:
        """Return the word with its variables expanded, or None if the result is not certain."""
        found = _NAME.findall(word)
        names = frozenset(found)
        if len(found) != word.count("$") or not names <= self.values.keys():
            return None
        try:
            text = expand(word, {name: Variable(text=self.values[name].text) for name in names}, self.escape).text
        except Refused:
            return None
        names = names.union(*(self.values[name].names for name in names))
        return _Value(text, names) if len(text) < LIMIT and len(names) < _MOST_NAMES else None


def _may_set(environment: Iterable[str]) -> frozenset[str] | None:
    """The names that the ENVs may set, and more; None if it may be any name."""
    texts = list(environment)
    if any(map(_MADE_KEY.search, texts)):
        return None
    return frozenset(name for text in texts for name in _WORD.findall(text))


def _path(taken: Taken, word: str, arguments: _Arguments) -> Iterator[ContextPath]:
    """The path that a source names; none for one that is downloaded."""
    value = _Value(word) if taken.kind == "mount" else arguments.expand(word)
    if value is None or "\0" in value.text or (taken.kind == "mount" and _WILD.search(value.text)):
        yield ContextPath(line=taken.line, path=None)  # a mount has no wildcards, so these characters mean themselves
    elif taken.kind != "add" or not value.text.startswith(_REMOTE):
        path = posixpath.normpath(f"/{value.text}").lstrip("/")
        path = _without_wildcards(path) if taken.parents else path
        yield ContextPath(line=taken.line, path=path, variables=value.names, excluded=taken.excluded)


def _without_wildcards(path: str) -> str:
    """The directory above the first wildcard: with --parents, `**` stands for directories of any depth."""
    parts = path.split("/")
    wild = next((place for place, part in enumerate(parts) if _WILD.search(part)), len(parts))
    return "/".join(parts[:wild])
