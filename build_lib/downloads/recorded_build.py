"""From what a build asked for to its recording, with the lines of the Dockerfile that asked."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from build_lib.downloads.additions import Additions
from build_lib.downloads.recording import Passed, Recording
from build_lib.downloads.steps import Step, asking_lines
from build_lib.downloads.ways import Event, Seen
from build_lib.repository import Service

_TOLD = 5  # lines about what was refused


class RecordedBuild:
    """A build that ended, and where each thing that it asked for was asked for.

    `path` is its Dockerfile, `recorder` the host of the recorder.
    """

    def __init__(self, service: Service, path: str, steps: Iterable[Step], seen: Seen, recorder: str) -> None:
        self._service = service
        self._path = path
        self._steps = list(steps)
        self._seen = seen
        self._recorder = recorder
        self._additions = Additions(service)

    def recording(self, release: str, fingerprint: str) -> Recording:
        """Its recording, for the image with this fingerprint."""
        return Recording(
            service=self._service.name,
            release=release,
            fingerprint=fingerprint,
            path=self._path,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            downloads=tuple(
                replace(item, lines=self._lines(item.url, moments)) for item, moments in self._seen.downloads
            ),
            passed=(*self._passed(), *self._additions.passed(self._steps, self._recorder)),
        )

    def refusals(self) -> list[str]:
        """What it asked for and did not get, one line each: `src/web/Dockerfile:7: https://…: not recorded`."""
        told = dict.fromkeys(self._refusal(event) for event in self._seen.events if event.kind != "passed")
        return list(told)[:_TOLD]

    def _refusal(self, event: Event) -> str:
        lines = " or ".join(map(str, self._lines(event.what, [event.moment])))
        place = f"{self._path}:{lines}" if lines else self._path
        return f"{place}: {event.what}: {event.why}"

    def _passed(self) -> Iterator[Passed]:
        moments: dict[tuple[str, str], list[float]] = {}
        for event in self._seen.events:
            if event.kind == "passed":
                moments.setdefault((event.what, event.why), []).append(event.moment)
        for (what, why), when in moments.items():
            yield Passed(what=what, why=why, lines=self._lines(what, when))

    def _lines(self, url: str, moments: Sequence[float]) -> tuple[int, ...]:
        return self._additions.lines(url) or asking_lines(self._service.text, self._steps, moments)
