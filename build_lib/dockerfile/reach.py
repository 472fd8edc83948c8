"""Something that a Dockerfile downloads, and what a URL in it makes of that."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from build_lib.dockerfile.downloads import Kind
from build_lib.dockerfile.url_hosts import from_place, hosts, names, place, text_of
from build_lib.dockerfile.variable_values import Value, Values


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """Something that an instruction downloads.

    An `add` is an ADD, a `download` the URL of a file, `git` a repository, and `packages` are those of a package
    manager, from its usual source unless something else is said.
    """

    line: int  # that the command is on; for an ADD, the instruction's first
    kind: Kind
    tool: str  # such as `curl`, `apt-get` or `ADD`
    action: str  # the subcommand, such as `install`; "" if there is none
    url: str  # with the variables expanded that are known; "" if it comes from elsewhere, such as a pipe
    hosts: tuple[str, ...]  # none if they cannot be told; a variable that is not known is as written
    checksum: bool | None  # whether the instruction checks the content; None for packages, which the tool may check
    mirror: str  # the ARGs that point it elsewhere, separated by commas; "" if there is none


def of_url(
    text: str,
    values: Values,
    *,
    kind: Kind,
    tool: str,
    line: int,
    checked: bool | None,
    action: str = "",
    through: Sequence[str] = (),
    rewritten: Sequence[tuple[str, str]] = (),
) -> Iterator[Reach]:
    """Return what a word that is a URL downloads; nothing if it leads to this machine."""
    found = [place(_rewritten(value, values, rewritten)) for value in values.all(text)]
    known = [item for item in found if item]
    if not known and text:
        return
    mirror = names(argument for item in known for argument in item.arguments)
    proxies = names(through_arguments(through, values))
    shown = text_of(_rewritten(values.only(text), values, rewritten))
    yield Reach(
        line=line,
        kind=kind,
        tool=tool,
        action=action,
        url=shown,
        hosts=hosts(known),
        checksum=checked,
        mirror=", ".join(dict.fromkeys(filter(None, (mirror, proxies)))),
    )


def through_arguments(through: Sequence[str], values: Values) -> frozenset[str]:
    """Return the ARGs that the proxies come from."""
    pieces = (piece for text in through for value in values.all(text) for piece in value)
    return frozenset(argument for piece in pieces for argument in piece.arguments)


def _rewritten(value: Value, values: Values, rules: Sequence[tuple[str, str]]) -> Value:
    """The value as git rewrites it by `url.NEW.insteadOf OLD`: by the longest of these that it begins with."""
    text = text_of(value)
    for old, new in sorted(rules, key=lambda rule: len(rule[0]), reverse=True):
        if old and text.startswith(old):
            return (*values.only(new), *from_place(value, len(old)))
    return value
