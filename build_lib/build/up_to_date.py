"""Which services are up to date, and why the others are not."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import Any

from build_lib.build.records import Records
from build_lib.dockerfile import ImageUse
from build_lib.engine import Engine, Image
from build_lib.reference import Reference, local_names
from build_lib.repository import Context, Service, copied_paths, fingerprint
from build_lib.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """The state of a service. `reason` says why it is out of date; "" if it is up to date."""

    service: Service
    parts: fingerprint.Parts
    context: Context
    patterns: tuple[str, ...] | None  # the paths of the context that `context` is about; None for all
    reason: str
    missing: tuple[Reference, ...]  # images that its build needs and that the engine does not have
    image: str  # the id of the image of this name, up to date or not; "" if there is none
    failed: str  # why its last build failed, in one line; "" if it did not
    pins: tuple[tuple[ImageUse, str], ...]  # images that the engine has under another name than the Dockerfile uses

    @property
    def built(self) -> bool:
        """Whether there is an image of this name, up to date or not."""
        return bool(self.image)


def check(
    services: Mapping[str, Service],
    engine: Engine,
    settings: Settings,
    *,
    forced: Collection[str] = (),
    pull: bool = False,
) -> dict[str, Check]:
    """Compare each service with its existing image; the result is in the order of `services`.

    Everything that a service depends on must be in `services`. Those that are `forced` are always built. With `pull`,
    the builder may use newer base images than the engine has.
    """
    checker = _Checker(engine, settings, pull=pull)
    checks: dict[str, Check] = {}
    for name in TopologicalSorter({name: service.needs for name, service in services.items()}).static_order():
        checks[name] = checker.check(services[name], checks, force=name in forced)
    return {name: checks[name] for name in services}


@dataclass(frozen=True, slots=True)
class _Now:
    """What an image built now would depend on, and the context's files that are a part of it."""

    parts: dict[str, str]
    context: Context
    patterns: tuple[str, ...] | None


class _Checker:
    """Compares services with the images that the engine has now."""

    def __init__(self, engine: Engine, settings: Settings, *, pull: bool) -> None:
        self._engine, self._settings, self._pull = engine, settings, pull
        self._images, self._platform = engine.images.by_name(), engine.platform()

    def check(self, service: Service, checks: Mapping[str, Check], *, force: bool) -> Check:
        """Compare one service; `checks` has those that it depends on."""
        records = Records(service, self._settings)
        image = self._images.get(service.image.canonical)
        old = fingerprint.from_label(image.labels.get(fingerprint.LABEL)) if image else None
        now = same = self._now(service, checks, records, self._patterns(service, checks))
        if old is not None:
            same = self._as_in(old, now, service, checks, records)
        last = records.last()
        if fingerprint.changes(old or {}, same.parts):
            changed = fingerprint.words(old or {}, same.parts, records.files(old), same.context.files)
        else:
            changed = _doubts(image, last) if image else ""
        rebuilt = [name for name in service.needs if checks[name].reason]
        reason = _reason(image, old, changed, rebuilt, force=force)
        found = now if reason else same
        names = self._names(service)
        return Check(
            service=service,
            parts=found.parts,
            context=found.context,
            patterns=found.patterns,
            reason=reason,
            missing=tuple(image for image in service.base_images if names[str(image)] is None),
            image=image.id if image else "",
            failed=last.get("failed", ""),
            pins=tuple(_pins(service, names)),
        )

    def _now(
        self, service: Service, checks: Mapping[str, Check], records: Records, patterns: tuple[str, ...] | None
    ) -> _Now:
        names = self._names(service)
        context = records.look(patterns)
        parts = fingerprint.parts(
            service,
            files=context.files,
            whole=patterns is None,
            platform=service.platform or self._platform,
            bases={base: self._images[name.identity].id for base, name in names.items() if name is not None},
            siblings={name: checks[name].parts for name in service.needs},
        )
        return _Now(parts, context, patterns)

    def _as_in(
        self, old: fingerprint.Parts, now: _Now, service: Service, checks: Mapping[str, Check], records: Records
    ) -> _Now:
        """What `old` can be compared with: it may be about the whole context, and about an image removed since.

        A removed base image is no reason to rebuild.
        """
        patterns = copied_paths.patterns(service) if fingerprint.COPIED in old else None
        same = now if patterns == now.patterns else self._now(service, checks, records, patterns)
        removed = (f"base image {base}" for base, name in self._names(service).items() if name is None)
        return replace(same, parts=same.parts | {part: old[part] for part in removed if part in old})

    def _patterns(self, service: Service, checks: Mapping[str, Check]) -> tuple[str, ...] | None:
        """The paths of the context that the build copies; None if any path may be among them.

        An image that it is based on may have ONBUILD triggers that copy more, or an ENV that replaces an argument.
        """
        patterns = copied_paths.patterns(service)
        if patterns is None or self._pull or any(checks[name].reason for name in service.needs):
            return None
        bases = (self._name_of(image) for image in copied_paths.bases(service))
        siblings = (checks[name].service.image for name in service.needs)
        variables = frozenset().union(*(path.variables for path in service.reading.context))
        for name in (*bases, *siblings):
            if name is None:
                return None
            given = self._engine.images.given(self._images[name.identity].id)
            if given.triggers or given.variables & variables:
                return None
        return patterns

    def _names(self, service: Service) -> dict[str, Reference | None]:
        """The names under which the engine has the external images, by what the Dockerfile calls them."""
        return {str(image): self._name_of(image) for image in service.base_images}

    def _name_of(self, image: Reference) -> Reference | None:
        return next((name for name in local_names(image) if name.identity in self._images), None)


def _doubts(image: Image, last: Mapping[str, Any]) -> str:
    """Why an image may have been built from other files than its label says; "" if there is no reason to doubt it."""
    if last.get("image") == image.id:
        return fingerprint.unsure(last.get("unsure", ()))
    interrupted = "begun" in last and last["begun"] != image.id  # else the image is still the one from before
    return "the run that built it was interrupted" if interrupted else ""


def _pins(service: Service, names: Mapping[str, Reference | None]) -> Iterator[tuple[ImageUse, str]]:
    for use in service.external:
        image = Reference.parse(use.name)
        name = names.get(str(image))
        if name is not None and name != image and use.kind != "syntax":
            yield use, str(name)


def _reason(
    image: Image | None, old: fingerprint.Parts | None, changed: str, rebuilt: list[str], *, force: bool
) -> str:
    """Why the service is out of date, in words; "" if it is not."""
    if image is None:
        return "not built yet"
    if force:
        return "--force"
    if rebuilt:
        return f"depends on {', '.join(rebuilt)}, which {'is' if len(rebuilt) == 1 else 'are'} rebuilt"
    if old is None:
        return "the existing image was not built by this tool"
    return changed
