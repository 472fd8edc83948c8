"""The images that an engine has: their names, labels, sizes, platforms and layers."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from docker.errors import ImageNotFound

from build_lib.engine.sdk_errors import translated
from build_lib.errors import EngineError
from build_lib.reference import Reference


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image in the engine: its id, its labels, its size in bytes."""

    id: str
    labels: Mapping[str, str]
    size: int

    @classmethod
    def read(cls, item: Mapping[str, Any]) -> Self:
        """From an item of the engine's list."""
        return cls(id=item["Id"], labels=item.get("Labels") or {}, size=int(item.get("Size") or 0))


_CONFIG = (
    "Cmd Entrypoint Env ExposedPorts Healthcheck Labels OnBuild Shell StopSignal User Volumes WorkingDir".split()  # noqa: SIM905
)
_PLATFORM = ("Architecture", "Os", "Variant")


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """What an image runs as: its id, the test of its health check, and the TCP ports that it exposes."""

    id: str
    test: tuple[str, ...]  # () without a health check
    ports: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What an image gives to the builds that use it.

    `digest` is the same for two images with the same layers, settings and platform. It is not about when and how they
    were made, and it is the same in every engine, as the id is not.
    """

    digest: str
    triggers: bool  # whether it has ONBUILD instructions
    variables: frozenset[str]  # the names in its environment

    @classmethod
    def read(
        cls, settings: Mapping[str, Any], layers: Sequence[str], platform: Sequence[str], *, without_label: str
    ) -> Self:
        """From the settings of an image (image-spec, config.md, "config"), its layers' digests, and its platform.

        The platform has the architecture, the operating system and the variant, "" if it has none. One label does not
        count.
        """
        config = dict(settings)
        config["Labels"] = {name: text for name, text in (config.get("Labels") or {}).items() if name != without_label}
        parts = {name: config[name] for name in _CONFIG if config.get(name)}  # engines write what is empty differently
        parts |= {name: value for name, value in zip(_PLATFORM, platform, strict=True) if value}
        text = json.dumps([layers, parts], sort_keys=True)
        return cls(
            digest=f"sha256:{hashlib.sha256(text.encode()).hexdigest()}",
            triggers=bool(config.get("OnBuild")),
            variables=frozenset(variable.partition("=")[0] for variable in config.get("Env") or ()),
        )


class Images:
    """An engine's images. Methods may be called from several threads."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def by_name(self) -> dict[str, Image]:
        """All images, by each of their names in canonical form; one call, however many there are."""
        with translated("cannot list the engine's images"):
            listed = self._api.images()
        return {
            Reference.parse(name).canonical: Image.read(item)
            for item in listed
            for name in (*(item.get("RepoTags") or ()), *(item.get("RepoDigests") or ()))
            if "<none>" not in name
        }

    def dangling(self) -> dict[str, Image]:
        """The images that have lost their names and that no other image is based on, by id."""
        with translated("cannot list the engine's images"):
            return {item["Id"]: Image.read(item) for item in self._api.images(filters={"dangling": True})}

    def named_at(self, image: Reference) -> str:
        """When the image last got a name, else when it was made: a text that sorts by time.

        An image that was built again entirely from the builder's cache bears the time of its first build.
        """
        with translated(f"cannot look at {image}"):
            found = self._api.inspect_image(str(image))
        return max((found.get("Metadata") or {}).get("LastTagTime") or "", found.get("Created") or "")

    def is_for(self, image: Reference, platform: str) -> bool:
        """Whether the image is for the platform, such as `linux/arm64`; a variant counts only if both name one."""
        with translated(f"cannot look at {image}"):
            found = self._api.inspect_image(str(image))
        here = "/".join(filter(None, (found["Os"], found["Architecture"], found.get("Variant"))))
        return here == platform or here.startswith(f"{platform}/") or platform.startswith(f"{here}/")

    def program(self, image: Reference) -> Program:
        """What the image runs as.

        Raises:
            EngineError: there is no such image.
        """
        with translated(f"cannot look at {image}"):
            found = self._api.inspect_image(str(image))
        config = found.get("Config") or {}
        test = tuple((config.get("Healthcheck") or {}).get("Test") or ())
        exposed = (port.split("/") for port in config.get("ExposedPorts") or ())  # such as 80/tcp
        return Program(
            id=found["Id"],
            test=() if test[:1] == ("NONE",) else test,
            ports=tuple(sorted(int(number) for number, protocol in exposed if protocol == "tcp")),
        )

    def content(self, image: str, *, without_label: str) -> Content:
        """What the image of this name or id gives to the builds that use it; one label does not count.

        Raises:
            EngineError: there is no such image.
        """
        with translated(f"cannot look at {image}"):
            found = self._api.inspect_image(image)
        layers = found["RootFS"].get("Layers") or []
        platform = [found.get(name) or "" for name in _PLATFORM]
        return Content.read(found.get("Config") or {}, layers, platform, without_label=without_label)

    def layers(self, image: str) -> tuple[str, ...]:
        """The digests of the image's uncompressed layers, lowest first.

        Raises:
            EngineError: there is no such image.
        """
        with translated(f"cannot look at {image}"):
            return tuple(self._api.inspect_image(image)["RootFS"].get("Layers") or ())

    def layer_chains(self) -> set[tuple[str, ...]]:
        """The layers of every image, as `layers` gives them; one call for each image."""
        with translated("cannot list the engine's images"):
            ids = {item["Id"] for item in self._api.images(all=False)}
        chains = set()
        for id in ids:
            with suppress(EngineError):  # another process has removed it since
                chains.add(self.layers(id))
        return chains

    def tag(self, image: str, name: Reference) -> None:
        """Give an image (a name or an id) one more name."""
        with translated(f"cannot name {image} {name}"):
            self._api.tag(image, name.familiar, name.tag)

    def remove(self, image: Reference | str) -> None:
        """Remove a name, or the image of an id; the image goes with its last name. Not there is no error."""
        with translated(f"cannot remove {image}"):
            try:
                self._api.remove_image(str(image), noprune=True)
            except ImageNotFound:
                return
