"""What builds download besides images: recorded, kept, carried to other sites, and served again.

In: the requests of builds. Out: recordings, one for each service of a release, and their content in a store.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.downloads import recorded_build as recorded_build
    from build_lib.downloads import recording as recording
    from build_lib.downloads.additions import Additions as Additions
    from build_lib.downloads.expiry import Expiry as Expiry
    from build_lib.downloads.expiry import valid_until as valid_until
    from build_lib.downloads.exporting import Exported as Exported
    from build_lib.downloads.exporting import export as export
    from build_lib.downloads.listing import Listing as Listing
    from build_lib.downloads.listing import listed as listed
    from build_lib.downloads.mirror_args import can_record as can_record
    from build_lib.downloads.recorded_build import RecordedBuild as RecordedBuild
    from build_lib.downloads.recorder import Recorder as Recorder
    from build_lib.downloads.recording import Download as Download
    from build_lib.downloads.recording import Kind as Kind
    from build_lib.downloads.recording import Passed as Passed
    from build_lib.downloads.recording import Recording as Recording
    from build_lib.downloads.routes import host_of as host_of
    from build_lib.downloads.store import Store as Store
    from build_lib.downloads.ways import Event as Event
    from build_lib.downloads.ways import Happened as Happened
    from build_lib.downloads.ways import Seen as Seen
    from build_lib.downloads.ways import Way as Way
else:
    __getattr__ = attach(__name__, __file__)
