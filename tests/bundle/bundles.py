"""Bundles of images made by hand, without a registry and without an engine."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

from build_lib.bundle import collect
from build_lib.bundle.carry import Carry
from build_lib.bundle.collect import Collected, variant_of
from build_lib.bundle.contents import Base
from build_lib.bundle.plan import Plan, plan_of
from build_lib.errors import BuildError
from build_lib.graph import Outcome
from build_lib.reference import Reference
from build_lib.registry import OCI_MANIFEST, Loadable, Manifest, digest_of, image_layout
from build_lib.settings import Settings
from tests.bundle.downloads import store_of
from tests.support.images import Made, layer, make


def gathered(name: str, *made: Made, top: Manifest | None = None) -> Outcome[Collected]:
    """An image as deps-save finds it; the first of `made` is for `docker load`."""
    manifests = ((top,) if top else ()) + tuple(each.manifest for each in made)
    loadable = Loadable(name=Reference.parse(name), manifests=manifests, image=made[0].manifest)
    variants = tuple(variant_of(each.manifest, each.blobs[0]) for each in made)
    return Outcome(name=name, value=collect.gathered(Reference.parse(name), loadable, variants, "registry.example"))


def missing(name: str, reason: str) -> Outcome[Collected]:
    return Outcome(name=name, error=BuildError(reason))


def plan(outcomes: Sequence[Outcome[Collected]], base: Base | None = None, carry: Carry | None = None) -> Plan:
    return plan_of(outcomes, base, Settings.load(Path(), environ={"IMAGE_TAG": "v1"}), carry)


def bundle(images: dict[str, Made], base: Base | None = None, carry: Carry | None = None) -> bytes:
    """The bytes of a bundle, with the downloads to carry."""
    blobs = {
        blob.digest: content
        for made in images.values()
        for blob, content in zip(made.manifest.blobs, made.blobs, strict=True)
    }
    planned = plan([gathered(name, made) for name, made in images.items()], base, carry)
    blobs |= {blob.digest: b"".join(carry.chunks(blob)) for blob in planned.others} if carry else {}
    made = image_layout.stream(
        planned.loadables,
        lambda blob: (blobs[blob.digest],),
        leave_out=planned.leave_out,
        documents=planned.documents,
        others=planned.others,
    )
    return b"".join(made)


def with_downloads(project: Path, images: dict[str, Made]) -> bytes:
    """The bytes of a bundle with all downloads of the release v1 in a project's store."""
    store = store_of(project)
    return bundle(images, carry=Carry.of(store, "v1", store.services("v1"), ()))


def members(content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return [(info, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]


def archive(files: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """A tar archive of any files, also such as no bundle has."""
    made = io.BytesIO()
    for info, content in files:
        made.write(info.tobuf(tarfile.GNU_FORMAT))
        made.write(content + bytes(-len(content) % tarfile.BLOCKSIZE))
    return made.getvalue() + bytes(2 * tarfile.BLOCKSIZE)


def odd(config: bytes) -> Made:
    """An image with another config."""
    content = layer(shared="shared")
    made = make([content])
    body = json.loads(made.manifest.body)
    body["config"].update(digest=digest_of(config), size=len(config))
    return Made(Manifest.read(json.dumps(body).encode(), OCI_MANIFEST), (config, content), "")
