"""What commands download from URLs in their words: `curl`, `wget`, `git clone` and their like."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from build_lib.dockerfile.flags import Given, given
from build_lib.dockerfile.simple_commands import Simple

Kind = Literal["add", "download", "git", "packages"]

_CURL = frozenset(
    "-A -b -c -C -d -D -e -E -F -h -H -K -m -o -P -Q -r -t -T -u -U -w -x -X -y -Y -z --cacert"  # noqa: SIM905
    " --capath --cert --ciphers --config --connect-timeout --connect-to --continue-at --cookie"
    " --cookie-jar --data --data-binary --data-raw --data-urlencode --dump-header --form --header"
    " --interface --key --limit-rate --max-filesize --max-redirs --max-time --netrc-file --noproxy"
    " --output --output-dir --pinnedpubkey --preproxy --proto --proto-default --proto-redir --proxy"
    " --proxy-user --range --referer --request --resolve --retry --retry-delay --retry-max-time"
    " --socks5 --socks5-hostname --speed-limit --speed-time --stderr --time-cond --tls-max"
    " --unix-socket --upload-file --url --user --user-agent --write-out".split()
)
_WGET = frozenset(
    "-a -A -B -D -e -i -I -l -o -O -P -Q -R -t -T -U -w -X --append-output --ca-certificate --ca-directory"  # noqa: SIM905
    " --certificate --connect-timeout --dns-timeout --directory-prefix --execute --header --input-file --limit-rate"
    " --max-redirect --output-document --output-file --password --post-data --quota --read-timeout --referer"
    " --secure-protocol --timeout --tries --user --user-agent --wait --waitretry".split()
)
_ARIA2 = frozenset("-d -o -s -x -j -k -m -t -i --dir --out --split --checksum".split())  # noqa: SIM905
_GIT = frozenset(
    "-b -c -C -j -o -u --branch --config --depth --filter --git-dir --jobs --origin --reference --separate-git-dir"  # noqa: SIM905
    " --shallow-exclude --shallow-since --template --upload-pack --work-tree".split()
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PROXIES = ("-x", "--proxy", "--preproxy", "--socks5", "--socks5-hostname")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetch:
    """A URL as written that a command downloads; "" for one that cannot be told."""

    kind: Kind
    tool: str
    action: str  # the subcommand, such as `clone`
    text: str
    through: tuple[str, ...] = ()  # proxies that the command names
    pinned: bool = False  # whether the command itself names what the content has to be


def fetches(simple: Simple) -> Iterator[Fetch]:
    """Return what a command downloads from URLs."""
    found = DOWNLOADERS.get(simple.words[0])
    if found:
        yield from found(simple)


def _curl(simple: Simple) -> Iterator[Fetch]:
    flags = given(simple.words[1:], _CURL)
    through = tuple(flags.of(*_PROXIES))
    listed = flags.of("-K", "--config")
    yield from _each(simple, [*flags.words, *flags.of("--url")], listed, through)


def _wget(simple: Simple) -> Iterator[Fetch]:
    flags = given(simple.words[1:], _WGET)
    through = tuple(word for word in flags.of("-e", "--execute") if "proxy" in word)
    yield from _each(simple, flags.words, flags.of("-i", "--input-file"), through)


def _aria2(simple: Simple) -> Iterator[Fetch]:
    flags = given(simple.words[1:], _ARIA2)
    for found in _each(simple, flags.words, flags.of("-i", "--input-file"), ()):
        yield Fetch(kind="download", tool=found.tool, action="", text=found.text, pinned=flags.has("--checksum"))


def _each(simple: Simple, texts: Sequence[str], listed: Sequence[str], through: tuple[str, ...]) -> Iterator[Fetch]:
    """The URLs, or "" for those that come from a file or a pipe."""
    for text in [*texts, *[""] * bool(listed or (simple.fed and not texts))]:
        yield Fetch(kind="download", tool=simple.words[0], action="", text=text, through=through)


def _git(simple: Simple) -> Iterator[Fetch]:
    """`git clone URL`, and what else names a URL; without one, where `fetch` and `submodule` go cannot be told."""
    before = given(simple.words[1:], _GIT).words
    if not before:
        return
    action, *rest = before
    pinned = any(_COMMIT.fullmatch(word) for word in rest)
    if action == "submodule":
        texts = [""] if "update" in rest else [word for word in rest if is_remote(word)]
    elif action == "remote":
        texts = [""] if rest[:1] == ["update"] else []
    elif action == "lfs":
        texts = [""] if rest[:1] in (["pull"], ["fetch"]) else []
    elif action == "clone":
        texts = rest[:1] or [""] * simple.fed
    elif action in ("fetch", "pull", "ls-remote", "archive"):
        texts = [word for word in rest if is_remote(word) or "$" in word][:1] or [""] * (action != "archive")
    else:
        texts = []
    for text in texts:
        if action != "clone" or not text.startswith(("/", "./", "../", "file://")):
            yield Fetch(kind="git", tool="git", action=action, text=text, pinned=pinned)


def is_remote(text: str) -> bool:
    """Return whether a word looks like the URL of something on another machine."""
    return "://" in text or re.match(r"[\w.-]+@[\w.-]+:", text) is not None


def _first(kind: Kind, *actions: str) -> Callable[[Simple], Iterator[Fetch]]:
    """Of a tool that has subcommands: the words that are URLs."""

    def found(simple: Simple) -> Iterator[Fetch]:
        words = simple.words[1:]
        action = next((word for word in words if word in actions), "")
        if action or not actions:
            for word in words:
                if is_remote(word) and not word.startswith("-"):
                    yield Fetch(kind=kind, tool=simple.words[0], action=action, text=word)

    return found


def _keys(simple: Simple) -> Iterator[Fetch]:
    """Of gpg and apt-key: the server that keys come from, and the URLs of keys."""
    flags: Given = given(simple.words[1:], frozenset(["--keyserver", "--recv-keys", "--recv", "--recv-key"]))
    fetch = flags.of("--fetch-keys", "--fetch-key")
    for text in [*flags.of("--keyserver"), *(flags.words if fetch else ())]:
        if is_remote(text) or not fetch:
            yield Fetch(kind="download", tool=simple.words[0], action="", text=text)


def _archive(simple: Simple) -> Iterator[Fetch]:
    """The personal package archives that add-apt-repository adds; it downloads their keys, and then their indexes."""
    for word in simple.words[1:]:
        if word.startswith("ppa:"):
            text = f"https://ppa.launchpadcontent.net/{word.removeprefix('ppa:')}"
            yield Fetch(kind="packages", tool=simple.words[0], action="", text=text)


DOWNLOADERS: Mapping[str, Callable[[Simple], Iterator[Fetch]]] = {
    "aria2c": _aria2,
    "apt-key": _keys,
    "axel": _curl,
    "curl": _curl,
    "add-apt-repository": _archive,
    "apt-add-repository": _archive,
    "debootstrap": _first("packages"),
    **dict.fromkeys(("dnf", "yum"), _first("packages", "config-manager")),
    "git": _git,
    "gpg": _keys,
    "gpg2": _keys,
    "hg": _first("git", "clone", "pull"),
    "rpm": _first("packages"),
    "svn": _first("git", "checkout", "co", "export"),
    "yum-config-manager": _first("packages"),
    "wget": _wget,
    "wget2": _wget,
}
