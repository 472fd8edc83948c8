"""Copying the Slurm packages from the image that built them into the image that serves them.

In: the repository's services, and an engine that has both images. Out: the serving image with one more layer, which
has the packages and their index; read back and verified.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.hub import copy_slurm as copy_slurm
    from build_lib.hub.copy_slurm import Copied as Copied
else:
    __getattr__ = attach(__name__, __file__)
