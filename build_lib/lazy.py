"""Packages whose names are imported when they are first used (PEP 562): completing a command imports none of them."""

import ast
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


def attach(package: str, file: str) -> Callable[[str], object]:
    """The `__getattr__` of a package: each name that the `if TYPE_CHECKING:` of its file imports, when it is asked for.

    So a name stands once, where a reader and a type checker look for it.
    """
    places = dict(_imported(Path(file)))

    def imported(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, own_name = places[name]
        found = _found(module, own_name)
        setattr(sys.modules[package], name, found)
        return found

    return imported


def _imported(file: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each name that is imported for a type checker alone, with its module and its name there."""
    for block in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            for node in block.body:
                if isinstance(node, ast.ImportFrom) and node.module:
                    yield from ((item.asname or item.name, (node.module, item.name)) for item in node.names)


def _found(module: str, name: str) -> object:
    """A module of a package, or what a module has under this name."""
    submodule = f"{module}.{name}"
    if submodule in sys.modules or (hasattr(import_module(module), "__path__") and find_spec(submodule)):
        return import_module(submodule)
    return getattr(import_module(module), name)
