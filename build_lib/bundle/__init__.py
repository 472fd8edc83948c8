"""Bundles: dependency images, and downloads, in one file, or in parts of it, for sites without a network.

In: dependency images (deps-save), or a bundle's path. Out: a bundle, or the images of one in an engine or a registry
and its downloads in the store, after every byte was checked.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.bundle import inventory as inventory
    from build_lib.bundle.archive import Archive as Archive
    from build_lib.bundle.carried import Carried as Carried
    from build_lib.bundle.collect import Collected as Collected
    from build_lib.bundle.contents import Base as Base
    from build_lib.bundle.contents import Listing as Listing
    from build_lib.bundle.load_downloads import LoadedDownloads as LoadedDownloads
    from build_lib.bundle.load_result import Loaded as Loaded
    from build_lib.bundle.plan import part_size as part_size
    from build_lib.bundle.read import LoadedBundle as LoadedBundle
    from build_lib.bundle.read import into_engine as into_engine
    from build_lib.bundle.read import into_registry as into_registry
    from build_lib.bundle.write import Saved as Saved
    from build_lib.bundle.write import Verified as Verified
    from build_lib.bundle.write import default_path as default_path
    from build_lib.bundle.write import save as save
    from build_lib.bundle.write import verify as verify
else:
    __getattr__ = attach(__name__, __file__)
