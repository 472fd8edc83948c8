"""Expected failures. Each says what happened to what, why, and what to do next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from build_lib.invocation import as_typed
from build_lib.settings import masked


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A line of a file; line 0 is the whole file."""

    path: Path
    line: int = 0

    def below(self, *tops: Path | None) -> str:
        """The path, relative to the first of these directories that it is inside; as it is if it is in none."""
        inside = (self.path.relative_to(top) for top in tops if top and self.path.is_relative_to(top))
        return str(next(inside, self.path))


class BuildError(Exception):
    """A failure that a user can act on.

    `message` is one line for users. `hint`, if not empty, is the next step: a command or a setting. `place` is the line
    that failed, or that has to be changed, if there is one. Message and hint are without passwords.
    """

    def __init__(self, message: str, *, hint: str = "", place: Place | None = None) -> None:
        self.message = masked(message)
        self.hint = masked(hint)
        self.place = place
        super().__init__(self.message)

    def described(self, root: Path | None) -> dict[str, str | int | None]:
        """The error for programs. File (relative to `root` if it is inside) and line are None if they are unknown."""
        place = self.place
        return {
            "message": self.message,
            "hint": as_typed(self.hint),
            "file": place.below(root) if place else None,
            "line": (place.line or None) if place else None,
        }


class Incomplete(BuildError):
    """Part of the work failed and the rest was done: other tasks may go on, but the exit code is 1."""


class SettingsError(BuildError):
    """A setting or a flag has a value that cannot be used."""


class UsageError(BuildError):
    """A command line cannot be understood."""


class InvalidReference(BuildError):
    """A text is not a valid image reference or registry name."""


class EngineError(BuildError):
    """The Docker Engine cannot be reached, or refused a request."""


class NoEngine(EngineError):
    """No Docker Engine answers where one is expected."""


class EngineLost(EngineError):
    """The Docker Engine no longer answers. The run ends, because nothing else in it can work."""


class RegistryError(BuildError):
    """A registry refused a request, or could not be reached.

    `status` is the HTTP status of its response, 0 if there was none. `retry_after` is the wait in seconds that it asks
    for.
    """

    def __init__(self, message: str, *, hint: str = "", status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.retry_after = retry_after


WHERE_FROM = "check the network, or set PRIVATE_REGISTRY in .env to a registry that has the image"


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A source that did not provide an image, with its reason."""

    source: str
    reason: str


class Unavailable(BuildError):
    """No source has the image. `refusals` has the reason of each source, `tries` the number of tries."""

    def __init__(self, image: str, refusals: Sequence[Refusal], *, tries: int = 1) -> None:
        reasons = "; ".join(f"{refusal.source}: {refusal.reason}" for refusal in refusals)
        super().__init__(f"{image} is not available from any source ({reasons})", hint=WHERE_FROM)
        self.refusals = tuple(refusals)
        self.tries = tries


class BadBundle(BuildError):
    """A file is not a bundle, a part of one, or an inventory, or is damaged."""


class BuildFailed(BuildError):
    """A builder failed to build a service."""


class PackagesError(BuildError):
    """The Slurm packages are not in a state to be copied."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names what is written almost as the word is; "" if nothing is. Dashes in front count for nothing."""
    from difflib import get_close_matches  # noqa: PLC0415  # not imported for completion, which has to be fast

    names = {name.lstrip("-"): name for name in known}
    near = [names[name] for name in get_close_matches(word.lstrip("-"), names)]
    return f"did you mean {' or '.join(near)}?" if near else ""
