"""The jobs that use all other packages: build, build-all, push, doctor, clean and init.

In: a repository, an engine, settings, and a listener that is told of each step. Out: the results of build, build-all
and push, the record of the run, the findings of doctor, what clean may remove, the files that init writes.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.job import clean as clean
    from build_lib.job import doctor as doctor
    from build_lib.job import init as init
    from build_lib.job import logs as logs
    from build_lib.job.backend import EngineBackend as EngineBackend
    from build_lib.job.backend import connect as connect
    from build_lib.job.finding import Finding as Finding
    from build_lib.job.fleet_backend import built_in_registry as built_in_registry
    from build_lib.job.fleet_supply import supply as supply
    from build_lib.job.init import Initialized as Initialized
    from build_lib.job.init_files import Change as Change
    from build_lib.job.leftover import Leftover as Leftover
    from build_lib.job.packages import copy_packages as copy_packages
    from build_lib.job.recorded import Result as Result
    from build_lib.job.steps import build as build
    from build_lib.job.steps import build_all as build_all
    from build_lib.job.steps import check as check
    from build_lib.job.steps import push as push
    from build_lib.job.watch import watch as watch
else:
    __getattr__ = attach(__name__, __file__)
