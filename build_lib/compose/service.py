"""What one place in a compose file says about a service, in a form that can be merged.

Only the keys that affect images, builds and health checks are read; all others are ignored, whatever they hold.
Section names are those of the compose specification.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from yaml.nodes import MappingNode, Node, SequenceNode

from build_lib.compose.environment import Project
from build_lib.compose.interpolation import InvalidInterpolation, expand
from build_lib.compose.yaml_nodes import Field, Fields, is_null, is_number, items_of, line_of, text_of
from build_lib.errors import BuildError

_TEXT_COST = 100  # characters that cost as much as a part
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]{,17}|0[0-7]{1,17}|0b[01]{1,17}|0x[0-9a-fA-F]{1,15})")
_OCTAL = re.compile(r"^([-+]?0)(?=[0-7]+$)")
_FRACTION = re.compile(r"[-+]?(?:[0-9]{1,15}\.[0-9]{,15}|\.[0-9]{1,15})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A text, a mapping of parts, or nothing, with its file and line.

    `replaces`: it discards everything before it (compose's `!override`, and without a value `!reset`).
    `error`: why it cannot be used, which matters only if no later part replaces it.
    """

    text: str | None = None
    parts: Mapping[str, "Part"] | None = None
    replaces: bool = False
    error: str = ""
    written: str = ""  # the text before its variables were substituted
    path: Path
    line: int

    @property
    def empty(self) -> bool:
        """Whether it has no content: null, or `!reset`."""
        return self.text is None and self.parts is None and not self.error

    @property
    def absent(self) -> bool:
        """Whether `!reset` removed it."""
        return self.empty and self.replaces

    def get(self, name: str) -> "Part | None":
        """One of its parts; None if it is missing or empty."""
        part = (self.parts or {}).get(name)
        return None if part is None or part.empty else part

    def get_text(self, name: str) -> str | None:
        """The text of one of its parts."""
        part = self.get(name)
        return part.text if part else None

    def texts(self, name: str) -> dict[str, str]:
        """The texts in one of its parts, by their names."""
        parts = getattr(self.get(name), "parts", None) or {}
        return {key: part.text for key, part in parts.items() if part.text is not None}

    def errors(self, name: str = "") -> Iterator["Part"]:
        """The parts that cannot be used, each with its name in front of the reason."""
        if self.error:
            yield replace(self, error=f"{name}: {self.error}" if name else self.error)
        for key, part in (self.parts or {}).items():
            yield from part.errors(f"{name}.{key}" if name else key)


def with_context(service: Part, directory: Path) -> Part:
    """Return the service with the default context of a build section, the project's directory."""
    build = service.get("build")
    if build is None or build.parts is None or build.get("context"):
        return service
    context = Part(text=str(directory), path=build.path, line=build.line)
    build = replace(build, parts={**build.parts, "context": context})
    return replace(service, parts={**(service.parts or {}), "build": build})


def merge(base: Part, over: Part) -> Part:
    """Return the base with a later file's content merged over it ("Merge and override").

    Mappings are merged and keep the base's file and line, everything else is replaced, and a plain null changes
    nothing, as in compose-go's override/merge.go.
    """
    if over.replaces:
        return over
    if over.empty:
        return base
    if base.parts is None or over.parts is None:
        return replace(over, replaces=base.replaces)
    parts = dict(base.parts)
    for name, part in over.parts.items():
        parts[name] = merge(parts[name], part) if name in parts else part
    return replace(base, parts=parts)


def settled(part: Part) -> Part:
    """Return the part without `!reset` and `!override`, which have no meaning for a service that extends this one."""
    if part.parts is None:
        return replace(part, replaces=False)
    parts = {name: settled(item) for name, item in part.parts.items() if not item.absent}
    return replace(part, parts=parts, replaces=False)


class Refused(BuildError):
    """An `include` or `extends` that cannot be followed."""


