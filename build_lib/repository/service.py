"""A service: one image that this repository builds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from build_lib.compose import Problem
from build_lib.dockerfile import ImageUse, Reading, with_names
from build_lib.errors import Place
from build_lib.reference import Reference
from build_lib.repository.edges import Edge

IMAGE = "docker-image://"  # what a build context that is an image begins with

# suffixes of apphub's tags: the image as built, without the Slurm packages; and the last copy, with them
WITHOUT_SLURM, WITH_SLURM = "-without-slurm", "-with-slurm"


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One image that this repository builds."""

    name: str
    image: Reference
    context: Path
    dockerfile: Path  # the compose file if the Dockerfile is inline
    inline: bool  # `text` is not the content of a file
    text: str  # the Dockerfile's content
    target: str | None
    args: Mapping[str, str]  # the build arguments that its Dockerfile declares, with their values
    additional_contexts: tuple[tuple[str, str], ...]  # a sibling's or an external image is `docker-image://NAME`
    platform: str  # to build for, such as `linux/arm64`; "" for the engine's own
    origin: Path  # where the service is declared: the compose file, or its Dockerfile
    line: int
    reading: Reading
    external: tuple[ImageUse, ...] = ()  # the uses of external images
    edges: tuple[Edge, ...] = ()  # to the sibling services that it depends on
    health_check: tuple[str, ...] | None = None  # the compose file's, as in `compose.BuildEntry`
    in_compose: Reference | None = None  # the compose file's name for the image, which it gets after its build, too
    wrong_tags: tuple[Problem, ...] = ()  # siblings' images with another tag than this release's: it cannot be built

    @property
    def needs(self) -> tuple[str, ...]:
        """The sibling services that it depends on, in the order of their names."""
        return tuple(sorted({edge.name for edge in self.edges}))

    @property
    def build_with(self) -> tuple[str, ...]:
        """Those of them that run during its build."""
        return tuple(sorted({edge.name for edge in self.edges if edge.kind == "running"}))

    @property
    def uses_siblings(self) -> bool:
        """Whether its build uses the image of another service, which is in no registry."""
        return any(edge.kind == "image" for edge in self.edges)

    def place_of(self, image: Reference) -> Place | None:
        """Where an external image that its build needs is named first."""
        for use in self.external:
            if use.reached and use.image == image:
                return Place(path=self.origin if use.kind == "context" else self.dockerfile, line=use.line)
        return None

    def name_of(self, image: Reference) -> str:
        """The name that its files have for an external image, without a digest that is only locked."""
        return next((str(Reference.parse(use.name)) for use in self.external if use.image == image), str(image))

    @property
    def base_images(self) -> tuple[Reference, ...]:
        """The external images that its build needs, in the order of their names."""
        return tuple(sorted({use.image for use in self.external if use.reached}, key=str))


def with_images(service: Service, names: Sequence[tuple[ImageUse, str]]) -> Service:
    """Return the service with some images renamed in a copy of its Dockerfile."""
    if not names:
        return service
    contexts = {use.written: f"{IMAGE}{name}" for use, name in names if use.kind == "context"}
    in_text = [(use, name) for use, name in names if use.kind != "context"]
    return replace(
        service,
        text=with_names(service.text, in_text),
        inline=True,
        additional_contexts=tuple((name, contexts.get(name, place)) for name, place in service.additional_contexts),
    )
