"""What stands between builds and everything outside: images aside, what a build downloads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from build_lib.build.output import Output
from build_lib.repository import Service


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What a build is given: build arguments, proxies among them, and the engine's network ("" for its own).

    The arguments may contain a token: they are passed by name, with their values in the environment. `secrets` are
    what no log may have.
    """

    arguments: Mapping[str, str] = field(default_factory=dict, repr=False)
    network: str = ""
    secrets: Sequence[str] = field(default=(), repr=False)


class Outside(Protocol):
    """What builds reach instead of everything outside. Called in the threads of builds."""

    def begin(self, service: Service) -> tuple[Service, Given]:
        """A build begins: return its service as it is to be built, and what the build is given."""

    def end(self, service: Service, fingerprint: str, output: Output, *, done: bool) -> Sequence[str]:
        """The build of an image with this fingerprint ended. Return what was refused to it, one line each.

        Raises:
            BuildError: what it downloaded cannot be kept.
        """


class Open:
    """Nothing stands in between."""

    def begin(self, service: Service) -> tuple[Service, Given]:
        """See Outside."""
        return service, Given()

    def end(self, _service: Service, _fingerprint: str, _output: Output, *, done: bool) -> Sequence[str]:
        """See Outside."""
        del done
        return ()
