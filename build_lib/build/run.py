"""Build services: find out which have to be built and why, and build them in the order of their graph."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from build_lib import state
from build_lib.build.builders import Builder
from build_lib.dockerfile import ImageUse
from build_lib.engine import Engine, Image, built_here
from build_lib.errors import BuildError, BuildFailed
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import Reference, local_names
from build_lib.repository import Context, Service, build_context, fingerprint, with_images
from build_lib.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What is to be done about a service. `reason` is "" where nothing is."""

    service: Service
    parts: fingerprint.Parts
    context: Context
    reason: str
    missing: tuple[Reference, ...]  # images that it needs for being built, and that the engine has not
    image: str  # the id of the image of this name, up to date or not; "" if there is none
    failed: str  # why the last try to build it failed, in a line; "" if it did not
    pins: tuple[tuple[ImageUse, str], ...]  # images that the engine has under another name than the Dockerfile's

    @property
    def built(self) -> bool:
        """Whether there is an image of this name, up to date or not."""
        return bool(self.image)


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """How a service came out: why it was built ("" if it was not) and how long that took.

    `changed` are files of its context that were written to meanwhile: the image may be of before or after.
    """

    name: str
    reason: str
    seconds: float
    changed: tuple[str, ...] = ()


def check(
    services: Mapping[str, Service], engine: Engine, settings: Settings, *, forced: Collection[str] = ()
) -> dict[str, Check]:
    """Compare each service with the image that there is; in the order of `services`.

    All that a service stands on must be among `services`; those that are `forced` are built in any case.
    """
    images, platform = engine.images.by_name(), engine.platform()
    checks: dict[str, Check] = {}
    for name in TopologicalSorter({name: service.needs for name, service in services.items()}).static_order():
        checks[name] = _check(services[name], checks, images, settings, platform=platform, force=name in forced)
    return {name: checks[name] for name in services}


def _check(
    service: Service,
    checks: Mapping[str, Check],
    images: Mapping[str, Image],
    settings: Settings,
    *,
    platform: str,
    force: bool,
) -> Check:
    names = {str(image): _name_in(images, image) for image in service.base_images}
    bases = {base: images[name.identity].id for base, name in names.items() if name is not None}
    missing = tuple(image for image in service.base_images if str(image) not in bases)
    siblings = {name: checks[name].parts for name in service.needs}
    records = _Records(service, settings)
    found = records.look()
    parts = fingerprint.parts(
        service, files=found.files, platform=service.platform or platform, bases=bases, siblings=siblings
    )
    image = images.get(service.image.canonical)
    old = fingerprint.from_label(image.labels.get(fingerprint.LABEL)) if image else None
    if old is not None:  # an image that is gone since is no reason to build again
        parts |= {name: old[name] for name in (f"base image {image}" for image in missing) if name in old}
    last = records.last()
    before = old or {}
    if fingerprint.changes(before, parts):
        reason = fingerprint.words(before, parts, records.files(old), found.files)
    else:
        reason = _doubts(image, last) if image else ""
    rebuilt = [name for name in service.needs if checks[name].reason]
    return Check(
        service=service,
        parts=parts,
        context=found,
        reason=_reason(image, old, reason, rebuilt, force=force),
        missing=missing,
        image=image.id if image else "",
        failed=last.get("failed", ""),
        pins=tuple(_pins(service, names)),
    )


def _doubts(image: Image, last: Mapping[str, Any]) -> str:
    """Why an image may be of other files than its label says; "" if nothing is known against it."""
    if last.get("image") == image.id:
        return fingerprint.unsure(last.get("unsure", ()))
    cut_off = "begun" in last and last["begun"] != image.id  # else the image is still the one from before
    return "the run that built it was cut off" if cut_off else ""


def _name_in(images: Mapping[str, Image], image: Reference) -> Reference | None:
    """The name by which the engine finds the image, if it has it."""
    return next((name for name in local_names(image) if name.identity in images), None)


def _pins(service: Service, names: Mapping[str, Reference | None]) -> Iterator[tuple[ImageUse, str]]:
    for use in service.external:
        image = Reference.parse(use.name)
        name = names.get(str(image))
        if name is not None and name != image and use.kind != "syntax":
            yield use, str(name)


def _reason(
    image: Image | None, old: fingerprint.Parts | None, changed: str, rebuilt: list[str], *, force: bool
) -> str:
    """Why to build, in words."""
    if image is None:
        return "not built yet"
    if force:
        return "--force"
    if rebuilt:
        return f"stands on {', '.join(rebuilt)}, which is rebuilt"
    if old is None:
        return "the image there is was not built by this tool"
    return changed


