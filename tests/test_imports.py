"""Who may import whom: packages from the packages in this table, and only what their doors name."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "build_lib"
TOP = (
    "errors",
    "files",
    "foreign",
    "reference",
    "settings",
    "state",
    "units",
    "graph",
    "process",
    "background",
    "git",
    "lazy",
    "invocation",
    "pipes",
)
# what starts the program; imported by each other alone
ENTRIES = ("executor", "tasks", "command_line", "program", "wrapper", "__main__")
MAY_IMPORT: dict[str, set[str]] = {  # besides TOP
    "dockerfile": set(),
    "compose": set(),
    "image_files": {"compose"},
    "page": set(),
    "development": set(),
    "repository": {"dockerfile", "compose", "image_files"},
    "registry": set(),
    "engine": {"registry"},
    "machine": {"engine"},
    "downloads": {"dockerfile", "repository", "registry"},
    "bundle": {"repository", "registry", "engine", "downloads"},
    "build": {"dockerfile", "repository", "engine"},
    "hub": {"repository", "engine"},
    "transfer": {"repository", "registry", "engine", "machine", "downloads"},
    "fleet": {"repository", "registry", "engine", "build", "hub"},
    "job": {"fleet", "downloads", "repository", "registry", "engine", "machine", "transfer", "build", "hub", "page"},
    "completion": {"repository", "registry", "machine"},
    "console": {
        *("compose", "repository", "registry", "machine", "transfer"),
        *("bundle", "build", "hub", "fleet", "job", "downloads"),
    },
}
ONLY_IN = {  # other people's packages
    "docker": {"engine", "registry/credentials"},
    "requests": {"engine", "registry"},
    "invoke": {"executor", "tasks", "command_line", "program", "completion"},
    "dotenv": {"settings"},
    "yaml": {"compose", "image_files"},
    "colorama": {"console"},
    "rich": {"console"},
    "watchfiles": {"job"},
    "debian": {"hub"},
    "zstandard": {"hub", "registry"},
    "pysequoia": {"hub"},
    "createrepo_c": {"hub"},
    "aiohttp": {"downloads"},
}
PACKAGES = sorted(path.parent.name for path in LIBRARY.glob("*/__init__.py"))
MODULES = sorted(path for path in LIBRARY.rglob("*.py") if path.name != "__init__.py")


def place(path: Path) -> str:
    """A module as `package/module`, or as its name alone at the top."""
    return path.relative_to(LIBRARY).with_suffix("").as_posix()


def door(package: str) -> set[str]:
    """What the package's door names: what its `if TYPE_CHECKING:` imports."""
    file = ast.parse((LIBRARY / package / "__init__.py").read_text())
    blocks = [block for block in file.body if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"]
    nodes = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {item.asname or item.name for node in nodes for item in node.names}


DOORS = {package: door(package) for package in PACKAGES}


def used(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What a file takes from the library: `package` or top-level module, and the name in it, "" for itself."""
    whole: dict[str, str] = {}  # packages that are imported as such, by their names here
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "build_lib":
            whole |= {item.asname or item.name: item.name for item in node.names if item.name in PACKAGES}
            yield from ((item.name, "") for item in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("build_lib."):
            package, _, module = (node.module or "").removeprefix("build_lib.").partition(".")
            yield from ((package, f"{module}.{item.name}" if module else item.name) for item in node.names)
        elif isinstance(node, ast.Import):
            yield from ((item.name.removeprefix("build_lib."), "") for item in node.names if "build_lib." in item.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in whole:
            yield whole[node.value.id], node.attr


def wrong(own: str, tree: ast.Module) -> set[str]:
    """The imports of a file in the package `own`, "" for the top, that the table or a door does not allow."""
    allowed = {own, *TOP, *MAY_IMPORT.get(own, ())}
    found = {package for package, _ in used(tree) if package not in allowed}
    inside = {(package, name) for package, name in used(tree) if package in PACKAGES and package != own and name}
    return found | {f"{package}: {name}" for package, name in inside if name not in DOORS[package]}


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent != LIBRARY], ids=place)
def test_a_package_imports_what_the_table_allows_and_doors_name(path: Path) -> None:
    assert wrong(path.parent.name, ast.parse(path.read_text())) == set()


@pytest.mark.parametrize("path", [LIBRARY / f"{name}.py" for name in TOP if name not in PACKAGES], ids=place)
def test_the_top_imports_only_the_top(path: Path) -> None:
    assert wrong("", ast.parse(path.read_text())) == set()


OUTSIDE = sorted([*(ROOT / "bench").glob("*.py"), *(ROOT / "tests").rglob("*.py"), ROOT / "tasks.py"])


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_outside_goes_through_the_doors(path: Path) -> None:
    """Also tests, but for those of the package itself."""
    found = {(package, name) for package, name in used(ast.parse(path.read_text())) if package in PACKAGES and name}
    own = path.parent.name
    assert {f"{package}: {name}" for package, name in found if package != own and name not in DOORS[package]} == set()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("from build_lib.registry import retry", set()),
        ("from build_lib import registry\nregistry.Registries", set()),
        ("from build_lib.registry.session import Session", {"registry: session.Session"}),
        ("from build_lib.registry import session", {"registry: session"}),
        ("from build_lib import registry\nregistry.session", {"registry: session"}),
        ("from build_lib.registry import *", {"registry: *"}),
        ("import build_lib.registry.session", {"registry.session"}),
        ("def f():\n    from build_lib.job import clean", {"job"}),
        ("from build_lib import console", {"console"}),
        ("from build_lib.executor import task", {"executor"}),
    ],
)
def test_anything_else_is_told(code: str, told: set[str]) -> None:
    assert wrong("engine", ast.parse(code)) == told


def test_the_table_has_every_package_and_no_circle() -> None:
    assert {*MAY_IMPORT, "settings"} == set(PACKAGES)
    assert {path.stem for path in LIBRARY.glob("*.py")} <= {*TOP, *ENTRIES, "__init__"}
    TopologicalSorter(MAY_IMPORT).prepare()


@pytest.mark.parametrize("package", ["", *PACKAGES])
def test_modules_of_a_package_import_each_other_in_one_direction(package: str) -> None:
    graph = {}
    for path in (LIBRARY / package).glob("*.py"):
        names = used(ast.parse(path.read_text()))
        if package:
            graph[path.stem] = {name.split(".")[0] for of, name in names if of == package and path.stem != "__init__"}
        else:
            graph[path.stem] = {of for of, _ in names if path.stem not in ("__init__", "executor")}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_door_says_what_is_behind_it(package: str) -> None:
    module = import_module(f"build_lib.{package}")
    assert module.__doc__
    assert DOORS[package]
    for name in DOORS[package]:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match=f"module 'build_lib.{package}' has no attribute 'nothing'"):
        _ = module.nothing


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_other_peoples_packages_are_imported_only_where_they_belong(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [name.name for node in nodes if isinstance(node, ast.Import) for name in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    for root in {name.split(".")[0] for name in names} & set(ONLY_IN):
        assert ONLY_IN[root] & {place(path), path.parent.name}


def test_only_settings_reads_the_environment() -> None:
    readers = {place(path) for path in MODULES if "os.environ" in path.read_text() or "getenv" in path.read_text()}
    assert readers == {"settings/values", "settings/ci"}


def test_completing_a_command_imports_nothing_heavy() -> None:
    """What `import tasks` adds to invoke itself, of other people's packages."""
    code = (
        "import sys, invoke.program; before = set(sys.modules); import tasks;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "build_lib tasks\n"


def test_a_failure_is_told_without_what_it_may_be_about() -> None:
    """Of other people's packages: a wrong flag is not to wait for the Docker SDK."""
    code = (
        "import sys; before = set(sys.modules); from build_lib import console, errors;"
        "console.failure(errors.BuildError('it failed', hint='this'));"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "build_lib colorama\n"
    assert done.stderr.startswith("error: it failed\n  next: this")


def test_only_what_records_or_replays_imports_the_http_server() -> None:
    names = {"job": ["build_all", "push", "doctor", "connect"], "bundle": ["save"], "transfer": ["fetch_downloads"]}
    asked = "; ".join(f"{package}.{name}" for package, each in names.items() for name in each)
    code = (
        f"import sys; from build_lib import {', '.join(names)}; {asked};"
        "print('requests' in sys.modules, 'aiohttp' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"
