"""A Dockerfile as BuildKit reads it.

In: a Dockerfile's text, build arguments, a target, a platform. Out: its external images and what it takes from the
build context, with their lines, the names of its stages, and its problems; and an estimate of what else its
instructions download. This package reads no files, and reports errors as problems instead of raising them.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.dockerfile.context_paths import ContextPath as ContextPath
    from build_lib.dockerfile.images import BuildKitFeature as BuildKitFeature
    from build_lib.dockerfile.images import ImageUse as ImageUse
    from build_lib.dockerfile.images import wrong_with as wrong_with
    from build_lib.dockerfile.outside import Reach as Reach
    from build_lib.dockerfile.outside import reaches as reaches
    from build_lib.dockerfile.reading import Reading as Reading
    from build_lib.dockerfile.reading import external_images as external_images
    from build_lib.dockerfile.reading import read as read
    from build_lib.dockerfile.reading import with_names as with_names
    from build_lib.dockerfile.remote_sources import Addition as Addition
    from build_lib.dockerfile.remote_sources import additions as additions
    from build_lib.dockerfile.remote_sources import with_prefix as with_prefix
    from build_lib.dockerfile.steps import line_of_step as line_of_step
    from build_lib.dockerfile.syntax import Problem as Problem
else:
    __getattr__ = attach(__name__, __file__)
