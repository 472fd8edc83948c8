"""The page about a run, for a browser: one file that needs neither a network nor a server."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from build_lib.page import failures, tables
from build_lib.page.critical_path import Entry, critical_path_of, in_state, spans
from build_lib.page.graph_drawing import alone, drawing
from build_lib.page.markup import Markup, join, tag
from build_lib.page.timeline import timeline
from build_lib.units import seconds, size

_HERE = Path(__file__).parent
_DIGITS = 12  # of a commit


def run_page(run: Mapping[str, Any]) -> str:
    """The HTML document made from the record of a run (`last-run.json`); it links to the logs next to it."""
    numbers = {service["name"]: number for number, service in enumerate(run["services"])}
    failed = join(*failures.articles(run, numbers))
    sections = [
        ("failures", "What failed", failed),
        ("summary", "Summary", _summary(run)),
        ("timeline", "Timeline", timeline(run, numbers)),
        ("graph", "Dependency graph", _graph(run, numbers)),
        ("services", "Services", tables.services(run, numbers)),
        ("images", "Dependency images", tables.dependencies(run, numbers)),
    ]
    shown = [section for section in sections if section[2]]
    links = [tag("li", tag("a", title, href=f"#{anchor}")) for anchor, title, _ in shown]
    body = tag(
        "body",
        tag("header", _heading(run)),
        tag("nav", tag("ul", *links), aria_label="Parts of this page"),
        tag("main", *(_section(*section) for section in shown)),
        tag("script", _file("page.js")),
    )
    return f"<!doctype html>\n{tag('html', _head(run), body, lang='en')}\n"


def _head(run: Entry) -> Markup:
    sign, words = _headline(run)
    style = _file("page.css")
    rules = f"default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src {_hash(style)}; "
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=f"{rules}script-src {_hash(_file('page.js'))}"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{sign} {words}: {run['command']} {run['tag']}"),
        tag("style", style),
    )


def _file(name: str) -> Markup:
    """A part of the page, from a file next to this module."""
    return Markup((_HERE / name).read_text(encoding="utf-8"))


def _hash(content: str) -> str:
    """The content's hash source expression for a Content-Security-Policy (CSP level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _section(anchor: str, title: str, content: Markup) -> Markup:
    return tag("section", tag("h2", title, id=f"{anchor}-title"), content, id=anchor, aria_labelledby=f"{anchor}-title")


def _headline(run: Entry) -> tuple[str, str]:
    """A symbol, and the result in a few words."""
    failed = [service["name"] for service in in_state(run, "failed")]
    if run["result"] == "interrupted":
        return "■", f"Interrupted after {seconds(run['seconds'])}"
    if run["result"] == "failed":
        return "✗", f"Failed: {tables.some(failed)}" if failed else "Failed"
    if not run["services"]:
        return "✓", "Nothing to build"
    built = len(in_state(run, "built"))
    return "✓", f"Built {built} of {len(run['services'])} services" if built else "Everything was up to date"


def _heading(run: Entry) -> Markup:
    """The result, and before it which release of which commit was built, by which command, and when."""
    symbol, words = _headline(run)
    release = join("Release ", tag("b", run["tag"]), *_commit(run))
    return tag(
        "hgroup",
        tag("p", release, " · ", tag("code", run["command"]), " · ", _when(run)),
        tag("h1", tag("span", symbol, aria_hidden="true"), f" {words}", class_=run["result"]),
    )


def _commit(run: Entry) -> Iterator[str]:
    if run["commit"]:
        changes = " with uncommitted changes" if run["uncommitted"] else ""
        yield join(", commit ", tag("code", run["commit"][:_DIGITS], title=run["commit"]), changes)


def _summary(run: Entry) -> Markup:
    """The main facts."""
    facts = [join(tag("dt", name), tag("dd", fact)) for name, fact in _facts(run)]
    return tag("dl", *(tag("div", fact) for fact in facts))


def _when(run: Entry) -> Markup:
    return tag("time", run["began"].replace("T", " ").replace("+00:00", " UTC"), datetime=run["began"])


def _facts(run: Entry) -> Iterator[tuple[str, str]]:
    path, took = critical_path_of(run)
    states = ("built", "up to date", "failed", "interrupted", "blocked", "not begun")
    counts = [(len(in_state(run, state)), state) for state in states]
    yield "Time", seconds(run["seconds"])
    yield "Services", ", ".join(f"{count} {state}" for count, state in counts if count) or "none"
    if path:
        each = {name: seconds(span.ended - span.began) for name, span in spans(run).items()}
        yield "Critical path", f"{seconds(took)}: " + " → ".join(f"{name} ({each[name]})" for name in path)
    waited = [span.waited for span in spans(run).values() if span.waited]
    if waited:
        yield (
            "Waited for a free slot",
            f"{tables.count(len(waited), 'service')}, {seconds(sum(waited))} in all, with {run['jobs']} at once",
        )
    yield "Dependency images", _images(run)
    if run["packages"]:
        yield "Packages", run["packages"]
    if run["downloads"]:
        yield "Downloads", _downloads(run["downloads"])
    yield "Builder", run["builder"] or "nothing had to be built"
    yield "Engine", f"{run['engine']}, {run['platform']}"


def _downloads(found: Entry) -> str:
    done = "replayed" if found["mode"] == "replay" else "recorded"
    hosts = tables.count(len(found["hosts"]), "host")
    return f"{tables.count(found['downloads'], 'download')} {done}, {size(found['bytes'])}, from {hosts}"


def _images(run: Entry) -> str:
    items = run["dependencies"]
    there = sum(1 for item in items if item["source"] == "engine")
    missing = len(failures.missing(run))
    counts = ((there, "already present"), (len(items) - there - missing, "fetched"), (missing, "not available"))
    return ", ".join(f"{count} {what}" for count, what in counts if count) or "none"


def _graph(run: Entry, numbers: Mapping[str, int]) -> Markup:
    picture = drawing(run, numbers)
    if not picture:
        return tag("p", "No service depends on another.")
    links = [tag("li", tag("a", name, href=f"#service-{numbers[name]}")) for name in alone(run)]
    return join(
        tag("p", "Each service depends on those to its left.", tag("span", " Choose one to see which.", class_="hint")),
        tag("p", id="chosen", role="status"),
        tag("div", picture, class_="scroll", tabindex="0", role="region", aria_label="Dependency graph"),
        tag("ul", tag("li", tag("b", "Unconnected:")), *links, class_="row") if links else "",
    )
