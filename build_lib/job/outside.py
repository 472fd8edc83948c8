"""Builds whose downloads are recorded or replayed: `DOWNLOADS`, `build-all --record` and `--replay`."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from build_lib.build import Check, Given, Open, Output, Outside, builders
from build_lib.dockerfile import Addition, additions, with_prefix
from build_lib.downloads import Passed, Recorder, Recording, Seen, Store, Way, lines
from build_lib.downloads.routes import ADDED
from build_lib.engine import owner
from build_lib.errors import BuildError, Place
from build_lib.job.backend import Backend
from build_lib.job.outside_summary import Summary
from build_lib.repository import Service, fingerprint
from build_lib.settings import Settings
from build_lib.units import some

_ROUTES = Path("/proc/net/route"), Path("/proc/net/ipv6_route")
_SHOWN = 5  # lines about what was refused


class Room:
    """See Outside: each build has a way to the recorder, and what it got there is recorded when it ended."""

    def __init__(self, recorder: Recorder, store: Store, settings: Settings, network: str) -> None:
        self._recorder = recorder
        self._store = store
        self._settings = settings
        self._network = network
        self._ways: dict[str, tuple[Way, list[Addition]]] = {}
        self._lock = threading.Lock()
        self.seen: dict[str, Seen] = {}

    def begin(self, service: Service) -> tuple[Service, Given]:
        """See Outside."""
        way, arguments = self._recorder.open(service)
        mirror = way.mirror(self._recorder.authority)
        values = {**service.reading.defaults, **service.args}
        added = list(additions(service.text, values))
        led = {each.written for each in additions(service.text, {**values, **arguments}) if mirror in each.url}
        mirrored = [each for each in added if each.is_http and each.written not in led]
        with self._lock:
            self._ways[service.name] = way, added
        rest = {name: value for name, value in service.args.items() if name not in arguments}
        built = replace(service, args=rest)
        if mirrored:
            text = with_prefix(service.text, mirrored, f"{mirror}{ADDED}")
            built = replace(built, text=text, inline=True)
        return built, Given(arguments=arguments, network=self._network, secrets=(way.token,))

    def end(self, service: Service, fingerprint: str, output: Output, *, done: bool) -> Sequence[str]:
        """See Outside."""
        with self._lock:
            way, added = self._ways.pop(service.name)
        seen = self._recorder.close(way)
        with self._lock:
            self.seen[service.name] = seen
        if done and not self._recorder.replays:
            self._store.write(self._recording(service, fingerprint, output, seen, added))
        if done:
            return ()
        path = self._path(service)
        told = []
        for event in seen.events:
            if event.kind != "passed":
                at = self._lines(service, output, [event.moment], event.what, added)
                told.append(f"{path}:{_or(at)}: {event.what}: {event.why}" if at else f"{event.what}: {event.why}")
        return list(dict.fromkeys(told))[:_SHOWN]

    def _path(self, service: Service) -> str:
        where = service.origin if service.inline else service.dockerfile
        return Place(path=where).below(self._settings.project_root)

    def _recording(self, service: Service, label: str, output: Output, seen: Seen, added: list[Addition]) -> Recording:
        return Recording(
            service=service.name,
            release=self._settings.image_tag,
            fingerprint=hashed(label),
            path=self._path(service),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            downloads=tuple(
                replace(item, lines=self._lines(service, output, moments, item.url, added))
                for item, moments in seen.downloads
            ),
            passed=tuple(self._passed(service, output, seen, added)),
        )

    def _passed(self, service: Service, output: Output, seen: Seen, added: list[Addition]) -> Iterator[Passed]:
        moments: dict[tuple[str, str], list[float]] = {}
        for event in seen.events:
            if event.kind == "passed":
                moments.setdefault((event.what, event.why), []).append(event.moment)
        for (what, why), when in moments.items():
            yield Passed(what=what, why=why, lines=self._lines(service, output, when, what, added))
        for each in added:
            if not each.is_http:
                yield Passed(what=each.url, why="only http and https can be recorded", lines=(each.line,))

    def _lines(
        self, service: Service, output: Output, moments: Sequence[float], url: str, added: list[Addition]
    ) -> tuple[int, ...]:
        """The lines that may have asked for a URL: an ADD of it, or the steps that ran then."""
        of_adds = tuple(sorted({each.line for each in added if each.url.partition("#")[0] == url}))
        return of_adds or lines(service.text, output.steps, moments)


@contextmanager
def room(
    checks: Mapping[str, Check], builder: builders.Builder, backend: Backend, settings: Settings
) -> Iterator[tuple[Outside, Callable[[], Summary | None]]]:
    """What stands between the builds and everything outside, as DOWNLOADS says, and what was seen there so far.

    Raises:
        BuildError: there is nothing to replay, or the recorder cannot be reached by builds.
    """
    if settings.downloads == "direct" or isinstance(builder, builders.Idle):
        yield Open(), lambda: None
        return
    store = Store(settings)
    replayed = _recordings(checks, store, settings) if settings.downloads == "replay" else None
    with ExitStack() as stack:
        network, address = "", settings.recorder_address
        engine = backend.engine
        if replayed is not None and isinstance(builder, builders.Classic) and engine and engine.is_here():
            closed = stack.enter_context(engine.networks.internal(owner(settings, "build")))
            network, address = closed.name, closed.gateway
        recorder = stack.enter_context(Recorder(address or _gateway(backend), store, settings, replayed))
        made = Room(recorder, store, settings, network)
        enclosed = bool(network) or not _has_way_out(backend)
        yield made, lambda: Summary(mode=settings.downloads, enclosed=enclosed, seen=dict(made.seen))


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


def _gateway(backend: Backend) -> str:
    """The address of this machine at which builds reach it.

    Raises:
        BuildError: it is not known.
    """
    engine = backend.engine
    network = engine.networks.default() if engine is not None and engine.is_here() else None
    if network is None:
        raise BuildError(
            "the recorder needs an address of this machine that builds reach, and the builder says none",
            hint="set RECORDER_ADDRESS in .env, host or host:port",
        )
    return network.gateway


def _has_way_out(backend: Backend) -> bool:
    """Whether this machine, or another one that builds, may reach other networks."""
    if backend.engine is None or not backend.engine.is_here():
        return True
    return any(_has_default_route(path) for path in _ROUTES)


def _has_default_route(path: Path) -> bool:
    """Whether a table of the kernel's has a default route over another interface than loopback (proc(5))."""
    rows = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    if path.name == "route":
        return any(row[1:2] == ["00000000"] and row[7:8] == ["00000000"] for row in rows)
    return any(row[0] == "0" * 32 and row[1] == "00" and row[-1] != "lo" for row in rows if len(row) > 9)


def _or(found: Sequence[int]) -> str:
    return " or ".join(map(str, found))
