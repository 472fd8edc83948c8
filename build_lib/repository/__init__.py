"""What a repository builds, in which order, and which external images that needs.

In: settings, and the files of the repository. Out: its services with their dependencies on each other, its dependency
images with every place that names them, what else their Dockerfiles download, and the fingerprint of everything that a
service's image depends on.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.repository import build_context as build_context
    from build_lib.repository import copied_paths as copied_paths
    from build_lib.repository import dependencies as dependencies
    from build_lib.repository import fingerprint as fingerprint
    from build_lib.repository import graph_picture as graph_picture
    from build_lib.repository import lock as lock
    from build_lib.repository import lock_fit as lock_fit
    from build_lib.repository import outside as outside
    from build_lib.repository import services as services
    from build_lib.repository import survey as survey
    from build_lib.repository.build_context import Context as Context
    from build_lib.repository.dependencies import Dependency as Dependency
    from build_lib.repository.dockerfiles import Found as Found
    from build_lib.repository.dockerfiles import as_image_name as as_image_name
    from build_lib.repository.edges import Edge as Edge
    from build_lib.repository.lock import LOCK_NAME as LOCK_NAME
    from build_lib.repository.lock import Lock as Lock
    from build_lib.repository.lock import Locked as Locked
    from build_lib.repository.lock_fit import NotLocked as NotLocked
    from build_lib.repository.nothing_found import no_services as no_services
    from build_lib.repository.outside import Outside as Outside
    from build_lib.repository.search import dockerfiles_setting as dockerfiles_setting
    from build_lib.repository.service import IMAGE as IMAGE
    from build_lib.repository.service import WITH_SLURM as WITH_SLURM
    from build_lib.repository.service import WITHOUT_SLURM as WITHOUT_SLURM
    from build_lib.repository.service import Service as Service
    from build_lib.repository.service import with_images as with_images
    from build_lib.repository.services import Repository as Repository
    from build_lib.repository.services import discover as discover
    from build_lib.repository.services import service_names as service_names
    from build_lib.repository.survey import Suggestion as Suggestion
    from build_lib.repository.survey import Survey as Survey
else:
    __getattr__ = attach(__name__, __file__)
