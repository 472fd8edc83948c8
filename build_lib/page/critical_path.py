"""What the record of a run says of its timing: what each service waited for, and the critical path."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

Entry = Mapping[str, Any]  # an object of the record, as JSON gives it
_BUILD_STEP = 2
_MOMENT = 0.5  # seconds; shorter waits are this program's own overhead


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """How a state is shown: a symbol, because colour alone is lost in print, and the name of its style."""

    symbol: str
    style: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """When a service was built, in seconds since the run began.

    `ready` is when the build could have begun; `after` is the service that it waited for until then, "" for none.
    """

    began: float
    ended: float
    ready: float
    after: str

    @property
    def waited(self) -> float:
        """How long it waited for a free slot, in seconds."""
        return self.began - self.ready if self.began - self.ready >= _MOMENT else 0.0


_SIGNS = {
    "built": Sign(symbol="✓", style="built"),
    "up to date": Sign(symbol="=", style="same"),
    "failed": Sign(symbol="✗", style="failed"),
    "blocked": Sign(symbol="⊘", style="blocked"),
    "interrupted": Sign(symbol="■", style="idle"),
    "not begun": Sign(symbol="○", style="idle"),
}
_UNKNOWN = Sign(symbol="?", style="idle")


def sign(service: Entry) -> Sign:
    """The symbol and style of the service's state."""
    return _SIGNS.get(service["state"], _UNKNOWN)


def in_state(run: Entry, word: str) -> list[Entry]:
    """The services in this state."""
    return [service for service in run["services"] if service["state"] == word]


def needs(run: Entry) -> dict[str, list[str]]:
    """Each service with the services of this run that it depends on."""
    names = {service["name"] for service in run["services"]}
    return {service["name"]: [need for need in service["needs"] if need in names] for service in run["services"]}


def spans(run: Entry) -> dict[str, Span]:
    """When each service was built, for those whose build began, in the order in which they began."""
    times = {entry["name"]: _times(entry, run) for entry in run["services"] if entry["began"] is not None}
    first = _first(run, [began for began, _ in times.values()])
    wanted = needs(run)
    found = {name: _span(times, name, wanted[name], first) for name in times}
    return dict(sorted(found.items(), key=lambda item: item[1].began))


def _times(service: Entry, run: Entry) -> tuple[float, float]:
    """When a build began and ended; one without an end lasted until the run ended."""
    began, took = service["began"], service["seconds"]
    return began, began + took if took is not None else max(began, run["seconds"])


def _first(run: Entry, begun: Sequence[float]) -> float:
    """When the first build could begin."""
    step = [step["began"] for step in run["steps"] if step["number"] == _BUILD_STEP]
    return min([*step, *begun], default=0.0)


def _span(times: Mapping[str, tuple[float, float]], name: str, wanted: Sequence[str], first: float) -> Span:
    began, ended = times[name]
    last = max(((times[need][1], need) for need in wanted if need in times), default=(first, ""))
    return Span(began=began, ended=ended, ready=min(last[0], began), after=last[1])


def critical_path_of(run: Entry) -> tuple[list[str], float]:
    """The services, each depending on the one before, whose builds took longest in all; and how many seconds."""
    lasted = {name: span.ended - span.began for name, span in spans(run).items()}
    wanted = needs(run)
    best: dict[str, tuple[float, list[str]]] = {}
    for name in TopologicalSorter(wanted).static_order():
        took, chain = max((best[need] for need in wanted[name]), default=(0.0, []))
        best[name] = (took + lasted.get(name, 0.0), [*chain, name] if name in lasted else chain)
    took, chain = max(best.values(), default=(0.0, []))
    return chain, took


def stopped_by(run: Entry, name: str) -> list[str]:
    """The blocked services that depend on the failed service, directly or indirectly."""
    blocked = {service["name"]: service["blocked_by"] for service in in_state(run, "blocked")}
    found = {name}
    for other in TopologicalSorter(blocked).static_order():
        if found & set(blocked.get(other, ())):
            found.add(other)
    return [other for other in blocked if other in found]
