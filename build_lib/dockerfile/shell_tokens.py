"""The tokens of a shell script, outside and within double quotes."""

import re

TOKEN = re.compile(
    r"""(?P<space>[ \t\r\f\v]+|\\\r?\n)"""
    r"""|(?P<newline>\n)"""
    r"""|(?P<redirect>\d*(?:<<<|<<-?|<&|<>|>>|>&|>\||[<>](?!\())|&>>?)"""
    r"""|(?P<operator>;;&?|;&|&&|\|\||\|&|[;&|()]|[<>](?=\())"""
    r"""|(?P<single>\$?'(?P<quoted>[^']*+)(?:'|\Z))"""
    r"""|(?P<double>\$?")"""
    r"""|(?P<escaped>\\(?P<char>.?))"""
    r"""|(?P<substitution>\$\(|`)"""
    r"""|(?P<brace>\$\{)"""
    r"""|(?P<dollar>\$)"""
    r"""|(?P<plain>(?:[^\s'"\\$`;&|()<>\d]+|\d+(?![<>\d])|\d)|[^\S\n])""",
    re.DOTALL,
)
# a whole word of a usual form, which most words have, with the space in front of it
WORD = re.compile(
    r"""[ \t]*+(?:(?P<plain>(?:[A-Za-z0-9_./:,@%+=^~*?{}-]|\$\w|\$\{\w++\})++)"""
    r"""|"(?P<double>(?:[^"\\`$]|\$\w|\$\{\w++\})*+)"|'(?P<single>[^']*+)')(?=[ \t;\n]|\Z)"""
)
QUOTED = re.compile(
    r"""(?P<end>")|(?P<substitution>\$\(|`)|(?P<brace>\$\{)|(?P<joined>\\\r?\n)|\\(?P<char>["$`\\])|"""
    r"""(?P<plain>[^"\\$`]+|[\\$])""",
    re.DOTALL,
)
_TO_THE_END = {
    "$(": re.compile(r"""\\.|'[^']*+'|"(?:\\.|[^"\\])*+"|(?P<open>\()|(?P<close>\))""", re.DOTALL),
    "${": re.compile(r"""\\.|(?P<open>\$\{)|(?P<close>\})""", re.DOTALL),
    "`": re.compile(r"\\.|(?P<open>(?!))|(?P<close>`)", re.DOTALL),
}
SUBSTITUTION = re.compile(r"\\.|(\$\(|`)", re.DOTALL)


def closing(text: str, at: int, opened: str) -> tuple[int, int]:
    """Return where what is opened in front of `at` ends, without and with what closes it; the end if nothing does."""
    depth = 1
    for found in _TO_THE_END[opened].finditer(text, at):
        depth += bool(found["open"]) - bool(found["close"])
        if not depth:
            return found.start(), found.end()
    return len(text), len(text)
