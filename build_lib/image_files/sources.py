"""What the patterns of `IMAGE_FILES` name, and how each of these files is read."""

import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath
from typing import Literal

CHART, VALUES = "Chart.yaml", "values.yaml"
MOST_FILES = 1000  # that one pattern may name
_YAML = {".yaml", ".yml", ".json"}

Kind = Literal["chart", "yaml", "template", "list"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A file and how to read it; of a chart, its directory, and the file of values that it is rendered with."""

    path: Path
    kind: Kind
    values: Path | None = None  # None: only the chart's own


def find(pattern: str, root: Path) -> list[Source]:
    """Return what a path or a pattern names, at most MOST_FILES + 1, each once."""
    try:
        found = [_source(path) for path in _paths(pattern, root)]
    except OSError:  # a name that is too long for a file
        return []
    return list(dict.fromkeys(source for source in found if source))


def _paths(pattern: str, root: Path) -> list[Path]:
    """The paths that a pattern names, sorted, without `..`; hidden ones only if the pattern has their names."""
    if (root / pattern).exists():  # its name may have the characters of a pattern
        return [Path(os.path.normpath(root / pattern))]
    # a `**` at the end names only directories before Python 3.13
    whole = f"{pattern}/*" if pattern.endswith("**") else pattern
    found = (path for path in root.glob(whole) if not _is_hidden(path.parts[len(root.parts) :], pattern))
    return sorted(Path(os.path.normpath(path)) for path in islice(found, MOST_FILES + 1))


def _is_hidden(parts: tuple[str, ...], pattern: str) -> bool:
    return any(part.startswith(".") and part not in PurePath(pattern).parts for part in parts)


def _source(path: Path) -> Source | None:
    """The source that a path stands for; None if it is a directory without a chart, or not a file."""
    if path.is_dir():
        return Source(path=path, kind="chart") if (path / CHART).is_file() else None
    if not path.exists():
        return None
    chart = next((directory for directory in path.parents if (directory / CHART).is_file()), None)
    if chart and _is_of_chart(path, chart):
        override = is_values(path) and path != chart / VALUES
        return Source(path=chart, kind="chart", values=path if override else None)
    return Source(path=path, kind=_kind(path))


def _is_of_chart(path: Path, chart: Path) -> bool:
    """Whether a file is read with its chart: it describes it, has values for it, or is a part of it."""
    in_it = path.is_relative_to(chart / "templates") or path.parent == chart / "charts"
    return in_it or is_values(path) or path in (chart / CHART, chart / "Chart.lock")


def is_values(path: Path) -> bool:
    """Return whether a file has Helm values, by its name, such as `values-prod.yaml`."""
    return path.name.startswith("values") and path.suffix in (".yaml", ".yml")


def _kind(path: Path) -> Kind:
    """How to read a file of no chart: `x.yaml.tpl` will be YAML, `x.conf.tpl` a list."""
    if path.suffix in _YAML:
        return "yaml"
    return "list" if _YAML.isdisjoint(path.suffixes) else "template"
