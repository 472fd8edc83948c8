"""What failed in a run: a line for each failure, and its details."""

from collections.abc import Iterator, Mapping

from build_lib.page import tables
from build_lib.page.critical_path import Entry, in_state, stopped_by
from build_lib.page.markup import Markup, tag


def lines(run: Entry, numbers: Mapping[str, int]) -> Iterator[Markup]:
    """A line for each failure, with a link to its details; for a service also the last line of its log."""
    for service in in_state(run, "failed"):
        link = tag("a", _headline(service), href=f"#failure-{numbers[service['name']]}")
        last = next((line for line in reversed(_log_lines(service)) if line.strip()), "")
        yield tag("li", link, *([tag("code", last)] if last else []))
    for number, item in missing(run):
        users = list(dict.fromkeys(need["needed_by"] for need in item["needed_by"]))
        link = tag("a", _unavailable(item), href=f"#missing-{number}")
        yield tag("li", link, f" (needed by {tables.some(users)})" if users else "")
    for number, failure in enumerate(_others(run)):
        yield tag("li", tag("a", _first_line(failure["message"]), href=f"#other-{number}"))


def articles(run: Entry, numbers: Mapping[str, int]) -> Iterator[Markup]:
    """The details of each failure: the next step, the end of the log, and what was not built because of it."""
    for service in in_state(run, "failed"):
        yield _article(f"failure-{numbers[service['name']]}", _headline(service), *_service(service, run))
    for number, item in missing(run):
        asked = [tag("h4", "Sources tried"), tables.refusals(item)] if item["refusals"] else []
        needed = [tag("h4", "Needed by"), tables.needed_by(item, numbers)] if item["needed_by"] else []
        yield _article(f"missing-{number}", _unavailable(item), *asked, *needed)
    for number, failure in enumerate(_others(run)):
        message = failure["message"]
        yield _article(f"other-{number}", _first_line(message), *_more(message), *_next(failure["hint"]))


def missing(run: Entry) -> list[tuple[int, Entry]]:
    """The dependency images that no source had, and their numbers in the page."""
    return [(number, item) for number, item in enumerate(run["dependencies"]) if item["source"] is None]


def _unavailable(item: Entry) -> str:
    return f"{item['image']} is not available from any source"


def _article(anchor: str, title: str, *content: Markup) -> Markup:
    return tag("article", tag("h3", title), *content, id=anchor)


def _headline(service: Entry) -> str:
    name, words = service["name"], _first_line(service["error"] or "")
    return words if name in words else f"{name}: {words or 'it failed'}"


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0].rstrip(": ")


def _log_lines(service: Entry) -> list[str]:
    """The end of the log as a terminal would show it: only the last version of a line that was overwritten."""
    return [line.rstrip("\r\n").rpartition("\r")[2] for line in service["tail"]]


def _service(service: Entry, run: Entry) -> Iterator[Markup]:
    log = _log_lines(service)
    yield from _more(service["error"] or "", log)
    yield from _next(service["hint"])
    stopped = stopped_by(run, service["name"])
    if stopped:
        yield tag("p", f"Not built because of it: {', '.join(stopped)}")
    if log:
        words = tag("summary", f"The end of its log, {tables.count(len(log), 'line')}")
        yield tag("details", words, tag("pre", "\n".join(log), tabindex="0"), open="")
    if service["log"]:
        yield tag("p", tables.log_link(service, "The whole log"))


def _others(run: Entry) -> list[Entry]:
    """The failures that are not shown as a service's own."""
    told = {service["error"] for service in run["services"]}
    return [failure for failure in run["failures"] if failure["message"] not in told]


def _more(message: str, log: list[str] | None = None) -> Iterator[Markup]:
    """The rest of a message of several lines, unless it is the end of the log, which is shown anyway."""
    rest = message.strip().partition("\n")[2].strip("\n")
    known = {line.strip() for line in log or ()}
    if rest and not {line.strip() for line in rest.split("\n")} <= known:
        yield tag("pre", rest)


def _next(hint: str | None) -> Iterator[Markup]:
    if hint:
        yield tag("p", tag("b", "Next: "), hint)
