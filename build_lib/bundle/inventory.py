"""Inventories: small files that list the layers and the downloads of a site.

A bundle made `--since` an inventory leaves them out.
"""

from contextlib import suppress
from pathlib import Path

from build_lib.bundle.collect import Connect
from build_lib.bundle.contents import Base, Variant
from build_lib.bundle.parts_writer import Writer, check_target
from build_lib.downloads import Store
from build_lib.engine import Engine
from build_lib.errors import EngineError, SettingsError
from build_lib.graph import run
from build_lib.reference import PrivateRegistry, Reference
from build_lib.registry import Registries, copy_plan
from build_lib.repository import Repository, dependencies
from build_lib.settings import Settings


def default_path(settings: Settings) -> Path:
    """The default path of an inventory."""
    return settings.state_dir / "inventory.json"


def of_engine(connect: Connect, settings: Settings) -> Base:
    """The layers of every named image of the engine, and the downloads in this repository's store.

    Raises:
        EngineError: no engine answers.
    """
    with connect() as engine:
        name, images = f"the engine of {engine.machine()}", _chains(engine)
    return Base(kind="engine", name=name, images=images, downloads=_downloads(settings))


def of_registry(repository: Repository, settings: Settings) -> Base:
    """The blobs in the private registry's repositories of dependencies and services, under all tags.

    The downloads are those in this repository's store.

    Raises:
        SettingsError: no private registry is set.
        RegistryError: the registry cannot be asked.
    """
    registry = settings.private_registry
    if registry is None:
        raise SettingsError("no private registry is set", hint="name one with -r host[:port]/project")
    with Registries(settings, connections=settings.pulls_at_once) as registries:
        images = [item.image for item in dependencies.find(repository, settings)]
        images += [service.image for service in repository.services.values()]
        places = {image.repository: image for image in images}
        outcomes = run(
            dict.fromkeys(places, ()),
            lambda name, _cancel: _held(places[name], registry, registries),
            jobs=settings.pulls_at_once,
            cancel=registries.cancel,
        )
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    found = tuple(pair for outcome in outcomes for pair in outcome.value or ())
    return Base(kind="registry", name=str(registry), images=found, downloads=_downloads(settings))


def write(base: Base, path: Path, settings: Settings, *, dry: bool) -> Path:
    """Write the inventory, under a temporary name first. Return its path.

    Raises:
        BuildError: the file cannot be written.
    """
    check_target(path, settings.state_dir)
    if not dry:
        with Writer(path, None) as writer:
            writer.write(base.to_bytes())
            writer.finish()
    return path


def _downloads(settings: Settings) -> tuple[str, ...]:
    return tuple(f"sha256:{sha256}" for sha256 in Store(settings).contents())


def _chains(engine: Engine) -> tuple[tuple[str, Variant], ...]:
    names: dict[str, str] = {}
    for name, image in sorted(engine.images.by_name().items(), key=lambda pair: ("@" in pair[0], pair[0])):
        names.setdefault(image.id, str(Reference.parse(name)))
    found = []
    for id, name in names.items():
        with suppress(EngineError):  # another process has removed it since
            found.append((name, Variant(layers=(), diff_ids=engine.images.layers(id))))
    engine.check()
    return tuple(sorted(found, key=lambda pair: pair[0]))


def _held(image: Reference, registry: PrivateRegistry, registries: Registries) -> list[tuple[str, Variant]]:
    place = registry.place(image)
    tops: dict[str, Reference] = {}
    for tag in registries.tags(place):
        top = registries.resolve(place.with_tag(tag))
        if top is not None:
            tops.setdefault(top.digest, image.with_tag(tag))
    found: dict[str, tuple[str, Variant]] = {}
    for digest, name in tops.items():
        for manifest in copy_plan.manifest_tree(place, digest, registries):
            if manifest.blobs:
                layers = tuple(layer.digest for layer in manifest.blobs[1:] if not layer.foreign)
                found.setdefault(manifest.digest, (str(name), Variant(layers=layers, diff_ids=())))
    return list(found.values())
