"""What the builds of a run downloaded, in sum: for users, and for the record of the run."""

from collections.abc import Mapping
from dataclasses import dataclass

from build_lib.downloads import Download, Event, Seen
from build_lib.units import number, size, some


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What the builds of a run downloaded, by service, and whether nothing else could be reached."""

    mode: str
    enclosed: bool
    seen: Mapping[str, Seen]

    @property
    def downloads(self) -> dict[tuple[str, str], Download]:
        """All downloads, by URL and Accept."""
        return {(item.url, item.accept): item for each in self.seen.values() for item, _ in each.downloads}

    def events(self, kind: str) -> list[tuple[str, Event]]:
        """What happened of this kind, with the service."""
        return [(name, event) for name, each in self.seen.items() for event in each.events if event.kind == kind]


def told(summary: Summary | None, release: str) -> list[str]:
    """Lines about what the builds of a run downloaded."""
    if summary is None:
        return []
    downloads = summary.downloads
    what = f"{number(len(downloads), 'download')}, {size(sum(item.size for item in downloads.values()))}"
    if summary.mode == "record":
        passed = sorted({f"{name}: {event.what}" for name, event in summary.events("passed")})
        lines = [f"recorded for {release}: {what}, by {number(len(summary.seen), 'service')}"]
        if passed:
            lines.append(f"not recorded: {some(passed)}; ./inv downloads shows the lines")
        return lines
    hosts = {item.url.split("/")[2] for item in downloads.values()}
    asked = sum(each.requests for each in summary.seen.values())
    said = f"{number(asked, 'request')}, {what}, of {number(len(hosts), 'host')}"
    refused = sorted({f"{name}: {event.what}" for name, event in summary.events("refused")})
    lines = [f"refused: {some(refused)}"] if refused else []
    if summary.enclosed:
        return [f"closed room: proved: {said}", *lines]
    return [f"closed room: {said}; not proved: builds had another way out (./inv doctor)", *lines]
