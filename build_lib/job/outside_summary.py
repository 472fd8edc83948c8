"""What the builds of a run downloaded, in sum: for users, and for the record of the run."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from build_lib.downloads import Download, Event, Happened, Seen, host_of
from build_lib.units import number, size, some


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What the builds of a run asked for, by service; `enclosed` is whether they could reach no other network.

    Nothing is recorded of the services in `failed`.
    """

    replay: bool
    release: str
    enclosed: bool
    seen: Mapping[str, Sequence[Seen]]
    failed: Collection[str]

    @property
    def downloads(self) -> list[Download]:
        """All downloads that were recorded or replayed, each once."""
        counted = (each for name, each in self._each() if name in self.services)
        found = {(item.url, item.accept): item for each in counted for item, _ in each.downloads}
        return list(found.values())

    @property
    def services(self) -> set[str]:
        """The services whose downloads these are."""
        return set(self.seen) - (set() if self.replay else set(self.failed))

    @property
    def hosts(self) -> list[str]:
        """The hosts that they are from."""
        return sorted({host_of(item.url) for item in self.downloads})

    @property
    def requests(self) -> int:
        """How many requests there were."""
        return sum(each.requests for _, each in self._each())

    @property
    def size(self) -> int:
        """The size of all downloads in bytes."""
        return sum({item.sha256: item.size for item in self.downloads}.values())

    def events(self, kind: Happened) -> list[tuple[str, Event]]:
        """What happened of this kind, each once, with the service."""
        every = ((name, event) for name, each in self._each() for event in each.events)
        found = {(name, event.what): event for name, event in every if event.kind == kind}
        return [(name, event) for (name, _), event in sorted(found.items())]

    def _each(self) -> Iterator[tuple[str, Seen]]:
        return ((name, each) for name, builds in self.seen.items() for each in builds)

    def described(self) -> dict[str, Any]:
        """The summary for programs."""
        kinds: tuple[Happened, ...] = ("passed", "refused", "failed")
        return {
            "mode": "replay" if self.replay else "record",
            "release": self.release,
            "enclosed": self.enclosed,
            "requests": self.requests,
            "downloads": len(self.downloads),
            "bytes": self.size,
            "hosts": self.hosts,
            **{
                kind: [{"service": name, "what": event.what, "why": event.why} for name, event in self.events(kind)]
                for kind in kinds
            },
        }

    def lines(self) -> Iterator[str]:
        """Lines for users. What was refused to services that failed is told with their failures."""
        hosts, services = number(len(self.hosts), "host"), number(len(self.services), "service")
        not_built = f"{number(len(self.failed), 'service')} not built"
        what = f"{number(len(self.downloads), 'download')}, {size(self.size)}, from {hosts}, by {services}"
        if not self.replay:
            yield f"recorded for {self.release}: {what}" + (f"; {not_built}" if self.failed else "")
            passed = [f"{name}: {event.what}" for name, event in self.events("passed") if name in self.services]
            if passed:
                yield f"not recorded: {some(passed)} (./inv downloads shows the lines)"
            return
        served = f"{number(self.requests, 'request')}, {what}"
        if self.failed:
            yield f"closed room: not proved: {not_built}; {served}"
        elif self.enclosed:
            yield f"closed room: proved: {served}"
        else:
            yield f"closed room: not proved, because builds had another way out (./inv doctor): {served}"
        refused = [f"{name}: {event.what}" for name, event in self.events("refused") if name not in self.failed]
        if refused:
            yield f"refused, and done without: {some(refused)}"
