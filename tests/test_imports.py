"""Who may import whom: a module imports only from rows above its own."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROWS = [
    {"errors", "units", "markup", "course"},
    {"tables", "timeline", "drawing"},  # of the page about a run
    {"failures"},
    {"page"},
    {"reference", "graph", "interpolation", "yamlfile", "dockerignore", "state", "shell_pattern", "oci"},
    {"settings", "compose_service", "process", "retry", "shell_word", "blobs", "listing"},
    {"compose_files", "dockerfile_directives", "credentials", "background", "layout", "sources", "parts"},
    {"connections", "members", "parts_writer"},
    {"registry_login"},
    {"registry_session"},
    {"registry", "archive"},
    {"loaded"},
    {"compose", "dockerfile_syntax"},
    {"dockerfile_arguments"},
    {"dockerfile_stages"},
    {"dockerfile_images"},
    {"dockerfile"},
    {"services", "apt", "engine"},
    {
        "dependencies",
        "fingerprint",
        "context",
        "daemon",
        "bootstrap",
        "builders",
        "harbor",
        "local_registry",
        "copies",
        "downloads",
        "exported",
        "fitting",
        "mirrors",
        "picture",
        "documents",
        "made",
        "suite",
        "outgoing",
        "packages",
    },
    {"placement", "incoming", "gather"},
    {"fetch", "bundle_plan", "into_engine", "into_registry"},
    # the verbs: they do not import each other
    {"prefetch", "build", "slurm", "publish", "push", "clean", "adopt", "bundle", "unbundle", "inventory"},
    {"record"},
    {"release", "doctor", "bundle_text", "as_json", "bars"},
    {"report"},
    {"executor", "development"},
    {"tasks"},
    {"__main__"},
]
ONLY_IN = {
    "docker": {"engine", "credentials"},
    "requests": {"engine", "connections", "registry_login", "registry_session", "registry"},
    "invoke": {"executor", "tasks"},
    "yaml": {"yamlfile", "compose_files", "compose_service"},
    "colorama": {"report"},
    "tqdm": {"bars"},
}
MODULES = sorted(path for path in (ROOT / "build_lib").glob("*.py") if path.stem != "__init__")


def _imports(path: Path) -> Iterator[str]:
    """All modules that a file imports, in full, also those that only a type checker imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_imports_only_from_rows_above(path: Path) -> None:
    [row] = [place for place, names in enumerate(ROWS) if path.stem in names]
    above = set().union(*ROWS[:row])
    own = {name.split(".")[1] for name in _imports(path) if name.startswith("build_lib.")}
    assert own & {module.stem for module in MODULES} <= above


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_package_is_imported_only_where_it_belongs(path: Path) -> None:
    roots = {name.split(".")[0] for name in _imports(path)}
    assert {package for package, places in ONLY_IN.items() if package in roots and path.stem not in places} == set()


def test_only_settings_reads_the_environment() -> None:
    readers = {path.stem for path in MODULES if "os.environ" in path.read_text() or "getenv" in path.read_text()}
    assert readers == {"settings"}


def test_completing_a_command_imports_nothing_heavy() -> None:
    """What `import tasks` adds to invoke itself, of other people's packages."""
    code = (
        "import sys, invoke.program; before = set(sys.modules); import tasks;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "build_lib tasks\n"
