"""The page about a run: one HTML file that needs no network.

In: the record of a run. Out: the document's text. Text that is not markup is escaped where it becomes part of it.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.page.critical_path import critical_path_of as critical_path_of
    from build_lib.page.run_page import run_page as run_page
else:
    __getattr__ = attach(__name__, __file__)
