"""Registries: names are resolved to digests, and all content is downloaded and uploaded here.

In: references, and the settings for logins, certificates and retries. Out: digests, manifests byte for byte, blobs as
streams or on disk, uploads. The digest of all content is checked here, whatever its source.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.registry import addresses as addresses
    from build_lib.registry import copy_plan as copy_plan
    from build_lib.registry import docker_config as docker_config
    from build_lib.registry import harbor as harbor
    from build_lib.registry import image_layout as image_layout
    from build_lib.registry import retry as retry
    from build_lib.registry import source_chain as source_chain
    from build_lib.registry.answer import CHUNK as CHUNK
    from build_lib.registry.blob_store import BlobStore as BlobStore
    from build_lib.registry.blob_store import Check as Check
    from build_lib.registry.blob_store import Progress as Progress
    from build_lib.registry.blob_store import Truncated as Truncated
    from build_lib.registry.blob_store import WrongContent as WrongContent
    from build_lib.registry.blob_store import cannot_write as cannot_write
    from build_lib.registry.client import Registries as Registries
    from build_lib.registry.connections import proxy_of as proxy_of
    from build_lib.registry.copy_plan import Copy as Copy
    from build_lib.registry.credentials import Login as Login
    from build_lib.registry.docker_config import logins as logins
    from build_lib.registry.download import Downloads as Downloads
    from build_lib.registry.image_layout import Loadable as Loadable
    from build_lib.registry.manifests import DOCKER_MANIFEST as DOCKER_MANIFEST
    from build_lib.registry.manifests import IMAGE_CONFIGS as IMAGE_CONFIGS
    from build_lib.registry.manifests import INDEXES as INDEXES
    from build_lib.registry.manifests import LARGEST as LARGEST
    from build_lib.registry.manifests import OCI_INDEX as OCI_INDEX
    from build_lib.registry.manifests import OCI_MANIFEST as OCI_MANIFEST
    from build_lib.registry.manifests import Descriptor as Descriptor
    from build_lib.registry.manifests import InvalidManifest as InvalidManifest
    from build_lib.registry.manifests import Manifest as Manifest
    from build_lib.registry.manifests import digest_of as digest_of
    from build_lib.registry.manifests import is_sha256 as is_sha256
    from build_lib.registry.manifests import matches as matches
    from build_lib.registry.network import innermost as innermost
    from build_lib.registry.unpacking import CannotUnpack as CannotUnpack
    from build_lib.registry.unpacking import unpacked as unpacked
    from build_lib.registry.upload import AtSource as AtSource
    from build_lib.registry.upload import Pushed as Pushed
    from build_lib.registry.upload import Uploads as Uploads
    from build_lib.registry.upload import write_names as write_names
else:
    __getattr__ = attach(__name__, __file__)
