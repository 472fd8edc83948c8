"""Images that files besides Dockerfiles and compose files name: manifests, Helm charts and values, lists, templates.

In: settings, of which `IMAGE_FILES` has the paths. Out: the images, and problems, each with file and line.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.image_files.reading import ImageFiles as ImageFiles
    from build_lib.image_files.reading import read as read
    from build_lib.image_files.resolving import NamedImage as NamedImage
else:
    __getattr__ = attach(__name__, __file__)
