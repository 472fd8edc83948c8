"""What failed in a run, each failure once: what happened, the next step, the end of the log, what was not built."""

import re
from collections.abc import Iterator, Mapping

from build_lib.page import tables
from build_lib.page.critical_path import Entry, in_state, stopped_by
from build_lib.page.deciding_line import deciding_line
from build_lib.page.markup import Markup, escape, join, tag


def articles(run: Entry, numbers: Mapping[str, int]) -> Iterator[Markup]:
    """The failures: services, then images that no source had, with the services that lack only them, then others."""
    absent = missing(run)
    lacking = {name for _, item in absent for name in _lacking(item, run)}
    for service in in_state(run, "failed"):
        if service["name"] not in lacking:
            yield _article(f"failure-{numbers[service['name']]}", _headline(service), *_service(service, run))
    for number, item in absent:
        title = f"{item['image']} is not available from any source"
        yield _article(f"missing-{number}", title, *_image(item, run, numbers))
    for number, failure in enumerate(_others(run)):
        message = failure["message"]
        yield _article(f"other-{number}", _first_line(message), *_more(message), *_next(failure["hint"]))


def missing(run: Entry) -> list[tuple[int, Entry]]:
    """The dependency images that no source had, and their numbers in the page."""
    return [(number, item) for number, item in enumerate(run["dependencies"]) if item["source"] is None]


def _lacking(image: Entry, run: Entry) -> list[str]:
    """The services that failed without a build, because they need the image."""
    return [
        service["name"]
        for service in in_state(run, "failed")
        if service["log"] is None
        and image["image"] in service["base_images"]
        and image["image"] in re.split(r"[\s,()]+", service["error"])
    ]


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
    if not (service["log"] and service["log"] in (service["hint"] or "")):  # there is a link to it
        yield from _next(service["hint"])
    yield from _not_built(stopped_by(run, service["name"]))
    if log:
        words = tag("summary", f"The end of its log, {tables.count(len(log), 'line')}")
        yield tag("details", words, tag("pre", _marked(log), tabindex="0"), open="")
    if service["log"]:
        yield tag("p", tables.log_link(service, "The whole log"))


def _marked(log: list[str]) -> Markup:
    """The lines, with the one that says why the build failed marked."""
    deciding = deciding_line(log)
    lines = [tag("mark", line) if number == deciding else escape(line) for number, line in enumerate(log)]
    return Markup("\n".join(lines))


def _image(item: Entry, run: Entry, numbers: Mapping[str, int]) -> Iterator[Markup]:
    lacking = _lacking(item, run)
    hints = (service["hint"] for service in in_state(run, "failed") if service["name"] in lacking)
    yield from _next(next(hints, None))
    yield from _not_built([name for lacks in lacking for name in (lacks, *stopped_by(run, lacks))])
    if item["refusals"]:
        yield join(tag("h4", "Sources tried"), tables.refusals(item))
    if item["needed_by"]:
        yield join(tag("h4", "Needed by"), tables.needed_by(item, numbers))


def _not_built(names: list[str]) -> Iterator[Markup]:
    if names:
        yield tag("p", f"Not built because of it: {', '.join(dict.fromkeys(names))}")


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
