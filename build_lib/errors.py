"""Expected failures: each says what happened, to what and why, and what to do next."""

from collections.abc import Sequence
from dataclasses import dataclass


class BuildError(Exception):
    """A failure that a user can do something about.

    `message` is one line for people; `hint`, if there is one, is the next step: a command or a setting.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Incomplete(BuildError):
    """Part of the work failed, and the rest was done: nothing else has to stop, but the exit code says so."""


class SettingsError(BuildError):
    """A setting or a flag has a value that cannot be used."""


class InvalidReference(BuildError):
    """A text is no valid image reference or registry name."""


class EngineError(BuildError):
    """The Docker Engine cannot be reached, or refused what was asked of it."""


class EngineLost(EngineError):
    """The Docker Engine that answered before does so no more: the run ends, for nothing else in it can work."""


class RegistryError(BuildError):
    """A registry refused something, or could not be asked.

    `status` is that of its answer, 0 if there was none; `retry_after` is how many seconds it asks to wait.
    """

    def __init__(self, message: str, *, hint: str = "", status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A source that did not give an image, and its own reason."""

    source: str
    reason: str


class Unavailable(BuildError):
    """No source has an image; `refusals` says why each did not give it, and `tries` how many it took to know."""

    def __init__(self, image: str, refusals: Sequence[Refusal], *, tries: int = 1) -> None:
        reasons = "; ".join(f"{refusal.source}: {refusal.reason}" for refusal in refusals)
        super().__init__(f"{image} is to be had from no source ({reasons})")
        self.refusals = tuple(refusals)
        self.tries = tries


class BadBundle(BuildError):
    """A bundle, a part of one, or an inventory that is damaged, or none at all."""


class BuildFailed(BuildError):
    """A builder could not build a service."""


class PackagesError(BuildError):
    """The Slurm packages cannot be copied as they are."""
