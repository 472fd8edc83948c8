"""What builds download besides images: recorded, kept, carried to other sites, and served again.

In: the requests of builds. Out: recordings, one for each service of a release, and their content in a store.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.downloads import recording as recording
    from build_lib.downloads.recording import Download as Download
    from build_lib.downloads.recording import Passed as Passed
    from build_lib.downloads.recording import Recording as Recording
    from build_lib.downloads.store import Store as Store
else:
    __getattr__ = attach(__name__, __file__)
