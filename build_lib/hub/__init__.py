"""Copying the Slurm packages from the images that built them into the image that serves them, the hub.

In: the repository's services, what `HUB_PACKAGES` says of them, and their images (`Images`). Out: the hub's
image with one more layer, which has the packages and their index; read back and verified.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.hub import copy_slurm as copy_slurm
    from build_lib.hub.copy_slurm import Copied as Copied
    from build_lib.hub.hubs import Hub as Hub
    from build_lib.hub.hubs import find_hubs as find_hubs
    from build_lib.hub.hubs import require_mode as require_mode
    from build_lib.hub.hubs import why_none as why_none
    from build_lib.hub.images import CREATED_BY as CREATED_BY
    from build_lib.hub.images import EngineImages as EngineImages
    from build_lib.hub.images import Files as Files
    from build_lib.hub.images import Images as Images
else:
    __getattr__ = attach(__name__, __file__)
