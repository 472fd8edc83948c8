"""Compose files, found and combined as `docker compose` does it: overrides, `include`, `extends`, profiles, variables.

In: a directory, and environment variables. Out: the services that are built and how, the images that are only run, and
problems, each with file and line. `yaml_nodes` and `expand`, by which files are read, also serve other files.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.compose import yaml_nodes as yaml_nodes
    from build_lib.compose.interpolation import InvalidInterpolation as InvalidInterpolation
    from build_lib.compose.interpolation import expand as expand
    from build_lib.compose.project import BuildEntry as BuildEntry
    from build_lib.compose.project import Compose as Compose
    from build_lib.compose.project import ImageEntry as ImageEntry
    from build_lib.compose.project import Problem as Problem
    from build_lib.compose.project import read as read
else:
    __getattr__ = attach(__name__, __file__)
