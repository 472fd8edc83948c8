"""Repositories with files that name images, and what is found in them."""

from collections.abc import Mapping
from pathlib import Path

from build_lib.image_files import ImageFiles, read
from build_lib.settings import Settings
from tests.support.projects import write


def look(root: Path, patterns: str, files: Mapping[str, str] | None = None, **environment: str) -> ImageFiles:
    """What is found in the files that the patterns name, after these files were written; there is no helm."""
    write(root, files or {})
    return read(Settings.load(root, environ={"PATH": "", "IMAGE_FILES": patterns, **environment}))


def images(root: Path, patterns: str, files: Mapping[str, str] | None = None, **environment: str) -> list[str]:
    """The images by their places, in the order of these; nothing may be wrong."""
    found = look(root, patterns, files, **environment)
    assert found.problems == ()
    return places(root, found)


def places(root: Path, found: ImageFiles) -> list[str]:
    """`FILE:LINE IMAGE` of each image, in the order of files and lines."""
    ordered = sorted(found.images, key=lambda item: (item.path, item.line))
    return [f"{item.path.relative_to(root)}:{item.line} {item.image}" for item in ordered]


def told(root: Path, found: ImageFiles) -> list[str]:
    """`remark FILE:LINE REASON` or `error FILE:LINE REASON` of each problem."""
    return [
        f"{'remark' if item.remark else 'error'} {item.path.relative_to(root)}:{item.line} {item.reason}"
        for item in found.problems
    ]
