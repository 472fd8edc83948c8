"""From what a build asked for to its recording, with the lines of the Dockerfile that asked."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from build_lib.downloads.additions import Additions
from build_lib.downloads.recording import Download, Passed, Recording
from build_lib.downloads.steps import Step, asking_lines
from build_lib.downloads.ways import Event, Seen
from build_lib.repository import Service

_TOLD = 5  # lines about what was refused


class RecordedBuild:
    """A build that ended, and where each thing that it asked for was asked for.

    `path` is its Dockerfile, `recorder` the host of the recorder. For several platforms, and if a builder is lost, a
    service is built several times in a run.
    """

    def __init__(self, service: Service, path: str, steps: Iterable[Step], seen: Seen, recorder: str) -> None:
        self.service = service
        self.path = path
        self.seen = seen
        self._steps = list(steps)
        self._recorder = recorder
        self._additions = Additions(service)

    def downloads(self) -> Iterator[Download]:
        """What it got."""
        for item, moments in self.seen.downloads:
            yield replace(item, lines=self._lines(item.url, moments))

    def passed(self) -> Iterator[Passed]:
        """What it got in ways that cannot be recorded."""
        moments: dict[tuple[str, str], list[float]] = {}
        for event in self.seen.events:
            if event.kind == "passed":
                moments.setdefault((event.what, event.why), []).append(event.moment)
        for (what, why), when in moments.items():
            yield Passed(what=what, why=why, lines=self._lines(what, when))
        yield from self._additions.passed(self._steps, self._recorder)

    def refusals(self) -> list[str]:
        """What it asked for and did not get, one line each: `src/web/Dockerfile:7: https://…: not recorded`."""
        told = dict.fromkeys(self._refusal(event) for event in self.seen.events if event.kind != "passed")
        return list(told)[:_TOLD]

    def _refusal(self, event: Event) -> str:
        lines = " or ".join(map(str, self._lines(event.what, [event.moment])))
        place = f"{self.path}:{lines}" if lines else self.path
        return f"{place}: {event.what}: {event.why}"

    def _lines(self, url: str, moments: Sequence[float]) -> tuple[int, ...]:
        return self._additions.lines(url) or asking_lines(self.service.text, self._steps, moments)


def recording(builds: Sequence[RecordedBuild], release: str, fingerprint: str) -> Recording:
    """What all builds of a service in a run got, for the image with this fingerprint."""
    service, path = builds[0].service.name, builds[0].path
    found: dict[tuple[str, str], Download] = {}
    for item in (item for build in builds for item in build.downloads()):
        lines = found[item.url, item.accept].lines if (item.url, item.accept) in found else ()
        found[item.url, item.accept] = replace(item, lines=tuple(sorted({*lines, *item.lines})))
    return Recording(
        service=service,
        release=release,
        fingerprint=fingerprint,
        path=path,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        downloads=tuple(found.values()),
        passed=tuple(dict.fromkeys(each for build in builds for each in build.passed())),
    )
