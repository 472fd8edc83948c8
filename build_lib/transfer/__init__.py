"""Images between registries and the engine, and what builds downloaded between the store and the private registry.

In: dependency images or services, an engine, settings. Out: the images in the engine (prefetch) or in the private
registry (deps-push, push), with an outcome for each: where it came from, or why each source did not give it. The
downloads of a release are in the private registry as an artifact.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.transfer import bootstrap as bootstrap
    from build_lib.transfer import deps_push as deps_push
    from build_lib.transfer import downloads_artifact as downloads_artifact
    from build_lib.transfer import locking as locking
    from build_lib.transfer import mirrors as mirrors
    from build_lib.transfer import prefetch as prefetch
    from build_lib.transfer import push_from_registry as push_from_registry
    from build_lib.transfer import push_services as push_services
    from build_lib.transfer.downloads_fetch import FetchedDownloads as FetchedDownloads
    from build_lib.transfer.downloads_fetch import fetch_downloads as fetch_downloads
    from build_lib.transfer.downloads_push import PushedDownloads as PushedDownloads
    from build_lib.transfer.downloads_push import push_downloads as push_downloads
    from build_lib.transfer.fetch import Listener as Listener
    from build_lib.transfer.image_pull import IN_REGISTRY as IN_REGISTRY
    from build_lib.transfer.image_pull import Fetched as Fetched
    from build_lib.transfer.locking import Change as Change
    from build_lib.transfer.locking import Moved as Moved
    from build_lib.transfer.mirrors import Probe as Probe
    from build_lib.transfer.mirrors import Written as Written
    from build_lib.transfer.push_services import PushedService as PushedService
else:
    __getattr__ = attach(__name__, __file__)
