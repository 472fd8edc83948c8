"""Find, fetch and build the container images of a repository's services.

Each package has one door, its `__init__.py`, which describes the package and names what other packages may use. All
names are imported on first use, so that command completion imports none of them.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib import build as build
    from build_lib import bundle as bundle
    from build_lib import compose as compose
    from build_lib import console as console

    # the names of the library's first version (docs/library.md)
    from build_lib import console as report
    from build_lib import development as development
    from build_lib import dockerfile as dockerfile
    from build_lib import downloads as downloads
    from build_lib import engine as engine
    from build_lib import errors as errors
    from build_lib import fleet as fleet
    from build_lib import hub as hub
    from build_lib import job as job
    from build_lib import machine as machine
    from build_lib import page as page
    from build_lib import reference as reference
    from build_lib import registry as registry
    from build_lib import repository as repository
    from build_lib import settings as settings
    from build_lib import transfer as transfer
    from build_lib.bundle import inventory as inventory
    from build_lib.bundle import plan as bundle_plan
    from build_lib.bundle import read as unbundle
    from build_lib.hub import copy_slurm as slurm
    from build_lib.job import clean as clean
    from build_lib.job import doctor as doctor
    from build_lib.job import init as adopt
    from build_lib.job import steps as release
    from build_lib.machine import daemon as daemon
    from build_lib.machine import local_registry as local_registry
    from build_lib.repository import dependencies as dependencies
    from build_lib.repository import graph_picture as picture
    from build_lib.repository import services as services
    from build_lib.transfer import deps_push as publish
    from build_lib.transfer import mirrors as mirrors
    from build_lib.transfer import prefetch as prefetch
    from build_lib.transfer import push_services as push
else:
    __getattr__ = attach(__name__, __file__)
