"""All output of the commands: text for users, at a terminal or in a pipe, and JSON for programs with --json.

In: values of the other packages. Out: text on stdout and stderr; `Incomplete` if the exit code has to be 1.

All commands share `Console`. Each of the other modules has the text and the JSON of a group of commands. If the library
reports progress, the module has a class, created with the console, that is the listener, and whose `end` prints the
result. If there is only a result, the module has a function that takes the console and prints it.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.console import build as build
    from build_lib.console import builders as builders
    from build_lib.console import bundle as bundle
    from build_lib.console import clean as clean
    from build_lib.console import doctor as doctor
    from build_lib.console import downloads as downloads
    from build_lib.console import init as init
    from build_lib.console import lock as lock
    from build_lib.console import logs as logs
    from build_lib.console import machine as machine
    from build_lib.console import mirrors as mirrors
    from build_lib.console import outside as outside
    from build_lib.console import overview as overview
    from build_lib.console import start as start
    from build_lib.console.build import BuildReport as BuildReport
    from build_lib.console.bundle import LoadReport as LoadReport
    from build_lib.console.bundle import SaveReport as SaveReport
    from build_lib.console.documents import Documents as Documents
    from build_lib.console.output import Console as Console
    from build_lib.console.output import failure as failure
    from build_lib.console.output import json_document as json_document
    from build_lib.console.output import last_failure as last_failure
    from build_lib.console.output import misspelt as misspelt
    from build_lib.console.output import not_run as not_run
    from build_lib.console.output import working_on as working_on
    from build_lib.console.prefetch import PrefetchReport as PrefetchReport
    from build_lib.console.progress import Heartbeat as Heartbeat
    from build_lib.console.push import DepsPushReport as DepsPushReport
    from build_lib.console.push import PushReport as PushReport
    from build_lib.console.watch import WatchReport as WatchReport
else:
    __getattr__ = attach(__name__, __file__)
