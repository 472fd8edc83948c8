"""A fleet of builders: BuildKit daemons, which buildx reaches, and a registry by which images go between them.

In: the services of a run, the builders, the registry. Out: which service is built next, and where; its image in the
registry, by its digest, and by its names when all are built.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.fleet.builder import FleetBuilder as FleetBuilder
    from build_lib.fleet.client_config import environment as environment
    from build_lib.fleet.fill_layout import fill as fill
    from build_lib.fleet.hub_images import HubImages as HubImages
    from build_lib.fleet.inspection import Inspected as Inspected
    from build_lib.fleet.inspection import inspect as inspect
    from build_lib.fleet.inspection import prune as prune
    from build_lib.fleet.layout import LAYOUT as LAYOUT
    from build_lib.fleet.layout import Layout as Layout
    from build_lib.fleet.load import load as load
    from build_lib.fleet.member import Member as Member
    from build_lib.fleet.member import NotRunning as NotRunning
    from build_lib.fleet.member import Seen as Seen
    from build_lib.fleet.member import buildx as buildx
    from build_lib.fleet.member import here as here
    from build_lib.fleet.members import Members as Members
    from build_lib.fleet.registry_pulse import RegistryPulse as RegistryPulse
    from build_lib.fleet.registry_store import RegistryStore as RegistryStore
    from build_lib.fleet.registry_store import records_of_others as records_of_others
    from build_lib.fleet.schedule import Capacity as Capacity
    from build_lib.fleet.schedule import Schedule as Schedule
    from build_lib.fleet.schedule import Task as Task
else:
    __getattr__ = attach(__name__, __file__)
