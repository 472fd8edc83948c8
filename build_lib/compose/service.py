"""What one place in a compose file says of a service, in a form in which such parts merge.

Only what decides on images and builds is taken over; all other keys are left alone, whatever they hold.
Section names are those of the compose specification.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from yaml.nodes import MappingNode, Node, SequenceNode

from build_lib.compose.interpolation import InvalidInterpolation, expand
from build_lib.compose.yaml_nodes import Field, Fields, is_null, items_of, line_of, text_of
from build_lib.errors import BuildError

_TEXT_COST = 100  # characters that count for as much as a part


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A text, a mapping of parts, or nothing, with the place where it stands.

    `replaces`: nothing that was said before it counts (compose's `!override`, and without a value `!reset`).
    `error`: why nothing can be made of it; that matters only if nothing replaces it.
    """

    text: str | None = None
    parts: Mapping[str, "Part"] | None = None
    replaces: bool = False
    error: str = ""
    written: str = ""  # the text before its variables were put in
    path: Path
    line: int

    @property
    def empty(self) -> bool:
        """Whether it says nothing: null, or `!reset`."""
        return self.text is None and self.parts is None and not self.error

    @property
    def absent(self) -> bool:
        """Whether `!reset` removed it."""
        return self.empty and self.replaces

    def get(self, name: str) -> "Part | None":
        """One of its parts, if it says anything."""
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
        """The parts of which nothing can be made, each with its name in front of the reason."""
        if self.error:
            yield replace(self, error=f"{name}: {self.error}" if name else self.error)
        for key, part in (self.parts or {}).items():
            yield from part.errors(f"{name}.{key}" if name else key)


def with_context(service: Part, directory: Path) -> Part:
    """The service with the context that its build section has by default, the project's directory."""
    build = service.get("build")
    if build is None or build.parts is None or build.get("context"):
        return service
    context = Part(text=str(directory), path=build.path, line=build.line)
    build = replace(build, parts={**build.parts, "context": context})
    return replace(service, parts={**(service.parts or {}), "build": build})


def merge(base: Part, over: Part) -> Part:
    """The base with what a later file says on top ("Merge and override"); its place stays the base's.

    Mappings merge, all else is replaced, and a plain null changes nothing, as in compose-go's override/merge.go.
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


class Refused(BuildError):
    """Something cannot be included or extended."""


Reader = Callable[["Source", Node], Part]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where texts come from, and with it what their variables and relative paths mean."""

    path: Path
    directory: Path
    variables: Mapping[str, str] = field(repr=False)
    fields: Fields = field(repr=False)

    def service(self, service: Field) -> Part:
        """What stands under a service's name; its line is that of the name."""
        return replace(self._known(service.node, _SERVICE), line=service.line)

    def text(self, node: Node) -> Part:
        """A text with its variables put in."""
        written = text_of(node)
        if written is None:
            return self.part(node, error="" if is_null(node) else "this has to be a text")
        try:
            return self.part(node, text=expand(written, self.variables), written=written)
        except InvalidInterpolation as error:
            return self.part(node, error=error.message)

    def build(self, node: Node) -> Part:
        """`build`, of which the short form is its context ("Compose Build Specification", Attributes)."""
        if isinstance(node, MappingNode) or is_null(node):
            return self._known(node, _BUILD)
        return self.part(node, parts={"context": replace(self._location(self.text(node)), replaces=False)})

    def context(self, node: Node) -> Part:
        """`context`: a directory in full, or a remote one as it is."""
        return self._location(self.text(node))

    def arguments(self, node: Node) -> Part:
        """`args`: a name without a value takes it from the variables, and is left out if there is none."""
        return self._pairs(node, self._argument)

    def contexts(self, node: Node) -> Part:
        """`additional_contexts`: directories in full, all else as it is."""
        return self._pairs(node, self._context)

    def platforms(self, node: Node) -> Part:
        """A list of texts, each of them once."""
        items = [self.text(item) for item in items_of(node)]
        return self.part(node, parts={item.text or f"line {item.line}": item for item in items})

    def provider(self, node: Node) -> Part:
        """`provider`: it is enough to know that there is one."""
        return self.part(node, text=None if is_null(node) else "")

    def plain(self, node: Node) -> str:
        """A text at once; empty if it is null.

        Raises:
            Refused: it is no text, or its variables cannot be put in.
        """
        part = self.text(node)
        if part.error:
            raise Refused(part.error)
        return part.text or ""

    def paths(self, field: Field | None) -> list[Path]:
        """The paths in a field that has one or a list of them.

        Raises:
            Refused: it has something else.
        """
        texts = [self.plain(node) for node in items_of(field.node)] if field else []
        return [self.full_path(text) for text in texts if text]

    def full_path(self, text: str) -> Path:
        """A path in full, as in compose-go's paths/resolve.go: `~` is the home directory."""
        home = self.variables.get("HOME", "")
        if home and (text == "~" or text.startswith("~/")):
            text = home + text[1:]
        return Path(os.path.normpath(self.directory / text))

    def part(self, node: Node, **content: Any) -> Part:
        """A part that stands at the node; what is under `!reset` does not count ("Reset value").

        Raises:
            TooLarge: too many were made already.
        """
        self.fields.budget.spend(1 + len(content.get("text") or "") // _TEXT_COST)
        if node.tag == "!reset":
            content = {}
        replaces = node.tag in ("!reset", "!override")
        return Part(path=self.path, line=line_of(node), replaces=replaces, **content)

    def _known(self, node: Node, readers: Mapping[str, Reader]) -> Part:
        """A mapping with those of its keys for which there are readers."""
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
            return replace(part, text=self.variables.get(name), replaces=True)
        return part

    def _context(self, name: str, part: Part) -> Part:
        if part.empty and not part.replaces:
            return replace(part, error=f"the context {name} has no place: write NAME=PLACE")
        return self._location(part)

    def _location(self, part: Part) -> Part:
        if part.text is None or is_remote(part.text):
            return part
        return replace(part, text=str(self.full_path(part.text)))


_SERVICE: Mapping[str, Reader] = {
    "build": Source.build,
    "image": Source.text,
    "platform": Source.text,
    "provider": Source.provider,
}
_BUILD: Mapping[str, Reader] = {
    "additional_contexts": Source.contexts,
    "args": Source.arguments,
    "context": Source.context,
    "dockerfile": Source.text,
    "dockerfile_inline": Source.text,
    "platforms": Source.platforms,
    "target": Source.text,
}


def is_remote(context: str) -> bool:
    """Whether a build context is no directory here: a URL, a git repository, another service (paths/context.go)."""
    return "://" in context or context.startswith(("github.com/", "git@", "service:"))


def _split(part: Part) -> tuple[str, Part]:
    """The name and the value of a NAME=VALUE; one of which nothing can be made is named by its line."""
    if part.text is None:
        return f"line {part.line}", part
    name, equals, value = part.text.partition("=")
    return name, replace(part, text=value if equals else None)
