"""Every dependency image of a repository: what needs it, what for, and where it is named."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from build_lib.errors import BuildError, InvalidReference, nearest
from build_lib.reference import Reference
from build_lib.repository.dockerfiles import below
from build_lib.repository.lock import Locked
from build_lib.repository.service import Service
from build_lib.repository.services import Repository
from build_lib.settings import Settings

Kind = Literal["from", "copy", "mount", "onbuild", "syntax", "context", "run", "extra"]
KINDS = ("build", "runtime")  # what `find` can be limited to


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Need:
    """One place that needs an image.

    `path` is relative to the repository's root if it is inside, and "" for a setting; line 0 is the whole file.
    """

    path: str
    line: int
    needed_by: str  # the name of a service, built or only run, or IMAGE_FILES or EXTRA_IMAGES
    kind: Kind
    build: bool  # whether a build fails without it
    platform: str = ""  # the platform named there, such as `linux/arm64`

    @property
    def wanted_for(self) -> str:
        """One of KINDS: "runtime" for an image that is only run or that a setting names, else "build"."""
        return "runtime" if self.kind in ("run", "extra") else "build"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependency:
    """An external image and all places that need it, in the order of path and line."""

    image: Reference  # with the digest that images.lock has for it
    needs: tuple[Need, ...]
    locked: Locked | None = None

    @property
    def named(self) -> Reference:
        """The image as its places name it."""
        return self.locked.image if self.locked else self.image

    @property
    def platform(self) -> str | None:
        """The platform that all places name; None, for the engine's own, if they name none or several ones."""
        named = {need.platform for need in self.needs}
        return named.pop() or None if len(named) == 1 and not any("," in name for name in named) else None

    @property
    def for_build(self) -> bool:
        """Whether a build needs it, and not only the deployment."""
        return any(need.build for need in self.needs)


def find(
    repository: Repository, settings: Settings, services: Sequence[str] = (), *, kind: str | None = None
) -> tuple[Dependency, ...]:
    """Return all dependency images, in the order of their names.

    With `services`, these are the images needed to build them; with `kind`, one of KINDS, those needed for that.

    Raises:
        BuildError: there is no such service or kind.
    """
    if kind not in (None, *KINDS):
        raise BuildError(f"--kind is {kind!r}", hint=nearest(kind, KINDS) or f"allowed: {' or '.join(KINDS)}")
    chosen = repository.chosen(services)
    found: defaultdict[Reference, set[Need]] = defaultdict(set)
    others = ((repository.lock.applied(image), need) for image, need in _other_needs(repository, settings))
    for image, need in (*_build_needs(repository, settings), *others):
        if (not services or need.needed_by in chosen) and kind in (None, need.wanted_for):
            found[image].add(need)
    lock = repository.lock
    return tuple(
        Dependency(image=image, needs=tuple(sorted(found[image])), locked=lock.of(image) if image.digest else None)
        for image in _in_order(found)
    )


def _in_order(images: Collection[Reference]) -> list[Reference]:
    return sorted(images, key=lambda image: image.canonical)


def _build_needs(repository: Repository, settings: Settings) -> Iterator[tuple[Reference, Need]]:
    for service in repository.services.values():
        for use in service.external:
            image = Reference.parse(use.name)
            # Without a target, images that the last stage does not reach count too: what is stored for a closed site
            # has to serve any target. But an image of this repository's own that is not built here is in no registry.
            if not use.reached and (service.target or _is_own(image, repository, settings)):
                continue
            where = below(service.origin if use.kind == "context" else service.dockerfile, settings)
            need = Need(
                path=where,
                line=use.line,
                needed_by=service.name,
                kind=use.kind,
                build=use.reached,
                platform=use.platform or service.platform,
            )
            yield use.image, need


def _other_needs(repository: Repository, settings: Settings) -> Iterator[tuple[Reference, Need]]:
    for entry in repository.run_images:
        try:
            image = Reference.parse(entry.image)
        except InvalidReference:
            continue  # build_lib.compose reports it as a problem
        if not _is_own(image, repository, settings):
            where, platform = below(entry.path, settings), entry.platform or settings.platform
            need = Need(path=where, line=entry.line, needed_by=entry.name, kind="run", build=False, platform=platform)
            yield image, need
    platform = settings.platform
    for item in repository.named_images:
        if not _is_own(item.image, repository, settings):
            where = below(item.path, settings)
            need = Need(path=where, line=item.line, needed_by="IMAGE_FILES", kind="run", build=False, platform=platform)
            yield item.image, need
    for image in settings.extra_images:
        yield image, Need(path="", line=0, needed_by="EXTRA_IMAGES", kind="extra", build=False, platform=platform)


def _is_own(image: Reference, repository: Repository, settings: Settings) -> bool:
    """Whether this repository builds it, or once did: images with its prefix come from nowhere else."""
    if settings.image_prefix and str(image).startswith(settings.image_prefix):
        return True
    return any(
        service.in_compose == image or _is_service(image, service, settings) for service in repository.services.values()
    )


def _is_service(image: Reference, service: Service, settings: Settings) -> bool:
    """Whether an image has the name of a service's, alone or in a registry: a manifest names it where it is pushed."""
    own, registry = service.image, settings.private_registry
    if own.repository == image.repository or (registry and registry.place(own).repository == image.repository):
        return True
    has_prefix = settings.image_prefix and own.familiar.startswith(settings.image_prefix)
    return bool(has_prefix) and image.familiar.endswith(f"/{own.familiar}")
