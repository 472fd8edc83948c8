"""What the ADDs of a Dockerfile take from outside: URLs and repositories of git."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from build_lib.dockerfile.shell_pattern import Refused
from build_lib.dockerfile.shell_word import Variable, expand
from build_lib.dockerfile.stages import defined
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
    """Return what a Dockerfile's ADDs take from elsewhere; `arguments` are the values of its arguments.

    An ENV counts in all of the Dockerfile. What base images set is not known.
    """
    syntax = parse(text)
    values = {name: Variable(text=value) for name, value in arguments.items()}
    for said in syntax.environment:
        _set(values, said, syntax.escape)
    for instruction in syntax.instructions:
        if instruction.keyword == "add" and not instruction.onbuild:
            for written in sources(instruction):
                try:
                    url = expand(written, values, syntax.escape).text
                except Refused:
                    continue
                if _URL.match(url) or _OTHER.match(url):
                    yield Addition(line=instruction.line, written=written, url=url)


def _set(values: dict[str, Variable], said: str, escape: str) -> None:
    """Set the variables of an ENV, also in its old form with a space instead of the first `=`."""
    found = defined(said, escape)
    if found and found[0][1] is None:
        name, _, rest = said.partition(" ")
        found = [(name, rest.strip())]
    for name, word in found:
        with suppress(Refused):
            values[name] = Variable(text=expand(word or "", values, escape).text)


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
