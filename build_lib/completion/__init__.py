"""Tab completion: the words that may stand at the cursor, and the scripts that ask for them.

In: a command line up to the cursor, and invoke's description of the tasks. Out: candidates. Nothing is asked for over
the network, of the engine or of the user.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.completion.scripts import script as script
    from build_lib.completion.words import Candidates as Candidates
    from build_lib.completion.words import candidates as candidates
else:
    __getattr__ = attach(__name__, __file__)
