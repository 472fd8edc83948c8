"""Packages whose names are imported on first use (PEP 562), so that command completion imports none of them."""

import ast
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


def attach(package: str, file: str) -> Callable[[str], object]:
    """The `__getattr__` of a package. It imports the names that its file imports under `if TYPE_CHECKING:`.

    Each name is therefore written once, where readers and type checkers look for it.
    """

    @cache
    def places() -> dict[str, tuple[str, str]]:
        return dict(_imported(Path(file)))

    def imported(name: str) -> object:
        if name.startswith("__") or name not in places():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, own_name = places()[name]
        found = _found(module, own_name)
        setattr(sys.modules[package], name, found)
        return found

    return imported


def _imported(file: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each name that is imported only for type checkers, with its module and its name there."""
    for block in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            for node in block.body:
                if isinstance(node, ast.ImportFrom) and node.module:
                    yield from ((item.asname or item.name, (node.module, item.name)) for item in node.names)


def _found(module: str, name: str) -> object:
    """The submodule of this name, or the attribute of the module."""
    submodule = f"{module}.{name}"
    if submodule in sys.modules or (hasattr(import_module(module), "__path__") and find_spec(submodule)):
        return import_module(submodule)
    return getattr(import_module(module), name)
