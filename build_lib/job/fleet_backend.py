"""A fleet of builders that builds services, and the build registry that keeps their images."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from build_lib.build import Check, Hosts, Placement, builders
from build_lib.engine import Engine, built_here
from build_lib.errors import BuildError, BuildFailed, SettingsError
from build_lib.fleet import (
    LAYOUT,
    FleetBuilder,
    HubImages,
    Layout,
    Member,
    Members,
    RegistryPulse,
    RegistryStore,
    buildx,
    environment,
    here,
    load,
)
from build_lib.graph import Outcome
from build_lib.reference import PrivateRegistry, Reference
from build_lib.registry import Registries
from build_lib.repository import Service
from build_lib.settings import Settings
from build_lib.transfer import PushedService, push_from_registry
from build_lib.units import number

Connect = Callable[[Settings], AbstractContextManager[Engine]]


class FleetBackend:
    """See Backend. Builders are asked only when something has to be built."""

    def __init__(self, settings: Settings, registries: Registries, connect: Connect, stack: ExitStack) -> None:
        self.engine: Engine | None = None
        self.platform = settings.platform or here()
        places = len(settings.builders) * settings.builder_jobs
        self.jobs = min(places, settings.jobs or settings.build_jobs or places)
        content, registry = (layout(settings), LAYOUT) if uses_layout(settings) else (registries, in_registry(settings))
        self.store = RegistryStore(content, registry, settings, self.platform)
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="build-lib-")))
        self.hub = HubImages(self.store, content, settings.image_tag, scratch)
        self._settings = settings
        self._content = content
        self._connect = connect
        self._stack = stack

    def sizes(self, checks: Mapping[str, Check]) -> dict[str, int]:
        """See Backend."""
        found = {name: self.store.image(check.service.image) for name, check in checks.items()}
        return {name: image.size for name, image in found.items() if image}

    def builder(
        self, checks: Mapping[str, Check], tell: Callable[[str], None], *, pull: bool, no_cache: bool
    ) -> tuple[builders.Builder, Placement]:
        """See Backend.

        Raises:
            BuildError: no builder answers, or `pull` is asked for: base images are those in the build registry.
        """
        if pull:
            hint = "./inv deps-push copies newer base images to the private registry"
            raise BuildError("--pull is for builds by the engine, but BUILDERS names a fleet", hint=hint)
        found = buildx(self._settings)
        own = self._stack.enter_context(environment(self._settings))
        members = [Member(address, found.program, own, self._settings) for address in self._settings.builders]
        joined = self._stack.enter_context(Members(members, self._settings))
        if isinstance(self._content, Registries):
            host, stall = self.store.registry.host, self._settings.stall_seconds
            self._stack.enter_context(RegistryPulse(host, self._content, joined, stall))
        builder = FleetBuilder(joined, checks, self.store, self._settings, tell, form=found.form, no_cache=no_cache)
        builder.tell_remarks()
        return builder, builder

    @contextmanager
    def running(self, _services: Mapping[str, Service], _prepare: Callable[[str], None]) -> Iterator[Hosts]:
        """See Backend: builders cannot reach services that run here."""

        def hosts(service: Service, _cancel: object) -> tuple[()]:
            for name in service.build_with:
                raise BuildFailed(
                    f"{service.name} is not built: {name} has to run meanwhile, and BUILDERS cannot reach it",
                    hint=f"leave BUILDERS empty for it: BUILDERS= ./inv build -s {service.name}",
                )
            return ()

        yield hosts

    def push(
        self, services: Mapping[str, Service], unfit: Mapping[str, BuildError], **options: Any
    ) -> list[Outcome[PushedService]]:
        """See Backend: from the build registry, without an engine."""
        images = {name: service.image for name, service in services.items()}
        sources = {name: self.store.by_digest(image) for name, image in images.items() if name not in unfit}
        return push_from_registry.push(images, sources, unfit, self._settings, **options)

    def publish(self, services: Sequence[Service], tell: Callable[[str], None]) -> list[BuildError]:
        """See Backend: names in the registry, images in the engine, as `BUILD_OUTPUT` says."""
        wrong: list[BuildError] = []
        for part in (self._write_names, self._load):
            try:
                part(services, tell)
            except BuildError as error:
                wrong.append(error)
        return wrong

    def finish(self, services: Sequence[Service], tell: Callable[[str], None], *, whole: bool) -> list[BuildError]:
        """See Backend: a release's tag never stands for half of a run."""
        if whole:
            return self.publish(services, tell)
        only_engine = self._settings.build_output == "engine"
        what = "nothing is loaded into the engine" if only_engine else f"no names are written to {self.store.registry}"
        tell(f"  {what}, because not all services were built")
        return []

    def _write_names(self, services: Sequence[Service], tell: Callable[[str], None]) -> None:
        if self._settings.build_output != "engine":
            written = self.store.write_names(service.image for service in services)
            if written:
                tell(f"  {number(len(written), 'name')} written to {self.store.registry}")

    def _load(self, services: Sequence[Service], tell: Callable[[str], None]) -> None:
        if self._settings.build_output == "registry":
            return
        with self._connect(self._settings) as engine:
            loaded = [each.image for each in services if load(each.image, self.store, self._content, engine)]
            for image in loaded:
                built_here.remember(engine.images.by_name()[image.canonical].id, self._settings)
            for service in services:
                if service.in_compose is not None:
                    engine.images.tag(str(service.image), service.in_compose)
            tell(f"  {number(len(loaded), 'image')} loaded into the engine")


@contextmanager
def connect_fleet(settings: Settings, connect: Connect) -> Iterator[FleetBackend]:
    """The fleet that `BUILDERS` names. `connect` connects to the engine, if images are to be loaded there.

    Raises:
        BuildError: there is no registry for it.
    """
    with ExitStack() as stack:
        registries = stack.enter_context(Registries(settings))
        yield FleetBackend(settings, registries, connect, stack)


def uses_layout(settings: Settings) -> bool:
    """Whether a single builder gets images from this machine, and gives them back, because there is no registry."""
    registry = settings.build_registry or settings.private_registry
    return registry is None and len(settings.builders) == 1 and settings.build_output == "engine"


def layout(settings: Settings) -> Layout:
    """The layout that takes the place of a registry."""
    return Layout(settings.state_dir / "layout")


def in_registry(settings: Settings) -> PrivateRegistry:
    """The registry by which images go between builders.

    Raises:
        SettingsError: none is set.
    """
    registry = settings.build_registry or settings.private_registry
    if registry is None:
        raise SettingsError(
            "BUILDERS needs a registry, by which images go between builders",
            hint="set BUILD_REGISTRY or PRIVATE_REGISTRY in .env to host[:port]/project; a single builder needs none "
            "with BUILD_OUTPUT=engine",
        )
    return registry


def built_in_registry(images: Sequence[Reference], settings: Settings) -> dict[Reference, Reference]:
    """The places of services' images in the build registry, by digest; none without a fleet that has one.

    Raises:
        RegistryError: one of them is not there.
    """
    if not settings.builders or not images or uses_layout(settings):
        return {}
    with Registries(settings) as registries:
        store = RegistryStore(registries, in_registry(settings), settings, settings.platform or here())
        return {image: store.by_digest(image) for image in images}
