"""Text from elsewhere, as it is shown."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from build_lib.foreign import as_json, on_one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[38:2::1:2:3mred\x1b[m\x1b[K", "red"),
        ("\x1b[2J\x1b[H", r"\x1b[2J\x1b[H"),
        ("\x1b]0;title\x07text", r"\x1b]0;title\x07text"),
        ("\x9b31mred", r"\x9b31mred"),
        ("\x1b\x1b[0m[2J", r"\x1b[2J"),
        ("a\x1b", r"a\x1b"),
        ("nul\x00bell\x07del\x7f", r"nul\x00bell\x07del\x7f"),
        ("10%\r100%\r\n", "10%\\r100%\n"),
        ("gpj\u202egnp.exe", r"gpj\u202egnp.exe"),
        ("half \udcff", r"half \udcff"),
        ("tab\tline\n日本 🐳", "tab\tline\n日本 🐳"),
        ("no\N{NO-BREAK SPACE}break　ideographic", "no\N{NO-BREAK SPACE}break　ideographic"),
        (r"C:\x1b", r"C:\x1b"),
    ],
)
def test_control_characters_are_gone_or_seen(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_on_one_line_newlines_are_seen_too() -> None:
    assert on_one_line("a\nb\tc\r\n") == r"a\nb\tc\n"


@given(st.text())
@example("\x1b\r\n[0m")
def test_what_is_shown_is_shown_the_same_again(text: str) -> None:
    shown = on_one_line(text)
    assert on_one_line(shown) == shown
    assert "\n" not in shown
    shown.encode()


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_keeps_what_it_escapes(content: object) -> None:
    text = as_json(content)
    assert json.loads(text) == content
    assert printable(text) == text
