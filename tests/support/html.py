"""HTML read back, strictly: what is not nested as it should be is an error."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"br", "link", "meta"}


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    children: list["Element | str"] = field(default_factory=list)

    def all(self, name: str = "", **wanted: str) -> list["Element"]:
        """Those within, in the document's order; `class_` asks for one of an element's classes."""
        return [element for element in self._within() if element.has(name, **wanted)]

    def has(self, name: str = "", **wanted: str) -> bool:
        if name and self.name != name:
            return False
        return all(value in self._values(key.rstrip("_").replace("_", "-")) for key, value in wanted.items())

    def _values(self, key: str) -> list[str]:
        value = self.attributes.get(key)
        return [] if value is None else value.split() if key == "class" else [value]

    def one(self, name: str = "", **wanted: str) -> "Element":
        [found] = self.all(name, **wanted)
        return found

    def _within(self) -> Iterator["Element"]:
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child._within()

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("document", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(document: str) -> Element:
    """The document's root."""
    reader = _Reader()
    reader.feed(document)
    reader.close()
    [root] = reader.open
    return root
