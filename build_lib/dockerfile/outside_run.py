"""What the programs of one RUN download."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from build_lib.dockerfile.downloads import DOWNLOADERS, Fetch, fetches
from build_lib.dockerfile.flags import given
from build_lib.dockerfile.outside_packages import Installing
from build_lib.dockerfile.package_families import TOOLS
from build_lib.dockerfile.package_sources import SOURCE_FILES, Sources
from build_lib.dockerfile.package_tools import packages
from build_lib.dockerfile.reach import Reach, of_url
from build_lib.dockerfile.simple_commands import Assigned, Simple
from build_lib.dockerfile.url_hosts import text_of
from build_lib.dockerfile.variable_values import Values

_SUMS = re.compile(r"(?:sha\d*|md5|b2|b3|ck|x)sum|shasum")
_VERIFIERS = frozenset(["cosign", "gh", "gpg", "gpg2", "openssl", "rekor-cli"])
_CHECKERS = _VERIFIERS | {"gpgv", "minisign", "rpm", "rpmkeys", "slsa-verifier"}
_LETTERS = re.compile("[a-z]+")
_NAMES = (*DOWNLOADERS, *TOOLS, "python", "pypy", *SOURCE_FILES)
_WORDS = frozenset(found[0] for found in map(_LETTERS.match, _NAMES) if found)
_VARIABLE_COMMAND = re.compile(r"(?:^|[;&|({\n])\s*\"?\$\{?\w")
_PROXY = re.compile(r"(?:https?|all|ftp)_proxy", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Run:
    """One RUN: the values of its variables, the sources of its stage, and where its packages come from."""

    values: Values
    sources: Sources
    installing: Installing

    def reaches(self, said: Sequence[Simple | Assigned]) -> Iterator[Reach]:
        """Return what the programs download, and note what they say about sources."""
        checks = [at for at, item in enumerate(said) if isinstance(item, Simple) and _checks(item)]
        proxies = {name: f"${name}" for name in self.values.stage if _PROXY.fullmatch(name)}
        before: Simple | None = None
        for at, item in enumerate(said):
            if isinstance(item, Assigned):
                if item.kept and _PROXY.fullmatch(item.name):
                    proxies[item.name] = item.text or ""
                continue
            simple = replace(item, words=self._named(item.words)) if item.words[0].startswith("$") else item
            if simple.words[0] == "unset":
                proxies = {name: text for name, text in proxies.items() if name not in simple.words}
            if may_reach(simple.words[0]):
                own = [text for name, text in simple.environment if _PROXY.fullmatch(name)]
                checked = bool(checks) and checks[-1] > at
                yield from self._reached(simple, (*proxies.values(), *own), checked=checked)
            self.sources.note(simple, before, self.values)
            before = simple

    def _reached(self, simple: Simple, through: tuple[str, ...], *, checked: bool) -> Iterator[Reach]:
        for fetch in fetches(simple):
            proxied = replace(fetch, through=(*fetch.through, *through))
            yield from self._fetched(proxied, simple.line, checked=checked or fetch.pinned)
        said = packages(simple)
        if said and not self.installing.is_off(said):
            yield from self.installing.installed(said, simple, through)

    def _named(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """The words, with the program's name without variables: `$PIP install`."""
        first = text_of(self.values.only(words[0])).split() or [words[0]]
        return (first[0].rpartition("/")[2] or first[0], *first[1:], *words[1:])

    def _fetched(self, fetch: Fetch, line: int, *, checked: bool) -> Iterator[Reach]:
        rewritten = self.sources.rewritten if fetch.kind == "git" else ()
        yield from of_url(
            fetch.text,
            self.values,
            kind=fetch.kind,
            tool=fetch.tool,
            line=line,
            checked=None if fetch.kind == "packages" else checked,
            action=fetch.action,
            through=fetch.through,
            rewritten=rewritten,
        )


def matters(text: str) -> bool:
    """Return whether a script may have a command that downloads or that tells a source of packages: most have none."""
    return not _WORDS.isdisjoint(_LETTERS.findall(text.lower())) or _VARIABLE_COMMAND.search(text) is not None


def may_reach(tool: str) -> bool:
    """Return whether a tool is one that downloads."""
    return tool in DOWNLOADERS or tool in TOOLS or tool.startswith(("p", "git"))


def _checks(simple: Simple) -> bool:
    """Whether a program compares content with a checksum or a signature."""
    tool, *words = simple.words
    if not tool.endswith("sum") and tool not in _CHECKERS:
        return False
    if _SUMS.fullmatch(tool):
        return given(words, ()).has("-c", "--check")
    if tool in _VERIFIERS:
        return any(word in ("--verify", "verify", "verify-blob", "-verify", "attestation") for word in words)
    return tool in ("gpgv", "minisign", "rpmkeys", "slsa-verifier") or (
        tool == "rpm" and bool({"-K", "--checksig"} & set(words))
    )
