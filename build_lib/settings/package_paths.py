"""The entries of HUB_PACKAGES: from which directory of which service packages are copied, and to where."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self

PACKAGES = (".deb", ".rpm")
_FORM = "SERVICE:/DIRECTORY=HUB:/DIRECTORY, or HUB:/DIRECTORY"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServicePath:
    """A directory in a service's image, and which of its files are meant: packages, or those that match `pattern`."""

    service: str
    directory: str
    pattern: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `SERVICE:/DIRECTORY` or `SERVICE:/DIRECTORY/PATTERN`.

        Raises:
            ValueError: the text has another form.
        """
        service, _, path = text.partition(":")
        parts = path.split("/")
        pattern = parts.pop() if any(sign in parts[-1] for sign in "*?[") else ""
        directory = "/".join(parts).rstrip("/")
        if not service or not directory.startswith("/") or {".", ".."} & set(parts) or "=" in path:
            raise ValueError(f"{text!r} has another form than {_FORM}")
        return cls(service=service, directory=directory, pattern=pattern)

    def takes(self, name: str) -> bool:
        """Whether a file of the directory is meant."""
        return fnmatchcase(name, self.pattern) if self.pattern else name.endswith(PACKAGES)

    def __str__(self) -> str:
        """The path in the image."""
        return f"{self.directory}/{self.pattern}" if self.pattern else self.directory


@dataclass(frozen=True, kw_only=True, slots=True)
class PackagePath:
    """An entry: the packages at `source` go to `target`; without a source, those that are at the target already."""

    source: ServicePath | None
    target: ServicePath

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `SERVICE:/DIRECTORY=HUB:/DIRECTORY`, or `HUB:/DIRECTORY` alone.

        Raises:
            ValueError: the text has another form.
        """
        source, _, target = text.rpartition("=")
        entry = cls(source=ServicePath.parse(source) if source else None, target=ServicePath.parse(target))
        if entry.target.pattern or (entry.source and entry.source.service == entry.target.service):
            raise ValueError(f"{text!r} has another form than {_FORM}")
        return entry
