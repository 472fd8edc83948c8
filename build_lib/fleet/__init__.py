"""Spreading the builds of one run over several builders.

In: the services of a run, how long each took before, and the builders. Out: which service is built next, and where.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.fleet.schedule import Capacity as Capacity
    from build_lib.fleet.schedule import Schedule as Schedule
    from build_lib.fleet.schedule import Task as Task
else:
    __getattr__ = attach(__name__, __file__)
