"""A Dockerfile as BuildKit reads it.

In: a Dockerfile's text, build arguments, a target, a platform. Out: the images that it takes from outside, each with
its line, the names of its stages, and what could not be understood. Nothing is read from disk and nothing raised.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.dockerfile.images import BuildKitFeature as BuildKitFeature
    from build_lib.dockerfile.images import ImageUse as ImageUse
    from build_lib.dockerfile.images import wrong_with as wrong_with
    from build_lib.dockerfile.reading import Reading as Reading
    from build_lib.dockerfile.reading import external_images as external_images
    from build_lib.dockerfile.reading import read as read
    from build_lib.dockerfile.reading import with_names as with_names
    from build_lib.dockerfile.syntax import Problem as Problem
else:
    __getattr__ = attach(__name__, __file__)
