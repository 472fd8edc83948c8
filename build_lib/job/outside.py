"""Builds whose downloads are recorded or replayed: `DOWNLOADS`, `build-all --record` and `--replay`."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from build_lib.build import Check, Given, Open, Output, Outside, builders
from build_lib.downloads import Additions, RecordedBuild, Recording, Seen, Store, Way, recorded_build, valid_until
from build_lib.engine import owner
from build_lib.errors import BuildError, Place
from build_lib.job import enclosure
from build_lib.job.backend import Backend
from build_lib.job.outside_summary import Summary
from build_lib.repository import Service, fingerprint
from build_lib.settings import Settings
from build_lib.units import local_time, some

if TYPE_CHECKING:
    from build_lib.downloads import Recorder


class Room:
    """See Outside: each build has a way to the recorder, and what it got there is recorded when it ended."""

    def __init__(self, recorder: "Recorder", store: Store, settings: Settings, network: str) -> None:
        self._recorder = recorder
        self._store = store
        self._settings = settings
        self._network = network
        self._ways: dict[str, Way] = {}
        self._builds: dict[str, list[RecordedBuild]] = {}

    @property
    def seen(self) -> dict[str, tuple[Seen, ...]]:
        """What the builds of each service asked for so far."""
        return {name: tuple(build.seen for build in builds) for name, builds in dict(self._builds).items()}

    def begin(self, service: Service) -> tuple[Service, Given]:
        """See Outside."""
        way, arguments = self._recorder.open(service)
        self._ways[service.name] = way
        built = Additions(service).through(way.mirror(self._recorder.authority), arguments)
        rest = {name: value for name, value in service.args.items() if name not in arguments}
        return replace(built, args=rest), Given(arguments=arguments, network=self._network, secrets=(way.token,))

    def end(self, service: Service, fingerprint: str, output: Output, *, done: bool) -> Sequence[str]:
        """See Outside."""
        seen = self._recorder.close(self._ways.pop(service.name))
        where = Place(path=service.origin if service.inline else service.dockerfile)
        path = where.below(self._settings.project_root)
        build = RecordedBuild(service, path, output.steps, seen, self._recorder.authority)
        builds = self._builds.setdefault(service.name, [])
        builds.append(build)
        if not done:
            return build.refusals()
        if not self._recorder.replays:
            self._store.write(recorded_build.recording(builds, self._settings.image_tag, hashed(fingerprint)))
        return ()


@contextmanager
def room(
    checks: Mapping[str, Check],
    builder: builders.Builder,
    backend: Backend,
    settings: Settings,
    tell: Callable[[str], None],
) -> Iterator[tuple[Outside, Callable[[Collection[str]], Summary | None]]]:
    """What stands between the builds and everything outside, as DOWNLOADS says, and what was seen there so far.

    That is to be told which services failed. `tell` gets remarks.

    Raises:
        BuildError: there is nothing to replay, or the recorder cannot be reached by builds.
    """
    if settings.downloads == "direct" or isinstance(builder, builders.Idle):
        yield Open(), lambda _: None
        return
    from build_lib.downloads import Recorder  # noqa: PLC0415  # with its HTTP server, which no other build needs

    store = Store(settings)
    replayed = _recordings(checks, store, settings) if settings.downloads == "replay" else None
    for line in _expired(replayed or {}, store):
        tell(f"  {line}")
    with ExitStack() as stack:
        network = ""
        if replayed is not None and enclosure.by_network(builder, backend.engine):
            assert backend.engine is not None
            closed = stack.enter_context(backend.engine.networks.internal(owner(settings, "build")))
            network, address = closed.name, closed.gateway
        else:
            address = enclosure.address(backend.engine, settings)
        recorder = stack.enter_context(Recorder(address, store, settings, replayed))
        made = Room(recorder, store, settings, network)
        enclosed = bool(network) or enclosure.by_machine(backend.engine)
        replay, release = replayed is not None, settings.image_tag
        yield (
            made,
            lambda failed: Summary(replay=replay, release=release, enclosed=enclosed, seen=made.seen, failed=failed),
        )


def lacking(checks: Mapping[str, Check], settings: Settings) -> dict[str, str]:
    """The services that have to be built to be recorded, although they are up to date, and why."""
    if settings.downloads != "record":
        return {}
    store, found = Store(settings), {}
    for name, check in checks.items():
        recording = store.recording(settings.image_tag, name)
        if recording is None:
            found[name] = "its downloads are not recorded"
        elif recording.fingerprint != hashed(fingerprint.as_label(check.parts)):
            found[name] = "its downloads were recorded for another image"
        elif not all(map(store.blobs.has, recording.blobs().values())):
            found[name] = "the content of recorded downloads is missing"
    return found


def hashed(label: str) -> str:
    """A fingerprint, as recordings have it."""
    return hashlib.sha256(label.encode()).hexdigest()[:16]


def _recordings(checks: Mapping[str, Check], store: Store, settings: Settings) -> dict[str, Recording]:
    """The recordings of the services that are to be built.

    Raises:
        BuildError: some have none.
    """
    wanted = [name for name, check in checks.items() if check.reason]
    found = {name: each for name in wanted if (each := store.recording(settings.image_tag, name))}
    missing = [name for name in wanted if name not in found]
    if missing:
        others = ", ".join(store.releases()) or "none"
        raise BuildError(
            f"nothing is recorded for {some(missing)} of {settings.image_tag} (recorded releases: {others})",
            hint="./inv deps-load -f BUNDLE, from a site where ./inv build-all --record was run",
        )
    return found


def _expired(recordings: Mapping[str, Recording], store: Store) -> Iterator[str]:
    """Lines about archives of apt that have expired since they were recorded."""
    for name, recording in recordings.items():
        for each in valid_until(recording, store, within=timedelta(0)):
            date = local_time(each.until.isoformat())
            yield (
                f"{name}: {each.url} was valid until {date}: apt-get needs -o Acquire::Check-Valid-Until=false, which "
                "an argument gives it that MIRROR_ARGS names: NAME=apt-options"
            )
