"""The Docker Engine: the only package that imports the Docker SDK.

In: settings, which say where the engine is. Out: its images and containers, loads, pulls, pushes and classic builds.
Whatever it refuses is an `EngineError`, also inside a stream whose HTTP status was 200.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.engine import built_here as built_here
    from build_lib.engine import load_plan as load_plan
    from build_lib.engine import saved_images as saved_images
    from build_lib.engine.added_layer import add_layer as add_layer
    from build_lib.engine.added_layer import with_layer as with_layer
    from build_lib.engine.client import Engine as Engine
    from build_lib.engine.connection import ELSEWHERE as ELSEWHERE
    from build_lib.engine.connection import endpoint as endpoint
    from build_lib.engine.containers import TEMPORARY_LABEL as TEMPORARY_LABEL
    from build_lib.engine.containers import Container as Container
    from build_lib.engine.containers import owner as owner
    from build_lib.engine.images import Content as Content
    from build_lib.engine.images import Image as Image
    from build_lib.engine.images import Program as Program
    from build_lib.engine.load_plan import LoadPlan as LoadPlan
    from build_lib.engine.load_plan import NotLoadable as NotLoadable
    from build_lib.engine.push import push_by_engine as push_by_engine
    from build_lib.engine.push import pushed_before as pushed_before
else:
    __getattr__ = attach(__name__, __file__)
