"""The tables of the page about a run: every service with its image, every dependency image with its source."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from build_lib.page.critical_path import Entry, sign
from build_lib.page.markup import Markup, tag
from build_lib.units import seconds, size

_SHOWN = 2  # uses of an image; more than these are folded away
_NAMED = 3  # names of a longer list
_ORDER = ("failed", "interrupted", "blocked", "not begun", "built", "up to date")

Cell = tuple[str, float | str]  # what is shown, and the key by which the column is sorted


def services(run: Entry, numbers: Mapping[str, int]) -> Markup:
    """Each service: its state and why, its image and size, what it depends on, its log."""
    if not run["services"]:
        return tag("p", "There are no services to build.")
    head = ("Service", "State", "Image", "Size", "Took", "Why", "Depends on", "Log")
    images = {item["image"]: number for number, item in enumerate(run["dependencies"])}
    rows = [
        _row(
            head,
            (
                (service["name"], service["name"]),
                (badge(service), _ORDER.index(service["state"]) if service["state"] in _ORDER else len(_ORDER)),
                (tag("code", service["image"]), service["image"]),
                (size(service["size"]), _number(service["size"])),
                (_took(service), _number(service["seconds"])),
                (_why(service), _why(service)),
                (_depends_on(service, numbers, images), len(service["needs"]) + len(service["base_images"])),
                (log_link(service, "log") if service["log"] else "-", ""),
            ),
            f"service-{numbers[service['name']]}",
            number=numbers[service["name"]],
        )
        for service in run["services"]
    ]
    total = sum(service["size"] or 0 for service in run["services"])
    return _table(
        f"{count(len(rows), 'service')}, {size(total)} of images (shared layers counted each time)", head, rows
    )


def _took(service: Entry) -> str:
    """How long its build took, and which builder of a fleet built it."""
    return f"{_time(service['seconds'])} on {service['builder']}" if service["builder"] else _time(service["seconds"])


def dependencies(run: Entry, numbers: Mapping[str, int]) -> Markup:
    """Each dependency image: its source, the number of tries, the sources that refused it, and where it is needed."""
    if not run["dependencies"]:
        return tag("p", "This run looked for no dependency images.")
    head = ("Image", "From", "Size", "Took", "Tries", "Refused by", "Needed by")
    rows = [
        _row(
            head,
            (
                (tag("code", item["image"]), item["image"]),
                (_source(item), item["source"] or ""),
                (size(item["bytes"]), _number(item["bytes"])),
                (_time(item["seconds"]), _number(item["seconds"])),
                (str(item["tries"] or "-"), _number(item["tries"])),
                (refusals(item), len(item["refusals"])),
                (needed_by(item, numbers), len(item["needed_by"])),
            ),
            f"image-{number}",
        )
        for number, item in enumerate(run["dependencies"])
    ]
    moved = sum(item["bytes"] or 0 for item in run["dependencies"])
    return _table(f"{count(len(rows), 'dependency image')}, {size(moved)} fetched", head, rows)


def badge(service: Entry) -> Markup:
    """The service's state: a symbol, a colour and the word."""
    what = sign(service)
    return tag(
        "span", tag("span", what.symbol, aria_hidden="true"), f" {service['state']}", class_=f"state {what.style}"
    )


def log_link(service: Entry, words: str) -> Markup:
    """A link to a service's log; it stays a path relative to the page, whatever the name of the log contains."""
    return tag("a", words, href=f"./{quote(service['log'], errors='replace')}", aria_label=f"log of {service['name']}")


def refusals(item: Entry) -> Markup:
    """The sources that did not give an image, and why."""
    found = [tag("li", tag("b", refusal["source"]), f": {refusal['reason']}") for refusal in item["refusals"]]
    return tag("ul", *found) if found else Markup("-")


def needed_by(item: Entry, numbers: Mapping[str, int]) -> Markup:
    """What needs an image, and the file and line that say so."""
    places = [
        tag("li", tag("b", _link(need["needed_by"], "service", numbers)), f" {_where(need)}")
        for need in item["needed_by"]
    ]
    if len(places) <= _SHOWN:
        return tag("ul", *places)
    users = list(dict.fromkeys(need["needed_by"] for need in item["needed_by"]))
    return tag("details", tag("summary", f"{len(places)} uses: {some(users)}"), tag("ul", *places))


def some(names: Sequence[str]) -> str:
    """The first of the names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _where(need: Entry) -> str:
    place = f"{need['path']}:{need['line']}" if need["path"] and need["line"] else need["path"]
    return f"{need['kind']}, {place}" if place else need["kind"]


def _source(item: Entry) -> Markup:
    if item["source"] is None:
        return tag("span", tag("span", "✗", aria_hidden="true"), " not available", class_="state failed")
    return tag("span", "already present") if item["source"] == "engine" else tag("code", item["source"])


def _why(service: Entry) -> str:
    if service["state"] == "blocked":
        return f"depends on {', '.join(service['blocked_by'])}"
    return service["reason"] or "-"


def _depends_on(service: Entry, numbers: Mapping[str, int], images: Mapping[str, int]) -> Markup:
    needs = [tag("li", _link(need, "service", numbers)) for need in service["needs"]]
    bases = [tag("li", tag("code", _link(image, "image", images))) for image in service["base_images"]]
    return tag("ul", *needs, *bases) if needs or bases else Markup("-")


def _link(name: str, kind: str, numbers: Mapping[str, int]) -> str:
    """The name, as a link to its row if it has one."""
    return tag("a", name, href=f"#{kind}-{numbers[name]}") if name in numbers else name


def _table(caption: str, head: Sequence[str], rows: Sequence[Markup]) -> Markup:
    titles = [tag("th", title, scope="col") for title in head]
    return tag("table", tag("caption", caption), tag("thead", tag("tr", *titles)), tag("tbody", *rows))


def _row(head: Sequence[str], cells: Sequence[Cell], anchor: str, *, number: int | None = None) -> Markup:
    """A row; on a narrow screen the cells are stacked, each after its column's title."""
    (name, key), *others = cells
    first = tag("th", name, scope="row", data_sort=key)
    rest = [
        tag("td", tag("div", shown), data_title=title, data_sort=by, class_="empty" if shown == "-" else None)
        for title, (shown, by) in zip(head[1:], others, strict=True)
    ]
    return tag("tr", first, *rest, id=anchor, data_service=number)


def _number(value: float | None) -> float:
    return -1 if value is None else value


def _time(value: float | None) -> str:
    return "-" if value is None else seconds(value)


def count(number: int, what: str) -> str:
    """A number of things: `1 line`, `2 lines`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