class _Records:
    """What is kept of a service's builds; without it, less can be told, and a little more is done."""

    def __init__(self, service: Service, settings: Settings) -> None:
        directory = settings.state_dir / "services" / service.name
        self._service, self._own = service, settings.state_dir
        self._stamps = directory / "stamps.json"
        self._files = directory / "files.json"
        self._last = directory / "last.json"

    def look(self) -> Context:
        """The service's context as it is now."""
        return build_context.read(self._service, self._stamps, own=self._own)

    def last(self) -> Mapping[str, Any]:
        """How the last build ended."""
        return state.read(self._last) or {}

    def files(self, label: fingerprint.Parts | None) -> fingerprint.Parts | None:
        """The files from which the image with this label was built, if they are known: to name what changed."""
        built = state.read(self._files) or {}
        same = label is not None and built.get("context") == label.get("context")
        return built.get("files") if same else None

    def write_begun(self, image: str) -> None:
        """A build begins, and `image` is there still; it is told from what a run makes that never ends."""
        state.write(self._last, {"begun": image, **self.last()})

    def write_built(self, check: Check, image: str, unsure: Sequence[str]) -> None:
        """It was built; `unsure` are the paths that changed meanwhile."""
        built = {"context": check.parts["context"], "files": dict(check.context.files)}
        state.write(self._files, built, compact=True)
        state.write(self._last, {"image": image, "unsure": list(unsure)})

    def write_failed(self, error: BuildError) -> None:
        """It could not be built; what is known of the image that there may be stays true."""
        state.write(self._last, {**self.last(), "failed": error.message.partition("\n")[0]})


def build(
    checks: Mapping[str, Check],
    builder: Builder,
    engine: Engine,
    settings: Settings,
    *,
    why_missing: Callable[[Reference], str] = lambda _image: "",
    pull: bool = False,
    on_start: Callable[[str], None] = lambda _name: None,
    on_end: Callable[[Outcome[Built]], None] = lambda _outcome: None,
    fail_fast: bool = False,
) -> list[Outcome[Built]]:
    """Build what has to be built, each service after those it stands on; what fails blocks only what needs it.

    `why_missing` tells why an image could not be brought in, for the error of a service that lacks it; with `pull`,
    the builder brings what is missing, and what is newer, itself.
    """

    def work(name: str, cancel: Cancel) -> Built:
        began = time.monotonic()
        check = checks[name]
        changed = (
            _built(check, builder, engine, settings, None if pull else why_missing, cancel) if check.reason else ()
        )
        return Built(name=name, reason=check.reason, seconds=time.monotonic() - began, changed=tuple(changed))

    needs = {name: check.service.needs for name, check in checks.items()}
    return run(needs, work, jobs=settings.builds_at_once, on_start=on_start, on_end=on_end, fail_fast=fail_fast)


def _built(
    check: Check,
    builder: Builder,
    engine: Engine,
    settings: Settings,
    why_missing: Callable[[Reference], str] | None,
    cancel: Cancel,
) -> Sequence[str]:
    """Build it; the files of its context that changed meanwhile.

    Raises:
        BuildError: it cannot be built; which the records keep, unless that is not its own fault.
    """
    records = _Records(check.service, settings)
    records.write_begun(check.image)
    try:
        _through(check, builder, settings, why_missing, cancel)
        changed = check.context.changes(records.look())
    except BuildError as error:
        if cancel.requested():
            raise
        engine.check()
        records.write_failed(error)
        raise
    image = engine.images.by_name().get(check.service.image.canonical)
    records.write_built(check, image.id if image else "", changed)
    if image:
        built_here.remember(image.id, settings)
    return changed


def _through(
    check: Check,
    builder: Builder,
    settings: Settings,
    why_missing: Callable[[Reference], str] | None,
    cancel: Cancel,
) -> None:
    log = settings.state_dir / "logs" / f"{check.service.name}.log"
    with state.writing(log):
        log.unlink(missing_ok=True)
    if check.missing and why_missing is not None:  # else the builder brings its images itself
        raise _lacks(check, why_missing)
    _see_that_there_is(check.service)
    service = check.service if why_missing is None else with_images(check.service, check.pins)
    with state.writing(log):
        builder.build(service, {fingerprint.LABEL: fingerprint.as_label(check.parts)}, log, cancel)


def _see_that_there_is(service: Service) -> None:
    """What was there at the check may be gone; builders say so in their own ways, and not always by name."""
    for path in (service.context, service.context if service.inline else service.dockerfile):
        if not path.exists():
            raise BuildFailed(f"{service.name} cannot be built: there is no {path} any more")


def _lacks(check: Check, why_missing: Callable[[Reference], str]) -> BuildFailed:
    images = []
    for image in check.missing:
        why = why_missing(image)
        images.append(f"{image} ({why})" if why else str(image))
    return BuildFailed(
        f"{check.service.name} is not built: it needs {', '.join(images)}",
        hint="./inv prefetch brings images in; PRIVATE_REGISTRY in .env names a registry that has them",
    )
