"""The build registry as the place where images are: those that are built on, those of services, those built now.

A layout on this machine takes its place if there is none (`layout`). An image is built under no name. It is known by
its digest, to this run and by a record to the next one, until `write_names` gives it its name.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from build_lib import state
from build_lib.engine import Content, Image
from build_lib.errors import BuildFailed, RegistryError
from build_lib.fleet.layout import Layout
from build_lib.graph import run
from build_lib.reference import PrivateRegistry, Reference
from build_lib.registry import LARGEST, OCI_INDEX, Descriptor, Manifest, Registries, matches, source_chain, write_names
from build_lib.repository import IMAGE, Service, fingerprint
from build_lib.settings import Settings

_RECORD = {"registry": str, "digest": str}
_BUILDING = "building"  # a tag
_ATTESTATION = "unknown/"  # what the platforms of attestations in an index begin with


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """An image in the registry: its manifest and its config for the first of the platforms."""

    place: Reference
    top: str  # the digest of what the name stands for, which may be an index
    several: bool  # whether that is for several platforms
    manifest: Manifest
    config: Mapping[str, Any]
    config_bytes: bytes

    @property
    def layers(self) -> tuple[str, ...]:
        """The digests of its uncompressed layers, lowest first."""
        return tuple(self.config.get("rootfs", {}).get("diff_ids") or ())


class RegistryStore:
    """See build.Store and build.Images, of which it is both: it is asked anew each time. For several threads.

    `registries` give and take content; a layout does it for the `registry` that stands for it.
    """

    def __init__(
        self, registries: Registries | Layout, registry: PrivateRegistry, settings: Settings, platform: str
    ) -> None:
        self.platform = platform  # or several, separated by commas
        self._several = "," in platform
        self.registry = registry
        self._registries = registries
        self._settings = settings
        self._built: dict[str, str] = {}  # digests of this run, by the images' names
        self._stored: dict[str, Stored] = {}  # by digest
        self._digests: dict[str, str | None] = {}  # what names resolve to, of images that this run does not build

    def look(self, names: Collection[Reference] = ()) -> "RegistryStore":
        """See build.Store. Names are looked up at once, for each takes several round trips."""
        unknown = {name.canonical: name for name in names if name.canonical not in self._built.keys() | self._digests}
        # one that cannot be looked up now is an error where it is needed
        run(dict.fromkeys(unknown, ()), lambda key, _: self.stored(unknown[key]), jobs=self._settings.pulls_at_once)
        return self

    def take(self, service: Service) -> str:
        """See build.Store. The digest is recorded for the next run."""
        image = self.image(service.image)
        return image.id if image else ""

    def name(self, _service: Service) -> None:
        """See build.Store: names are written last, by `write_names`."""

    def check(self) -> None:
        """See build.Store: each request tells by itself."""

    def image(self, name: Reference) -> Image | None:
        """See build.Images."""
        stored = self.stored(name)
        if stored is None:
            return None
        id = stored.top if self._several else stored.manifest.blobs[0].digest
        labels = (stored.config.get("config") or {}).get("Labels") or {}
        return Image(id=id, labels=labels, size=sum(blob.size for blob in stored.manifest.blobs))

    def name_of(self, image: Reference) -> Reference | None:
        """See build.Images."""
        return image if self.digest(image) else None

    def content(self, name: Reference) -> Content | None:
        """See build.Images."""
        stored = self.stored(name)
        if stored is None:
            return None
        config = stored.config
        platform = [str(config.get(part) or "") for part in ("architecture", "os", "variant")]
        content = Content.read(config.get("config") or {}, stored.layers, platform, without_label=fingerprint.LABEL)
        return replace(content, digest=stored.top) if self._several else content

    def context(self, image: Reference) -> str:
        """Where builders find an image that is here, by its digest, as a build context.

        Raises:
            RegistryError: it is not here.
        """
        place = self.by_digest(image)
        if isinstance(self._registries, Layout):
            return f"oci-layout://{self._registries.directory}@{place.digest}"
        return f"{IMAGE}{place}"

    @property
    def is_registry(self) -> bool:
        """Whether it is one, and no layout."""
        return not isinstance(self._registries, Layout)

    def output(self, image: Reference, *, by_digest: bool) -> str:
        """Where builders put an image, as buildx's `--output` takes it.

        A builder that cannot push `by_digest` pushes under a tag that stands for whatever was built last.

        Raises:
            BuildFailed: this builder cannot put it there.
        """
        if isinstance(self._registries, Layout):
            if not by_digest:
                hint = "set BUILD_REGISTRY or PRIVATE_REGISTRY, or leave BUILDERS empty"
                raise BuildFailed(f"{image} is not built: a Docker Engine as a builder needs a registry", hint=hint)
            return f"type=oci,tar=false,dest={self._registries.directory}"
        place = self.place(image)
        insecure = ",registry.insecure=true" if place.host in self._settings.insecure_registries else ""
        name = f"{place.repository},push-by-digest=true" if by_digest else f"{place.repository}:{_BUILDING}"
        return f"type=image,name={name},push=true{insecure}"

    def by_digest(self, image: Reference) -> Reference:
        """The place of an image that is here, by its digest.

        Raises:
            RegistryError: it is not here.
        """
        digest = self.digest(image)
        if digest is None:
            raise RegistryError(f"{self.registry} does not have {image}")
        return replace(self.place(image), tag=None, digest=digest)

    def place(self, image: Reference) -> Reference:
        """The image's name in the registry."""
        return image if self.registry.holds(image) else self.registry.place(image)

    def digest(self, image: Reference) -> str | None:
        """What the image's name stands for: what this run has built, else what the last one built, else the registry's.

        Raises:
            RegistryError: the registry cannot be asked.
        """
        key = image.canonical
        if key in self._built:
            return self._built[key]
        if key not in self._digests:
            self._digests[key] = self._recorded(image) or self._resolved(image)
        return self._digests[key]

    def put(self, image: Reference, digest: str) -> None:
        """A service's image was built: the name stands for this digest from now on, here and in the next run."""
        self.hold(image, digest)
        record = {"registry": str(self.registry), "digest": digest}
        state.write(self._record(image), record)

    def hold(self, name: Reference, digest: str) -> None:
        """Let a name stand for a digest in this run."""
        self._built[name.canonical] = digest

    def forget(self, name: Reference) -> None:
        """Let a name stand for nothing any more in this run."""
        self._built.pop(name.canonical, None)

    def stored(self, image: Reference) -> Stored | None:
        """The image, if it is here.

        Raises:
            RegistryError: the registry cannot be asked, or has something else under this name.
        """
        digest = self.digest(image)
        if digest is None:
            return None
        if digest not in self._stored:
            self._stored[digest] = self._read(replace(self.place(image), tag=None, digest=digest))
        return self._stored[digest]

    def put_index(self, image: Reference, digests: Mapping[str, str]) -> None:
        """A service's image was built for several platforms, each under its digest: the name stands for all of them.

        Raises:
            RegistryError: the registry refused the index.
        """
        place, listed = self.place(image), []
        for platform, digest in digests.items():
            manifest = self._registries.manifest(place, digest)
            names = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
            listed.append({**manifest.descriptor.to_json(), "platform": names})
        content = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
        index = Manifest.read(json.dumps(content, separators=(",", ":")).encode(), OCI_INDEX)
        self._registries.put_manifest(place, index.digest, index)
        self.put(image, index.digest)

    def write_names(self, images: Iterable[Reference]) -> list[Reference]:
        """Let the names of these images stand for what they are known by; return those that had to be written.

        Raises:
            RegistryError: the registry refused one.
        """
        written = []
        for image in images:
            place, digest = self.place(image), self.digest(image)
            before = self._registries.resolve(place)
            if digest is None:
                continue
            if before is None or before.digest != digest:
                manifest = self._registries.manifest(place, digest)
                write_names(self._registries, [place], manifest, occupied=[place] if before else [])
                written.append(place)
            record = self._record(image)
            with state.writing(record):  # from now on, the name itself tells, also if another machine writes it
                record.unlink(missing_ok=True)
        return written

    def _record(self, image: Reference) -> Path:
        return _records(self._settings) / f"{_file_name(image)}.json"

    def _recorded(self, image: Reference) -> str | None:
        """What the last run built under this name, if the registry still has it."""
        record = state.read(self._record(image), _RECORD)
        if not record or record["registry"] != str(self.registry):
            return None
        found = self._registries.resolve(replace(self.place(image), tag=None, digest=record["digest"]))
        return found.digest if found else None

    def _resolved(self, image: Reference) -> str | None:
        for place in self._places(image):
            found = self._registries.resolve(place)
            if found is not None:
                return found.digest
        return None

    def _places(self, image: Reference) -> Iterator[Reference]:
        if self.registry.holds(image):
            yield image
        yield from source_chain.private(image, self.registry, self._settings.image_tag)

    def _read(self, place: Reference) -> Stored:
        manifest = self._registries.manifest(place, place.digest or "")
        platforms = [item.platform for item in manifest.manifests if not item.platform.startswith(_ATTESTATION)]
        if manifest.manifests:
            listed = self._for_platform(place, manifest.manifests)
            manifest = self._registries.manifest(place, listed.digest)
        config = manifest.blobs[0]
        if config.size > LARGEST:
            raise RegistryError(f"{place} has a config that is too large: {config.size} bytes")
        content = b"".join(self._registries.blob(place, config))
        return Stored(
            place=place,
            top=place.digest or "",
            several=len(platforms) > 1,
            manifest=manifest,
            config=_object(content, place),
            config_bytes=content,
        )

    def _for_platform(self, place: Reference, listed: Sequence[Descriptor]) -> Descriptor:
        """The image of an index that counts: for the first platform, or else the first one, which is out of date."""
        first = self.platform.partition(",")[0]
        images = [item for item in listed if not item.platform.startswith(_ATTESTATION)]
        if not images:
            raise RegistryError(f"{place} has no images")
        return next((item for item in images if matches(item.platform, first)), images[0])


def _object(content: bytes, place: Reference) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("rootfs", {}), dict):
        raise RegistryError(f"{place} has a config that is no image's")
    return found


def records_of_others(images: Iterable[Reference], settings: Settings) -> list[Path]:
    """The records of built images that are none of these, whatever the tags."""
    kept = tuple(_file_name(image).removesuffix(image.tag or "") for image in images)
    return [path for path in sorted(_records(settings).glob("*.json")) if not path.name.startswith(kept)]


def _records(settings: Settings) -> Path:
    return settings.state_dir / "images-built"


def _file_name(image: Reference) -> str:
    return image.canonical.replace("/", "_").replace(":", "_")
