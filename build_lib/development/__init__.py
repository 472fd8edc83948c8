"""The tests, checks and benchmarks of this project, and its test report."""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.development.commands import bench as bench
    from build_lib.development.commands import lint as lint
    from build_lib.development.commands import test as test
else:
    __getattr__ = attach(__name__, __file__)
