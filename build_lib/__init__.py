"""Find, fetch and build the container images that a repository's services are made of.

The modules are imported when they are first used (PEP 562): completing a command imports none of them.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from build_lib import adopt as adopt
    from build_lib import build as build
    from build_lib import bundle as bundle
    from build_lib import bundle_plan as bundle_plan
    from build_lib import clean as clean
    from build_lib import compose as compose
    from build_lib import daemon as daemon
    from build_lib import dependencies as dependencies
    from build_lib import development as development
    from build_lib import dockerfile as dockerfile
    from build_lib import doctor as doctor
    from build_lib import engine as engine
    from build_lib import errors as errors
    from build_lib import inventory as inventory
    from build_lib import local_registry as local_registry
    from build_lib import mirrors as mirrors
    from build_lib import picture as picture
    from build_lib import prefetch as prefetch
    from build_lib import publish as publish
    from build_lib import push as push
    from build_lib import release as release
    from build_lib import report as report
    from build_lib import services as services
    from build_lib import settings as settings
    from build_lib import slurm as slurm
    from build_lib import unbundle as unbundle


def __getattr__(name: str) -> ModuleType:
    if name.startswith("_"):
        raise AttributeError(name)
    try:
        return import_module(f"build_lib.{name}")
    except ModuleNotFoundError as error:
        if error.name == f"build_lib.{name}":
            raise AttributeError(name) from None
        raise
