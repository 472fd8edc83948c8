"""Whether layers unpack to what the configs of their images say: an engine refuses to load those that do not.

A manifest names a layer by the digest of its compressed form, a config by that of its uncompressed form (`diff_ids`,
config.md of the OCI image specification). Nothing but unpacking the layer shows whether the two belong together.
"""

import hashlib
from collections.abc import Iterable, Sequence

from build_lib.engine import NotLoadable, load_plan
from build_lib.registry import IMAGE_CONFIGS, CannotUnpack, Manifest, is_sha256, unpacked


def diff_ids(manifest: Manifest, config: bytes) -> tuple[str, ...]:
    """The digests of an image's uncompressed layers, one for each layer; none for an artifact, which is not loaded.

    Raises:
        NotLoadable: the config does not list them.
    """
    if manifest.blobs[0].media_type not in IMAGE_CONFIGS:
        return ()
    found = load_plan.diff_ids_of(config)
    if not all(map(is_sha256, found)):
        raise NotLoadable("its config names no layers")
    if len(found) != len(manifest.blobs) - 1:
        raise NotLoadable("its config and its manifest differ in their layers")
    return found


class Layers:
    """The layers of images, and what the images' configs say that they unpack to. Safe to use from several threads.

    `problems` are the reasons why images cannot be loaded, as far as that is known.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._wanted: dict[str, dict[str, str]] = {}  # by the layer's digest, an image for each `diff_id`

    def add(self, image: str, manifest: Manifest, config: bytes) -> None:
        """Add the layers of an image, as its config describes them."""
        try:
            found = diff_ids(manifest, config)
        except NotLoadable as error:
            self.problems.append(f"{image}: {error.message}")
        else:
            self.expect(image, [layer.digest for layer in manifest.blobs[1:]], found)

    def expect(self, image: str, layers: Sequence[str], diff_ids: Sequence[str]) -> None:
        """Add the layers of an image, lowest first. Those of an artifact have no `diff_ids`."""
        for layer, diff_id in zip(layers, diff_ids, strict=bool(diff_ids)):
            self._wanted.setdefault(layer, {}).setdefault(diff_id, image)

    def unpack(self, layer: str, size: int, chunks: Iterable[bytes]) -> None:
        """Compare what the layer with this digest and size unpacks to, if it is one. Not all chunks may be read."""
        wanted = self._wanted.get(layer)
        if wanted is None:
            return
        try:
            found = unpacked_digest(chunks, size)
        except CannotUnpack as error:
            self.problems.append(f"{', '.join(wanted.values())}: the layer {layer} {error.message}")
            return
        for diff_id, image in wanted.items():
            if diff_id != found:
                text = f"{image}: the layer {layer} unpacks to {found}, but its config says {diff_id}"
                self.problems.append(text)


def unpacked_digest(chunks: Iterable[bytes], size: int) -> str:
    """The digest of the content of a layer, whose compressed form is `chunks` and has `size` bytes.

    Raises:
        CannotUnpack: it is damaged, or unpacks to more than is allowed for its size.
    """
    digest = hashlib.sha256()
    for piece in unpacked(chunks, size):
        digest.update(piece)
    return f"sha256:{digest.hexdigest()}"
