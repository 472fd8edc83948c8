"""Repositories to work on."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent


def needs(project: Path, service: str, image: str, *lines: str) -> None:
    directory = project / "src" / service
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "Dockerfile").write_text("\n".join([f"FROM {image}", *lines, ""]))


def write(root: Path, files: Mapping[str, str]) -> list[Path]:
    """Write files, and return the paths of those that are YAML."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(dedent(text))
    return [root / name for name in files if name.endswith(("yaml", "yml"))]
