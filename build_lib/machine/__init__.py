"""The local machine: its apt, a Docker Engine, a registry on loopback.

In: settings. Out: installed packages, and processes that outlive the run that started them.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.machine import apt as apt
    from build_lib.machine import daemon as daemon
    from build_lib.machine import local_registry as local_registry
    from build_lib.machine.daemon import Started as Started
    from build_lib.machine.daemon import Up as Up
    from build_lib.machine.local_registry import LocalRegistry as LocalRegistry
else:
    __getattr__ = attach(__name__, __file__)
