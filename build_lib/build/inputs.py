"""What an image of a service would depend on if it were built now: files, images, arguments."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from build_lib.build.images import Images
from build_lib.build.records import Records
from build_lib.reference import Reference
from build_lib.repository import Context, Service, copied_paths, fingerprint


@dataclass(frozen=True, slots=True)
class Inputs:
    """The parts of a fingerprint, and the context's files that one of them is about.

    `patterns` are the paths of the context that the files were found by, or None for the whole context.
    """

    parts: dict[str, str]
    context: Context
    patterns: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the inputs of one service; `siblings` are the images of the services that it depends on.

    Those that are `rebuilt` first are taken as they are until then. `contexts` are what was read of the context, by the
    patterns: nothing is read twice.
    """

    service: Service
    siblings: Mapping[str, Reference]
    rebuilt: tuple[str, ...]
    held: Images
    records: Records
    contexts: dict[tuple[str, ...] | None, Context]

    def bases(self) -> dict[str, Reference | None]:
        """The names by which builds find the external images, by what the Dockerfile calls them."""
        return {str(image): name for image, name in self._bases().items()}

    def for_label(self, *, pull: bool) -> Inputs:
        """Return the inputs as the label of a new image has them.

        With `pull`, the builder may use other base images than those that are here.
        """
        patterns = copied_paths.patterns(self.service)
        sure = patterns is not None and not pull and self._copies_nothing_else()
        return self._inputs(patterns if sure else None)

    def as_in(self, old: fingerprint.Parts) -> Inputs:
        """Return the inputs in the form of a label, to be compared with it.

        The label may be about the whole context. A base image that was removed since is no reason to rebuild. The
        first labels had the siblings' fingerprints where now their contents are.
        """
        same = self._inputs(copied_paths.patterns(self.service) if fingerprint.COPIED in old else None)
        removed = {f"base image {self._named(base)}" for base, name in self._bases().items() if name is None}
        kept = {part: old[part] for part in removed & old.keys()}
        kept |= {part: value for part, value in self._by_labels().items() if old.get(part) == value}
        return replace(same, parts={**same.parts, **kept})

    def _bases(self) -> dict[Reference, Reference | None]:
        return {image: self.held.name_of(image) for image in self.service.base_images}

    def _named(self, base: Reference) -> str:
        """The name of a base image in a label: a lock with the content that was there before changes no label."""
        return self.service.name_of(base)

    def _inputs(self, patterns: tuple[str, ...] | None) -> Inputs:
        if patterns not in self.contexts:
            self.contexts[patterns] = self.records.look(patterns)
        context = self.contexts[patterns]
        found = {self._named(base): self.held.image(name) for base, name in self._bases().items() if name is not None}
        parts = fingerprint.parts(
            self.service,
            files=context.files,
            whole=patterns is None,
            platform=self.service.platform or self.held.platform,
            bases={base: image.id for base, image in found.items() if image is not None},
            siblings={name: self._sibling(name) for name in self.siblings},
        )
        return Inputs(parts, context, patterns)

    def _sibling(self, name: str) -> str:
        """What of a service counts: the content of its image; or, if it only runs meanwhile, what that was built from.

        A hub's image gets a new index with each copy, though it serves the same packages.
        """
        if all(edge.kind == "running" for edge in self.service.edges if edge.name == name):
            image = self.held.image(self.siblings[name])
            return image.labels.get(fingerprint.LABEL, "") if image else ""
        content = self.held.content(self.siblings[name])
        return content.digest if content else ""

    def _copies_nothing_else(self) -> bool:
        """Whether no image that the service is based on makes its build copy more than its Dockerfile says.

        It may have ONBUILD triggers, or an ENV that replaces an argument.
        """
        bases = [self.held.name_of(image) for image in copied_paths.bases(self.service)]
        siblings = [image for name, image in self.siblings.items() if name not in self.rebuilt]
        contents = [self.held.content(name) if name else None for name in (*bases, *siblings)]
        variables = frozenset().union(*(path.variables for path in self.service.reading.context))
        return all(
            content is not None and not content.triggers and not content.variables & variables for content in contents
        )

    def _by_labels(self) -> dict[str, str]:
        images = {name: self.held.image(image) for name, image in self.siblings.items()}
        return fingerprint.of_labels(
            {name: image.labels.get(fingerprint.LABEL) if image else None for name, image in images.items()}
        )
