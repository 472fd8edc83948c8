"""Which services are out of date and why, and building them with the best builder available.

In: services, an engine, settings. Out: a check of each service; then its image, with the fingerprint as a label.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.build import builders as builders
    from build_lib.build import flags as flags
    from build_lib.build.builders import CommandLine as CommandLine
    from build_lib.build.images import EngineStore as EngineStore
    from build_lib.build.images import Images as Images
    from build_lib.build.images import Store as Store
    from build_lib.build.output import Form as Form
    from build_lib.build.output import Output as Output
    from build_lib.build.outside import Given as Given
    from build_lib.build.outside import Open as Open
    from build_lib.build.outside import Outside as Outside
    from build_lib.build.records import INTERRUPTED as INTERRUPTED
    from build_lib.build.records import Records as Records
    from build_lib.build.run import Built as Built
    from build_lib.build.run import Hosts as Hosts
    from build_lib.build.run import Placement as Placement
    from build_lib.build.run import Running as Running
    from build_lib.build.run import build as build
    from build_lib.build.running import RunningServices as RunningServices
    from build_lib.build.running import to_run as to_run
    from build_lib.build.up_to_date import Check as Check
    from build_lib.build.up_to_date import check as check
    from build_lib.build.up_to_date import check_again as check_again
    from build_lib.build.up_to_date import in_order as in_order
else:
    __getattr__ = attach(__name__, __file__)
