"""YAML files as nodes that know their lines, with merge keys resolved.

Nodes are not converted into values: an alias is the same node as its anchor, however often it is used, so that a file
of aliases of aliases ("billion laughs") takes no more memory than its size suggests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from build_lib.errors import BuildError
from build_lib.files import kind

_MERGE, _NULL, _BOOL, _INT, _FLOAT = (f"tag:yaml.org,2002:{kind}" for kind in ("merge", "null", "bool", "int", "float"))
_LARGEST = 1 << 22  # bytes in a file
_DEEPEST = 50  # merge keys inside merge keys
_MOST = 250_000  # parts that all files together may expand to; a long text counts as several

Report = Callable[[int, str], None]  # takes a line, or 0 for the whole file, and the reason
FileReport = Callable[[Path, int, str], None]  # takes the file, too


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A mapping's entry: its value and the line of its key."""

    node: Node
    line: int


def is_file(path: Path) -> bool:
    """Return whether there is something to read; False also if the name is too long or access is denied.

    `read_text` refuses what is not a regular file.
    """
    try:
        return path.exists() and not path.is_dir()
    except OSError:
        return False


def read_text(path: Path, report: Report) -> str | None:
    """Return a text file's content; report a problem and return None if it cannot be read."""
    try:
        if not is_file(path):
            report(0, "there is no such file")
            return None
        odd = kind(path, follow=True)
        if odd:
            report(0, f"this is {odd}: only regular files are read")
            return None
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) <= _LARGEST:
            return content.decode("utf-8-sig")
        report(0, f"the file is larger than {_LARGEST} bytes")
    except UnicodeDecodeError as error:
        report(content[: error.start].count(b"\n") + 1, "the file is not UTF-8")
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte in it
        report(0, f"the file cannot be read: {error}")
    return None


def read_documents(path: Path, report: Report) -> tuple[Node, ...]:
    """Return the file's documents; report a problem and return none if it is not valid YAML."""
    return documents(read_text(path, report) or "", report)


def documents(text: str, report: Report) -> tuple[Node, ...]:
    """Return the documents of a text; report a problem and return none if it is not valid YAML."""
    try:
        return _compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(part for part in (error.problem, error.context) if part)
        report(mark.line + 1 if mark else 0, f"this is not valid YAML: {reason}")
    except ReaderError as error:
        report(text[: error.position].count("\n") + 1, f"this is not valid YAML: {error.reason}")
    except RecursionError:
        report(0, "this is nested too deeply")
    return ()


def _compose(text: str) -> tuple[Node, ...]:
    """The documents, parsed by libyaml if PyYAML has it, which is five times as fast."""
    try:
        return tuple(yaml.compose_all(text, Loader=getattr(yaml, "CSafeLoader", _Loader)))
    except ComposerError:
        return tuple(yaml.compose_all(text, Loader=_Loader))


class _Loader(yaml.SafeLoader):
    """Allows an anchor to be redefined, as YAML does (3.2.2.2, "Anchors and Aliases"), unlike PyYAML's loaders."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if not self.check_event(AliasEvent):
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            self.anchors.pop(event.anchor, None)
        return super().compose_node(parent, index)


def text_of(node: Node) -> str | None:
    """Return a scalar's text as written, but `True` as `true`; None if it is null or not a scalar."""
    if not isinstance(node, ScalarNode) or is_null(node):
        return None
    text = str(node.value)
    return text.lower() if node.tag == _BOOL and text.lower() in ("true", "false") else text


def is_number(node: Node) -> bool:
    """Return whether the node is a number, in the notations of YAML 1.1."""
    return node.tag in (_INT, _FLOAT)


def is_null(node: Node) -> bool:
    """Return whether the node is `null`, `~` or empty, with or without one of compose's own tags."""
    if not isinstance(node, ScalarNode):
        return False
    return node.tag == _NULL or (node.tag.startswith("!") and not node.style and node.value in ("", "null", "~"))


def items_of(node: Node) -> list[Node]:
    """Return a list's items; a single value is a list of one, and null an empty list."""
    if isinstance(node, SequenceNode):
        return list(node.value)
    return [] if is_null(node) else [node]


def line_of(node: Node) -> int:
    """Return the line on which the node begins; for an alias, that of its anchor."""
    return int(node.start_mark.line) + 1


class TooLarge(BuildError):
    """The aliases, merge keys or variables of the files expand to too much."""


class Budget:
    """The limit on what some files together may expand to."""

    def __init__(self) -> None:
        self._left = _MOST

    def spend(self, amount: int) -> None:
        """Use up a part of the budget.

        Raises:
            TooLarge: nothing is left.
        """
        self._left -= amount
        if self._left < 0:
            raise TooLarge(f"the aliases and variables of these files expand to more than {_MOST} values")


class Fields:
    """Reads the mappings of one file."""

    def __init__(self, report: Report, budget: Budget) -> None:
        self.budget = budget
        self._report = report
        self._known: dict[int, Mapping[str, Field]] = {}

    def of(self, node: MappingNode, above: tuple[Node, ...] = ()) -> Mapping[str, Field]:
        """Return the mapping's entries by key, including those of `<<` (YAML's merge key, yaml.org/type/merge).

        The mapping's own entries take precedence, then those of the merged mappings in their order. `above` has the
        mappings that are being merged. A duplicate key is reported, and its last value counts.
        """
        if id(node) not in self._known:
            self._known[id(node)] = self._read(node, above)
        return self._known[id(node)]

    def _read(self, node: MappingNode, above: tuple[Node, ...]) -> Mapping[str, Field]:
        own: dict[str, Field] = {}
        merged: dict[str, Field] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                self._merge(value, merged, (*above, node))
            elif isinstance(key, ScalarNode):
                if key.value in own:
                    self._report(line_of(key), f"duplicate key {key.value!r}")
                own[key.value] = Field(node=value, line=line_of(key))
        return merged | own

    def _merge(self, node: Node, merged: dict[str, Field], above: tuple[Node, ...]) -> None:
        for source in items_of(node):
            if not isinstance(source, MappingNode):
                self._report(line_of(source), "<< takes a mapping, or a list of mappings")
            elif source in above or len(above) > _DEEPEST:
                self._report(
                    line_of(source), f"<< merges a mapping into itself, or is nested more than {_DEEPEST} deep"
                )
            else:
                fields = self.of(source, above)
                self.budget.spend(1 + len(fields) // 10)
                for name, field in fields.items():
                    merged.setdefault(name, field)
