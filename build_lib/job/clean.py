"""Find the unused files and images that this tool created, and remove them.

An image is the tool's own if it has a service's name and a build's label, or if it was recorded when it was built.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import rmtree

from build_lib import state
from build_lib.engine import Engine, built_here, owner
from build_lib.errors import BuildError, NoEngine, SettingsError
from build_lib.fleet import records_of_others
from build_lib.job import clean_downloads
from build_lib.job.leftover import Leftover, size_of
from build_lib.machine import daemon, local_registry
from build_lib.reference import Reference, pinned
from build_lib.repository import WITH_SLURM, WITHOUT_SLURM, Dependency, Repository, fingerprint
from build_lib.settings import Settings

_EARLIER = "an earlier release"
_LOCKS = ("build.lock", "copy-slurm.lock", "downloads.lock")


def find(
    repository: Repository, wanted: Sequence[Dependency], engine: Engine | None, settings: Settings, *, keep: int
) -> list[Leftover]:
    """Find everything that may be removed, except the `keep` newest of each service's earlier releases.

    Without an engine, only files are found. Files of a registry or an engine that this tool started are left out while
    it runs.

    Raises:
        SettingsError: `keep` is negative.
    """
    if keep < 0:
        raise SettingsError(f"--keep is {keep}", hint="0 or more earlier releases can be kept")
    found: list[Leftover] = []
    gone: set[str] = set()
    if engine is not None:
        found += _containers(engine, settings)
        images = list(_images(repository, wanted, engine, settings, keep))
        found += images
        gone = _releases_without_images(repository, images, engine)
    return [
        *found,
        *_records_of_builders(repository, settings),
        *clean_downloads.find(gone, settings),
        *_files(settings),
    ]


def remove(leftovers: Sequence[Leftover], engine: Engine | None, settings: Settings) -> list[BuildError]:
    """Remove the leftovers, and return an error for each that could not be removed.

    Raises:
        BuildError: a build is running in this repository.
    """
    failures: list[BuildError] = []
    with ExitStack() as stack:
        for name in _LOCKS:
            stack.enter_context(state.lock(settings.state_dir / name, "clean"))
        for item in leftovers:
            try:
                if item.kind == "file":
                    for path in clean_downloads.still_unused(item, settings) if item.content else [Path(item.name)]:
                        _remove_file(path)
                elif engine is not None and item.kind == "container":
                    engine.containers.remove(item.name)
                elif engine is not None:
                    engine.images.remove(item.name)
            except BuildError as error:
                failures.append(error)
    return failures


def _containers(engine: Engine, settings: Settings) -> Iterator[Leftover]:
    for id in (*engine.containers.of(owner(settings)), *engine.containers.of(owner(settings, "build"))):
        yield Leftover(kind="container", name=id, why="left by a run that was killed")


def _images(
    repository: Repository, wanted: Sequence[Dependency], engine: Engine, settings: Settings, keep: int
) -> Iterator[Leftover]:
    own = built_here.ids(settings)
    for id, image in engine.images.dangling().items():
        if id in own:
            yield Leftover(kind="image", name=id, why="no longer tagged", size=image.size)
    images = {Reference.parse(name): image for name, image in engine.images.by_name().items() if "@" not in name}
    needed = {local for item in wanted if (local := pinned(item.image)) is not None}
    for name, image in images.items():
        if name.path == "build-lib/pinned" and name not in needed:
            yield Leftover(kind="image", name=str(name), why="no Dockerfile needs it", size=image.size)
    for service in repository.services.values():
        of = {name: image for name, image in images.items() if name.repository == service.image.repository}
        built = {name: image for name, image in of.items() if fingerprint.LABEL in image.labels}
        built = {name: image for name, image in built.items() if name != service.in_compose}
        for name in _earlier(built, settings.image_tag, keep, engine):
            yield Leftover(kind="image", name=str(name), why=_EARLIER, size=built[name].size)


def _earlier(images: Iterable[Reference], present: str, keep: int, engine: Engine) -> list[Reference]:
    """A service's images of earlier releases, without the `keep` newest; a release of apphub has up to three images."""
    releases: dict[str, list[Reference]] = defaultdict(list)
    for name in images:
        releases[_release(name)].append(name)
    releases.pop(present, None)
    newest_first = sorted(releases.values(), key=lambda names: max(map(engine.images.named_at, names)), reverse=True)
    return [name for names in newest_first[keep:] for name in names]


def _release(name: Reference) -> str:
    return (name.tag or "").removesuffix(WITHOUT_SLURM).removesuffix(WITH_SLURM)


def _releases_without_images(repository: Repository, going: Iterable[Leftover], engine: Engine) -> set[str]:
    """The releases of which no service keeps its image."""
    names = {item.name for item in going if item.why == _EARLIER}
    own = {service.image.repository for service in repository.services.values()}
    images = engine.images.by_name().items()
    built = [Reference.parse(name) for name, image in images if "@" not in name and fingerprint.LABEL in image.labels]
    kept = {_release(name) for name in built if name.repository in own and str(name) not in names}
    return {_release(Reference.parse(name)) for name in names} - kept


def _records_of_builders(repository: Repository, settings: Settings) -> Iterator[Leftover]:
    for path in records_of_others(repository.own_images, settings):
        yield Leftover(kind="file", name=str(path), why="record of a service that is gone", size=size_of(path))


def _files(settings: Settings) -> Iterator[Leftover]:
    """The files in `.build` that are created again when needed: no bundles or inventories, and nothing that runs."""
    kept: set[str] = set()
    kept |= {"engine.json", "logs"} if daemon.down(settings, dry=True) else set()
    kept |= {"registry", "logs"} if local_registry.down(settings, dry=True) else set()
    if settings.state_dir.is_dir():
        for path in sorted(settings.state_dir.iterdir()):
            why = "left by a run that was killed" if path.name.startswith(".") else _WHY.get(path.name)
            if why and path.name not in kept:
                yield Leftover(kind="file", name=str(path), why=why, size=size_of(path))


_WHY = {
    "services": "records of the last builds",
    "prefetch.json": "record of the last prefetch",
    "last-run.json": "record of the last run",
    "engine.json": "record of an engine that no longer runs",
    "layout": "images of a single builder, which are fetched and built again when needed",
    "buildx": "what buildx was told of BUILDERS, which it is told again when needed",
    "blobs": "downloads, which are fetched again when needed",
    "logs": "logs",
    "registry": "all images that were pushed to the registry of registry-up",
    "report.html": "report of the last run",
}


def _remove_file(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise BuildError(f"{error.filename or path} cannot be removed: {error.strerror}") from None


@contextmanager
def connected(settings: Settings) -> Iterator[Engine | None]:
    """The engine, or None if none answers: files can be removed without one.

    Raises:
        EngineError: there is one, but this user may not use it.
    """
    try:
        engine = Engine.connect(settings)
    except NoEngine:
        yield None
        return
    with engine:
        yield engine
