"""Records of a service's builds. Without them, reasons are less exact and more files are read again."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from build_lib import state
from build_lib.errors import BuildError
from build_lib.repository import Context, Service, build_context, fingerprint
from build_lib.settings import Settings
from build_lib.units import is_time

INTERRUPTED = "its build was interrupted, or is still running"
_LAST = {
    "image": (str, None),
    "begun": (str, None),
    "unsure": ([str], None),
    "failed": (str, None),
    "failed_at": (is_time, None),
    "seconds": (float, int, None),
    "place": (str, None),
}
_FILES = {"context": (str, None), "files": ({str: str}, None)}


class Records:
    """The records of one service, in files below `.build/services`."""

    def __init__(self, service: Service, settings: Settings) -> None:
        directory = settings.state_dir / "services" / service.name
        self._service, self._own = service, settings.state_dir
        self._stamps, self._copied_stamps = directory / "stamps.json", directory / "copied-stamps.json"
        self._files = directory / "files.json"
        self._last = directory / "last.json"

    def look(self, patterns: Sequence[str] | None) -> Context:
        """The service's context as it is now, or what these patterns name of it."""
        stamps = self._stamps if patterns is None else self._copied_stamps
        return build_context.read(self._service, stamps, own=self._own, patterns=patterns)

    def last(self) -> Mapping[str, Any]:
        """How the last build ended."""
        return state.read(self._last, _LAST) or {}

    def files(self, label: fingerprint.Parts | None) -> fingerprint.Parts | None:
        """The context files that the image with this label was built from, or None if they are not known."""
        built = state.read(self._files, _FILES) or {}
        same = label is not None and built.get("context") == fingerprint.context(label)
        return built.get("files") if same else None

    def write_begun(self, image: str) -> None:
        """Record that a build begins while the service has `image`; a different one later is from that build.

        Until the build ends, it counts as interrupted. An earlier failure is no longer the last.
        """
        state.write(self._last, {"begun": image, **self.last(), "failed": INTERRUPTED, "failed_at": _now()})

    def seconds(self) -> float | None:
        """How many seconds the last successful build took; None if that is not known."""
        return self.last().get("seconds")

    def place(self) -> str:
        """Where the last successful build was; "" if that is not known, or if there was only one place."""
        return self.last().get("place") or ""

    def write_built(
        self, context: Context, digest: str | None, image: str, unsure: Sequence[str], seconds: float, place: str
    ) -> None:
        """Record a successful build at a place (Builder.place); `unsure` are the paths that changed during it."""
        built = {"context": digest, "files": dict(context.files)}
        state.write(self._files, built, compact=True)
        state.write(self._last, {"image": image, "unsure": list(unsure), "seconds": round(seconds, 3), "place": place})

    def write_failed(self, error: BuildError) -> None:
        """Record a failed build; what is recorded of the existing image, if any, is kept."""
        failed = error.message.partition("\n")[0]
        state.write(self._last, {**self.last(), "failed": failed, "failed_at": _now()})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
