"""The entries of BUILDERS: where a builder is, and how buildx reaches it."""

import re
from dataclasses import dataclass
from typing import Literal, Self

Kind = Literal["daemon", "container", "kubernetes", "engine", "own"]

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_FORMS: tuple[tuple[Kind, str], ...] = (
    ("daemon", r"tcp://(?P<name>(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})"),
    ("container", rf"docker-container://(?P<name>{_NAME})"),
    ("kubernetes", rf"kubernetes://(?P<name>{_NAME}/{_NAME})"),
    ("engine", r"ssh://(?P<name>[A-Za-z0-9_.-]+(?:@[A-Za-z0-9_.-]+)?(?::[0-9]{1,5})?)"),
    ("engine", r"unix://(?P<name>/[A-Za-z0-9_./-]+)"),
    ("own", rf"(?P<name>{_NAME})"),
)
_ALLOWED = (
    "tcp://host:port, docker-container://NAME, kubernetes://NAMESPACE/NAME, ssh://user@host, unix:///PATH, "
    "or the name of a buildx builder or a docker context"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BuilderAddress:
    """A builder: a BuildKit daemon, in a container or in Kubernetes or not; a Docker Engine; or one that buildx knows.

    `name` is what it is called in all output: the address without its scheme.
    """

    kind: Kind
    text: str
    name: str

    @property
    def own(self) -> bool:
        """Whether it is the user's own, with a cache that other builds use too: a Docker Engine, or one by its name."""
        return self.kind in ("own", "engine")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one entry.

        Raises:
            ValueError: the text has no such form.
        """
        for kind, form in _FORMS:
            found = re.fullmatch(form, text)
            if found:
                return cls(kind=kind, text=text, name=found["name"])
        raise ValueError(f"{text!r} has another form than {_ALLOWED}")


def parse_all(texts: tuple[str, ...]) -> tuple[BuilderAddress, ...]:
    """Parse all entries.

    Raises:
        ValueError: one has no such form, or is there twice.
    """
    found = tuple(map(BuilderAddress.parse, texts))
    names = [address.name for address in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ValueError(f"each builder once, but {twice} is there twice")
    return found
