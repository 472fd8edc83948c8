"""What the ADDs of a Dockerfile take from outside: URLs and repositories of git."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from build_lib.dockerfile.shell_pattern import Refused
from build_lib.dockerfile.shell_word import Variable, expand
from build_lib.dockerfile.syntax import parse, sources

_URL = re.compile(r"https?://", re.IGNORECASE)
_OTHER = re.compile(r"(?:git|ssh)://|[\w.-]+@[\w.-]+:", re.IGNORECASE)  # what only git fetches


@dataclass(frozen=True, kw_only=True, slots=True)
class Addition:
    """A source of an ADD that is elsewhere: as written, and with the arguments that are known."""

    line: int
    written: str
    url: str

    @property
    def is_http(self) -> bool:
        """Whether it is fetched by http or https."""
        return bool(_URL.match(self.url))


def additions(text: str, arguments: Mapping[str, str]) -> Iterator[Addition]:
    """Return what a Dockerfile's ADDs take from elsewhere; `arguments` are the values of its arguments."""
    syntax = parse(text)
    values = {name: Variable(text=value) for name, value in arguments.items()}
    for instruction in syntax.instructions:
        if instruction.keyword == "add" and not instruction.onbuild:
            for written in sources(instruction):
                try:
                    url = expand(written, values, syntax.escape).text
                except Refused:
                    continue
                if _URL.match(url) or _OTHER.match(url):
                    yield Addition(line=instruction.line, written=written, url=url)


def with_prefix(text: str, added: list[Addition], prefix: str) -> str:
    """Return the Dockerfile with a prefix before each of these sources; every line keeps its number."""
    lines = text.split("\n")
    for each in added:
        for place in range(max(each.line - 1, 0), len(lines)):
            if re.search(rf"(?<!\S){re.escape(each.written)}(?!\S)", _unquoted(lines[place])):
                lines[place] = lines[place].replace(each.written, prefix + each.written, 1)
                break
    return "\n".join(lines)


def _unquoted(line: str) -> str:
    """A line whose words are apart, also those of a JSON list."""
    return re.sub(r'[\["\],]', " ", line)
