"""Images in files that are read line by line: lists, and templates that will be YAML."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_COMMENT = re.compile(r"(?:^|\s)#.*")
_KEY = re.compile(r"""\s*(?:-\s+)?(["']?)image\1\s*:(?:\s+|$)""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """The name of an image as a file has it, with placeholders, and its line."""

    text: str
    line: int


def of_list(text: str) -> Iterator[Written]:
    """Return the lines of a list: one image each; `#` begins a comment."""
    for line, content in enumerate(text.split("\n"), start=1):
        name = _COMMENT.sub("", content).strip()
        if name:
            yield Written(text=name, line=line)


def of_template(text: str) -> Iterator[Written]:
    """Return the values of the lines `image: NAME`; "" if the name is not on the same line, as it is in `image: ""`."""
    for line, content in enumerate(text.split("\n"), start=1):
        key = _KEY.match(content)
        value = content[key.end() :] if key else '""'
        if not value.startswith(('""', "''")):
            yield Written(text=_scalar(value), line=line)


def _scalar(text: str) -> str:
    """The scalar at the beginning of a line's rest, without quotes, comment or the comma of JSON."""
    if text.startswith(('"', "'")):
        return text[1:].partition(text[0])[0]
    return _COMMENT.sub("", text).strip().removesuffix(",")
