"""The timeline of a run: a row for each step and each service that was built, with a bar for the time that it took.

A bar's position is a percentage of its row, so that the page fits a narrow screen.
"""

from collections.abc import Iterator, Mapping

from build_lib.page.critical_path import Entry, Span, critical_path_of, in_state, sign, spans
from build_lib.page.markup import Markup, join, tag
from build_lib.units import seconds

_MOST_TICKS = 5
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)
_LEGEND = (
    ("built", "built"),
    ("failed", "failed ✗"),
    ("needs", "waited for a dependency"),
    ("slot", "waited for a free slot"),
    ("critical", "critical path"),
)


def timeline(run: Entry, numbers: Mapping[str, int]) -> Markup:
    """The rows, then the services that have none, and why; `numbers` are the services' numbers in the page."""
    found, services = spans(run), {service["name"]: service for service in run["services"]}
    scale = _Scale(run, found)
    rows = [scale.step(step) for step in run["steps"]]
    rows += [scale.row(services[name], span, numbers[name]) for name, span in found.items()]
    drawn = [_legend(), tag("ol", scale.axis(), *rows, class_="timeline")] if rows else []
    return join(*drawn, *_nothing(run, found), *_skipped(run, numbers))


class _Scale:
    """Draws the rows of one run."""

    def __init__(self, run: Entry, found: Mapping[str, Span]) -> None:
        self.length = max([run["seconds"], *(span.ended for span in found.values()), 0.001])
        self.first = min((span.ready for span in found.values()), default=0.0)
        self.critical = critical_path_of(run)[0]
        self.jobs = run["jobs"]
        smallest = next((tick for tick in _TICKS if self.length / tick <= _MOST_TICKS), self.length / _MOST_TICKS)
        self.ticks = [smallest * number for number in range(1, int(self.length / smallest) + 1)]

    def row(self, service: Entry, span: Span, number: int) -> Markup:
        """The row of a service whose build began."""
        what, took, waits = sign(service), seconds(span.ended - span.began), list(self._waits(span))
        where = f" on {service['builder']}" if service["builder"] else ""
        told = [f"{service['name']} {service['state']}{where}: began at {seconds(span.began)}, took {took}", *waits]
        on_critical_path = service["name"] in self.critical
        svg = self._svg(
            "; ".join(told),
            self.bar("needs", self.first, span.ready, y=13, height=2),
            self.bar("slot", span.ready, span.ready + span.waited, y=9, height=10),
            self.bar(what.style, span.began, span.ended),
            self.bar("critical", span.began, span.ended, y=24, height=3) if on_critical_path else Markup(),
        )
        link = tag("a", service["name"], href=f"#service-{number}")
        name = tag("span", tag("span", what.symbol, aria_hidden="true"), " ", link)
        ended = took if service["state"] == "built" else f"{service['state']}, {took}"
        note = [tag("small", "; ".join(waits))] if waits else []
        return tag("li", name, svg, tag("span", ended), *note, data_service=number, class_=what.style)

    def _waits(self, span: Span) -> Iterator[str]:
        if span.after:
            yield f"waited for {span.after}"
        if span.waited:
            yield f"waited {seconds(span.waited)} for a free slot ({self.jobs} in all)"

    def step(self, step: Entry) -> Markup:
        """The row of one of build-all's steps."""
        began, took, name = step["began"], step["seconds"], f"step {step['number']}: {step['title']}"
        told = f"{name}, began at {seconds(began)}, took {seconds(took)}"
        svg = self._svg(told, self.bar("step", began, began + took))
        return tag("li", tag("span", name), svg, tag("span", seconds(took)), class_="stage")

    def axis(self) -> Markup:
        """The row of times below which the bars are drawn."""
        marks = [tag("text", seconds(tick), x=self._at(tick), y=12) for tick in self.ticks if tick < self.length * 0.95]
        return tag("li", tag("svg", *marks, width="100%", height=16), class_="axis", aria_hidden="true")

    def bar(self, style: str, began: float, ended: float, *, y: float = 5, height: float = 18) -> Markup:
        """A bar from one moment to another, wide enough to be visible; none for a wait of no length."""
        if ended <= began and style in ("needs", "slot"):
            return Markup()
        width = f"{max(100 * (ended - began) / self.length, 0.3):.3f}%"
        return tag("rect", x=self._at(began), y=y, width=width, height=height, class_=style)

    def _svg(self, title: str, *content: Markup) -> Markup:
        places = [self._at(tick) for tick in self.ticks]
        lines = [tag("line", x1=place, x2=place, y1=0, y2="100%") for place in places]
        return tag("svg", tag("title", title), *lines, *content, role="img", width="100%", height=28)

    def _at(self, moment: float) -> str:
        return f"{100 * moment / self.length:.3f}%"


def _legend() -> Markup:
    """What each kind of bar means."""
    heights = {"needs": (7, 2), "slot": (3, 10), "critical": (7, 3)}
    items = []
    for style, words in _LEGEND:
        y, height = heights.get(style, (1, 14))
        bar = tag("rect", x=1, y=y, width=26, height=height, class_=style)
        items.append(tag("li", tag("svg", bar, width=28, height=16, aria_hidden="true"), f" {words}"))
    return tag("ul", *items, class_="legend")


def _nothing(run: Entry, found: Mapping[str, Span]) -> Iterator[Markup]:
    if not run["services"]:
        yield tag("p", "There are no services to build.")
    elif not found:
        yield tag("p", "No build was started.")


def _skipped(run: Entry, numbers: Mapping[str, int]) -> Iterator[Markup]:
    """The services that were not built, and why."""
    items = [
        tag("li", _link(entry, numbers), f": depends on {', '.join(entry['blocked_by'])}")
        for entry in in_state(run, "blocked")
    ]
    if items:
        yield join(tag("h3", f"Blocked: {len(items)}"), tag("ul", *items))
    for words, entries in (
        ("Not begun when the run ended", in_state(run, "not begun")),
        ("Up to date", in_state(run, "up to date")),
    ):
        if entries:
            yield tag("h3", f"{words}: {len(entries)}")
            yield tag("ul", *(tag("li", _link(entry, numbers)) for entry in entries), class_="row")


def _link(service: Entry, numbers: Mapping[str, int]) -> Markup:
    return tag("a", service["name"], href=f"#service-{numbers[service['name']]}")
