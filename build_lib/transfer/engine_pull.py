"""The engine's own pull of an image, from whichever registry has it, under the image's own name."""

from functools import partial

from build_lib.engine import Engine
from build_lib.reference import Reference, pinned
from build_lib.registry import Registries, retry
from build_lib.repository import Dependency
from build_lib.transfer.fetch_progress import FetchProgress


class EnginePull:
    """Has one engine pull images, for one run; for several threads."""

    def __init__(self, engine: Engine, registries: Registries, progress: FetchProgress) -> None:
        self._engine = engine
        self._registries = registries
        self._progress = progress

    def pull(self, wanted: Dependency, place: Reference, *, tries: int) -> None:
        """Pull the image that is called `place` there; afterwards it has its own name in the engine, and that alone.

        Raises:
            BuildError: the pull failed, also when tried again.
        """
        image, session, cancel = wanted.image, self._registries.session, self._registries.cancel
        login = session.login(place.host)
        on_layer = partial(self._progress.on_layer, str(image))

        def pull() -> None:
            session.hosts.check(place.host)
            with cancel.abandoned():  # the engine stops the pull once the connection is closed
                self._engine.streams.pull(
                    place, login, platform=wanted.platform, cancelled=cancel.requested, on_layer=on_layer
                )

        had = place.identity in self._engine.images.by_name()
        retry.call(pull, tries=tries, cancel=cancel)
        if place != image:
            self._engine.images.tag(str(place), pinned(image) or image)
            if not had:
                self._engine.images.remove(place)
