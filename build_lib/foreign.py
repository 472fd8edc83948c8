"""Text from elsewhere as it may be shown: no control character of it reaches a terminal.

Registries, engines, builders, bundles, compose files and file names provide such text. What prints, and what writes
pages, makes it printable here, so that nothing else has to.
"""

import json
import re
from typing import Any

# Colours, and the erasing of the rest of a line that comes with them (ECMA-48): builders and compilers write these.
# They are all that is left out, because whatever ends at a later character could take words of this program along.
_COLOURS = re.compile(r"\x1b\[[0-9;:]*[mK]|\r(?=\n)")
# Control characters besides tab and newline, and characters that are invisible, cannot be written as UTF-8, or change
# the order in which a line is shown (Unicode, UAX #9)
_UNSHOWN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)


class Painted(str):
    """Text with control sequences of this program's own, such as colours; the rest of it is printable."""

    __slots__ = ()


def printable(text: str) -> str:
    """The text without colours, and with escapes such as `\\x1b` instead of other control characters. Lines remain."""
    return _UNSHOWN.sub(lambda found: ascii(found[0])[1:-1], _COLOURS.sub("", text))


def on_one_line(text: str) -> str:
    """Like `printable`, with escapes for newlines and tabs as well."""
    return printable(text).replace("\n", r"\n").replace("\t", r"\t")


def as_json(content: Any) -> str:
    """A JSON document in which each of these characters is escaped: programs read it, but terminals show it."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    return _UNSHOWN.sub(lambda found: json.dumps(found[0])[1:-1], text)
