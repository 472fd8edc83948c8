"""The text that a shell gets from a RUN, and the line of the Dockerfile that each part of it is on."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Script:
    """A text; from each of the `starts`, up to the next one, it is on the line at the same place in `lines`."""

    text: str
    starts: tuple[int, ...]
    lines: tuple[int, ...]

    def line(self, offset: int) -> int:
        """Return the line of the Dockerfile that a place in the text is on."""
        return self.lines[max(bisect_right(self.starts, offset) - 1, 0)]

    def part(self, text: str, pieces: Sequence[tuple[int, int]]) -> "Script":
        """Return a text made of pieces of this one: where each begins there, and where it is from here."""
        starts: list[int] = []
        lines: list[int] = []
        ends = [begin for begin, _ in pieces[1:]] + [len(text)]
        for (begin, offset), end in zip(pieces, ends, strict=True):
            starts.append(begin)
            lines.append(self.line(offset))
            first, last = bisect_right(self.starts, offset), bisect_left(self.starts, offset + end - begin)
            starts += (begin + start - offset for start in self.starts[first:last])
            lines += self.lines[first:last]
        return Script(text, tuple(starts), tuple(lines)) if starts else on_line(text, self.lines[0])


def on_line(text: str, line: int) -> Script:
    """Return a text that is on one line."""
    return Script(text, (0,), (line,))


def joined(pieces: Iterable[tuple[int, str]], bodies: Iterable[tuple[int, str]] = ()) -> Script:
    """Return the text of continued lines, and of the lines of here-documents below them, with their numbers."""
    texts: list[str] = []
    starts: list[int] = []
    lines: list[int] = []
    at = 0
    for between, parts in (("", pieces), ("\n", bodies)):
        for line, text in parts:
            starts.append(at)
            lines.append(line)
            texts.append((between if texts else "") + text)
            at += len(texts[-1])
    return Script("".join(texts), tuple(starts) or (0,), tuple(lines) or (0,))
