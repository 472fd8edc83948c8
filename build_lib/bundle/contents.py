"""The listing of a bundle (`build-lib.json`), the inventory of a site, and the layers that a delta can leave out.

Both files are JSON objects with their kind in `build-lib` and the version of their format in `format`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal, TypeVar

from build_lib.bundle import carried, values
from build_lib.bundle.carried import Carried
from build_lib.errors import BadBundle, InvalidReference
from build_lib.foreign import on_one_line
from build_lib.reference import Reference, is_tag
from build_lib.units import shortened

T = TypeVar("T")
Kind = Literal["engine", "registry", "bundle"]

NAME = "build-lib.json"
_FORMAT = 1
_WITH_DOWNLOADS = 2  # the format of a bundle that carries them: earlier versions of this program do not read it


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One manifest of an image: for a platform, or of another kind, such as an attestation.

    `layers` and `diff_ids` are the digests of its compressed and uncompressed layers, lowest first. Either is empty if
    it is not known.
    """

    layers: tuple[str, ...]
    diff_ids: tuple[str, ...]
    platform: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """An image in a bundle."""

    image: Reference
    digest: str
    media_type: str
    size: int  # bytes of all its blobs and manifests, including those left out
    source: str  # where it came from: a registry's host, or `engine`
    service: bool  # whether the repository built it
    variants: tuple[Variant, ...]
    locked: bool = False  # by images.lock: its digest is not written where it is named, so that it needs its tag, too
    not_loaded: str = ""  # the media type of a layer that `docker load` into a classic store rejects

    @property
    def name(self) -> str:
        """The name in its short form."""
        return str(self.image)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A layer that was left out because the site has it, in the image `held_by`."""

    digest: str
    size: int
    held_by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """The content of `build-lib.json`."""

    release: str
    images: tuple[Listed, ...]
    missing: Mapping[str, str]  # images that were not available when the bundle was made, and why
    since: str = ""  # the name of the base of a delta
    left_out: tuple[LeftOut, ...] = ()
    downloads: Carried | None = None  # None if it was saved without

    def to_bytes(self) -> bytes:
        """The listing as JSON."""
        content: dict[str, Any] = {
            "build-lib": "bundle",
            "format": _WITH_DOWNLOADS if self.downloads else _FORMAT,
            "version": version("build-lib"),
            "release": self.release,
            "images": [_listed_json(item) for item in self.images],
            "missing": dict(self.missing),
            "since": self.since,
            "left_out": [{"digest": item.digest, "size": item.size, "held_by": item.held_by} for item in self.left_out],
        }
        if self.downloads:
            content["downloads"] = carried.as_json(self.downloads)
        return values.to_bytes(content, "the listing of the bundle")

    @classmethod
    def read(cls, content: bytes, where: str) -> "Listing":
        """Read a listing from JSON; `where` names it in messages.

        Raises:
            BadBundle: it is not a listing, or was written by a later version of this program.
        """
        return _read(content, where, "bundle", _listing)


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """The layers, and the content of downloads, that a delta can expect at a site.

    An engine is described by the chains of its uncompressed layers, a registry by the digests of its blobs, a bundle
    that was loaded there by both.
    """

    kind: Kind
    name: str  # as shown to users
    images: tuple[tuple[str, Variant], ...]
    downloads: tuple[str, ...] = ()  # digests of content

    def to_bytes(self) -> bytes:
        """The inventory as JSON."""
        images = [{"image": image, **_variant_json(variant)} for image, variant in self.images]
        return values.to_bytes(
            {
                "build-lib": "inventory",
                "format": _FORMAT,
                "version": version("build-lib"),
                "of": self.kind,
                "name": self.name,
                "images": images,
                "downloads": list(self.downloads),
            },
            "the inventory",
        )

    @classmethod
    def of_bundle(cls, listing: Listing, name: str) -> "Base":
        """The base of a site that has loaded this bundle."""
        images = tuple((item.name, variant) for item in listing.images for variant in item.variants)
        downloads = tuple(listing.downloads.content) if listing.downloads else ()
        return cls(kind="bundle", name=on_one_line(name), images=images, downloads=downloads)

    @classmethod
    def read(cls, content: bytes, where: str) -> "Base":
        """Read an inventory, or the `build-lib.json` of a bundle.

        Raises:
            BadBundle: it is neither.
        """
        found = values.read_object(content, where)
        if found.get("build-lib") == "bundle":
            return cls.of_bundle(Listing.read(content, where), where)
        return _read(content, where, "inventory", _base)

    def held(self, variants: Iterable[Variant]) -> dict[str, str]:
        """The digests of the layers that can be left out, each with an image that has the layer at the site.

        A layer is left out only if every image that uses it can do without: an engine reuses a layer only on top of
        the same lower layers (Docker 20.10).
        """
        by_chain = {
            each.diff_ids[:depth]: image for image, each in self.images for depth in range(1, len(each.diff_ids) + 1)
        }
        by_digest = {digest: image for image, each in self.images for digest in each.layers}
        held: dict[str, str] = {}
        wanted: set[str] = set()
        for variant in variants:
            for depth, digest in enumerate(variant.layers, 1):
                chain = variant.diff_ids[:depth] if len(variant.diff_ids) == len(variant.layers) else ()
                found = [by_digest.get(digest)] if self.kind != "engine" else []
                found += [by_chain.get(chain)] if self.kind != "registry" else []
                if all(found):
                    held[digest] = found[0] or ""
                else:
                    wanted.add(digest)
        return {digest: image for digest, image in held.items() if digest not in wanted}


def _listed_json(item: Listed) -> dict[str, Any]:
    return {
        "image": item.name,
        "digest": item.digest,
        "media_type": item.media_type,
        "size": item.size,
        "source": item.source,
        "service": item.service,
        "not_loaded": item.not_loaded,
        "variants": [_variant_json(variant) for variant in item.variants],
        **({"locked": True} if item.locked else {}),
    }


def _variant_json(variant: Variant) -> dict[str, Any]:
    return {"platform": variant.platform, "layers": list(variant.layers), "diff_ids": list(variant.diff_ids)}


def _read(content: bytes, where: str, kind: str, build: Callable[[dict[str, Any]], T]) -> T:
    found = values.read_object(content, where)
    if found.get("build-lib") != kind:
        what = (
            "neither an inventory nor the build-lib.json of a bundle"
            if kind == "inventory"
            else f"not that of a {kind}"
        )
        raise BadBundle(f"{where} is {what}", hint=values.WRITERS)
    supported = (_FORMAT, _WITH_DOWNLOADS) if kind == "bundle" else (_FORMAT,)
    if found.get("format") not in supported:
        text = f"{where} has the format {values.shown(found.get('format'))}; this program supports {supported[-1]}"
        raise BadBundle(
            text,
            hint=f"it was written by build-lib {values.shown(found.get('version'))}: use that version or a newer one",
        )
    try:
        return build(found)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidReference) as error:
        raise BadBundle(f"{where} is damaged: {shortened(str(error))}") from None


def _listing(found: dict[str, Any]) -> Listing:
    release = values.text(found["release"])
    if not is_tag(release):
        raise ValueError(f"the release {values.shown(release)} is not a valid tag")
    images = tuple(_listed(item) for item in found["images"])
    names = [item.image.canonical for item in images]
    if len(set(names)) < len(names):
        raise ValueError("an image is listed twice")
    return Listing(
        release=release,
        images=images,
        missing={values.text(image): values.text(reason) for image, reason in found["missing"].items()},
        since=values.text(found["since"]),
        left_out=tuple(_left_out(item) for item in found["left_out"]),
        downloads=carried.from_json(found["downloads"]) if found["format"] == _WITH_DOWNLOADS else None,
    )


def _left_out(item: Mapping[str, Any]) -> LeftOut:
    digest, size = values.digest(item["digest"]), values.size(item["size"])
    return LeftOut(digest=digest, size=size, held_by=values.text(item["held_by"]))


def _listed(item: Mapping[str, Any]) -> Listed:
    image, digest = Reference.parse(values.text(item["image"])), values.digest(item["digest"])
    if image.digest and image.digest != digest:
        raise ValueError(f"{image} is listed with the digest {digest}")
    return Listed(
        image=image,
        digest=digest,
        media_type=values.text(item["media_type"]),
        size=values.size(item["size"]),
        source=values.text(item["source"]),
        service=bool(item["service"]),
        locked=bool(item.get("locked")) and image.digest is not None and image.tag is not None,
        not_loaded=values.text(item["not_loaded"]),
        variants=tuple(map(_variant, item["variants"])),
    )


def _base(found: dict[str, Any]) -> Base:
    kind = found["of"]
    if kind not in ("engine", "registry"):
        raise ValueError(f"it is an inventory of {values.shown(kind)}, not of an engine or a registry")
    images = tuple((values.text(item["image"]), _variant(item)) for item in found["images"])
    downloads = tuple(map(values.digest, values.list_of(found.get("downloads", []))))
    return Base(kind=kind, name=values.text(found["name"]), images=images, downloads=downloads)


def _variant(item: Mapping[str, Any]) -> Variant:
    layers, diff_ids = (tuple(map(values.digest, values.list_of(item[key]))) for key in ("layers", "diff_ids"))
    return Variant(platform=values.text(item["platform"]), layers=layers, diff_ids=diff_ids)
