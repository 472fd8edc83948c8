"""The recordings of an open bundle. They are checked to say the same as its listing."""

from collections.abc import Callable, Iterator
from pathlib import Path

from build_lib.bundle import carried, values
from build_lib.bundle.carried import Carried, ListedRecording
from build_lib.bundle.contents import NAME
from build_lib.bundle.members import OTHERS
from build_lib.downloads import Recording, recording
from build_lib.errors import BadBundle
from build_lib.registry import Descriptor
from build_lib.units import shortened


class Recordings:
    """The recordings of a bundle, which are read one at a time, because each may be large."""

    def __init__(
        self, path: Path, release: str, carried: Carried, chunks: Callable[[Descriptor], Iterator[bytes]]
    ) -> None:
        """`chunks` gives the bytes of a blob of the bundle, checked by its digest."""
        self._path = path
        self._release = release
        self._carried = carried
        self._chunks = chunks

    def __iter__(self) -> Iterator[Recording]:
        """Read each of them, in the order of the listing.

        Raises:
            BadBundle: one is damaged, or is no recording.
        """
        for item in self._carried.recordings:
            yield self._read(item)[1]

    def check(self) -> None:
        """Check that they are those of the listing, and that the content in the listing is what they refer to.

        Raises:
            BadBundle: they differ, or exceed the limits.
        """
        carried.check_size((item.size for item in self._carried.recordings), str(self._path))
        needed: set[str] = set()
        for item in self._carried.recordings:
            body, found = self._read(item)
            if carried.listed(found, body) != item or found.release != self._release:
                raise self._differs(f"the recording of {item.service}")
            for each in found.downloads:
                if each.blob and self._carried.content.get(each.blob.digest) != each.size:
                    raise self._differs(f"{shortened(each.url, 200)} in the recording of {item.service}")
                needed |= {each.blob.digest} if each.blob else set()
        if len(needed) < len(self._carried.content):
            raise self._differs("the recordings")

    def _differs(self, what: str) -> BadBundle:
        return BadBundle(f"{self._path} is not a bundle: {what} and {NAME} in it differ", hint=OTHERS)

    def _read(self, item: ListedRecording) -> tuple[bytes, Recording]:
        name = f"the recording of {shortened(item.service, 100)}"
        where = f"{name} in {self._path}"
        if item.size > values.LARGEST_DOCUMENT:
            raise BadBundle(f"{name} in {self._path} is too large: {item.size} bytes")
        body = b"".join(self._chunks(carried.blob(item.digest, item.size)))
        try:
            return body, recording.from_json(values.read_object(body, where))
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise BadBundle(f"{where} is damaged: {shortened(str(error))}", hint=OTHERS) from None