Reader = Callable[["Source", Node], Part]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where texts come from, which determines what their variables and relative paths mean."""

    path: Path
    project: Project
    fields: Fields = field(repr=False)

    def service(self, service: Field) -> Part:
        """A service's entry; its line is that of the service's name."""
        return replace(self._known(service.node, _SERVICE), line=service.line)

    def text(self, node: Node) -> Part:
        """A string with its variables substituted; a number becomes the string that compose makes of it."""
        written = text_of(node)
        if written is None:
            return self.part(node, error="" if is_null(node) else "this has to be a string")
        if is_number(node):
            return self.part(node, text=_printed(written), written=written)
        try:
            return self.part(node, text=expand(written, self.project.variables), written=written)
        except InvalidInterpolation as error:
            return self.part(node, error=error.message)

    def build(self, node: Node) -> Part:
        """`build`; its short form is the context ("Compose Build Specification", Attributes)."""
        if isinstance(node, MappingNode) or is_null(node):
            return self._known(node, _BUILD)
        return self.part(node, parts={"context": replace(self._location(self.text(node)), replaces=False)})

    def context(self, node: Node) -> Part:
        """`context`: the absolute path of a directory, or a remote context as written."""
        return self._location(self.text(node))

    def arguments(self, node: Node) -> Part:
        """`args`: a name without a value takes that of the variable, and is left out if it is not set.

        In an included file, too, it is the variable of the outermost project: so does compose-go's loader/normalize.go.
        """
        return self._pairs(node, self._argument)

    def contexts(self, node: Node) -> Part:
        """`additional_contexts`: the absolute paths of directories, everything else as written."""
        return self._pairs(node, self._context)

    def strings(self, node: Node) -> Part:
        """`platforms`, `profiles`, `x-build-with`: a list of strings without duplicates."""
        items = [self.text(item) for item in items_of(node)]
        return self.part(node, parts={item.text or f"line {item.line}": item for item in items})

    def health_check(self, node: Node) -> Part:
        """`healthcheck`: its test, and whether it is disabled."""
        return self._known(node, {"test": Source.words, "disable": Source.text})

    def words(self, node: Node) -> Part:
        """`test`: a list of strings, which a later file replaces as a whole; a single string is a shell's command."""
        items = [self.text(item) for item in items_of(node)]
        if not isinstance(node, SequenceNode) and items:
            items = [self.part(node, text="CMD-SHELL"), *items]
        part = self.part(node, parts={str(place): item for place, item in enumerate(items)})
        return replace(part, replaces=part.replaces or bool(items))

    def provider(self, node: Node) -> Part:
        """`provider`: only its presence matters."""
        return self.part(node, text=None if is_null(node) else "")

    def plain(self, node: Node) -> str:
        """Return the string itself; "" if it is null.

        Raises:
            Refused: it is not a string, or its variables cannot be substituted.
        """
        part = self.text(node)
        if part.error:
            raise Refused(part.error)
        return part.text or ""

    def paths(self, field: Field | None) -> list[Path]:
        """Return the paths in a field that holds one path or a list of them.

        Raises:
            Refused: it holds something else.
        """
        texts = [self.plain(node) for node in items_of(field.node)] if field else []
        return [self.full_path(text) for text in texts if text]

    def full_path(self, text: str) -> Path:
        """Return the absolute path, as in compose-go's paths/resolve.go: `~` is the home directory."""
        home = self.project.variables.get("HOME", "")
        if home and (text == "~" or text.startswith("~/")):
            text = home + text[1:]
        return Path(os.path.normpath(self.project.directory / text))

    def part(self, node: Node, **content: Any) -> Part:
        """Return a part with the node's line; the content of `!reset` is ignored ("Reset value").

        Raises:
            TooLarge: the files expand to too many parts.
        """
        self.fields.budget.spend(1 + len(content.get("text") or "") // _TEXT_COST)
        if node.tag == "!reset":
            content = {}
        replaces = node.tag in ("!reset", "!override")
        return Part(path=self.path, line=line_of(node), replaces=replaces, **content)

    def _known(self, node: Node, readers: Mapping[str, Reader]) -> Part:
        """A mapping, with only the keys that have a reader."""
        if not isinstance(node, MappingNode):
            return self.part(node, error="" if is_null(node) else "this has to be a mapping")
        entries = self.fields.of(node).items()
        return self.part(
            node, parts={name: readers[name](self, item.node) for name, item in entries if name in readers}
        )

    def _pairs(self, node: Node, finish: Callable[[str, Part], Part]) -> Part:
        """Names and values in either form, a mapping or a list of NAME=VALUE."""
        if isinstance(node, MappingNode):
            pairs = [(name, self.text(item.node)) for name, item in self.fields.of(node).items()]
        elif isinstance(node, SequenceNode):
            pairs = [_split(self.text(item)) for item in node.value]
        else:
            return self.part(node, error="" if is_null(node) else "this has to be a mapping or a list")
        return self.part(node, parts={name: finish(name, part) for name, part in pairs})

    def _argument(self, name: str, part: Part) -> Part:
        if part.empty and not part.replaces:
            return replace(part, text=self.project.outermost.get(name), replaces=True)
        return part

    def _context(self, name: str, part: Part) -> Part:
        if part.empty and not part.replaces:
            return replace(part, error=f"the context {name} has no value: write NAME=VALUE")
        return self._location(part)

    def _location(self, part: Part) -> Part:
        if part.text is None or is_remote(part.text):
            return part
        return replace(part, text=str(self.full_path(part.text)))


_SERVICE: Mapping[str, Reader] = {
    "build": Source.build,
    "healthcheck": Source.health_check,
    "image": Source.text,
    "platform": Source.text,
    "profiles": Source.strings,
    "provider": Source.provider,
}
_BUILD: Mapping[str, Reader] = {
    "additional_contexts": Source.contexts,
    "args": Source.arguments,
    "context": Source.context,
    "dockerfile": Source.text,
    "dockerfile_inline": Source.text,
    "platforms": Source.strings,
    "target": Source.text,
    "x-build-with": Source.strings,  # an extension of ours, under which compose reads nothing ("Extensions")
}


def is_remote(context: str) -> bool:
    """Return whether a context is not a local directory but a URL, git repository or service (paths/context.go)."""
    return "://" in context or context.startswith(("github.com/", "git@", "service:"))


def _printed(number: str) -> str:
    """A number as Go, which compose is written in, reads and prints it: 3.10 is 3.1, and 010 is 8."""
    plain = number.replace("_", "")
    if _WHOLE.fullmatch(plain):
        return str(int(_OCTAL.sub(r"\1o", plain), 0))
    if not _FRACTION.fullmatch(plain):
        return number
    value = float(plain)
    return str(int(value)) if value.is_integer() else str(value)


def _split(part: Part) -> tuple[str, Part]:
    """The name and the value of a NAME=VALUE; an entry without a text is named by its line."""
    if part.text is None:
        return f"line {part.line}", part
    name, equals, value = part.text.partition("=")
    return name, replace(part, text=value if equals else None)
