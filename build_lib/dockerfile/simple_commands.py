"""The programs that a shell script starts, also through others such as `sudo`, `xargs` or `sh -c`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from build_lib.dockerfile.script import Script
from build_lib.dockerfile.shell_commands import LEADING, Command, Word, commands

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\+?=")
_SHELLS = frozenset(["ash", "bash", "dash", "ksh", "sh", "zsh"])
_SHELL_COMMAND = re.compile(r"-[a-zA-Z]*c[a-zA-Z]*")
_SILENT = frozenset(  # those that are frequent
    "[ [[ ]] } : break cat cd chmod chown continue done echo esac exit false fi grep ls mkdir printf return rm set"  # noqa: SIM905
    " sleep test touch true".split()
)
_SHEBANG = re.compile(r"#!\s*(?:\S*/env\s+(?:-\S+\s+)*)?(?:\S*/)?(\S+)")
_DEEPEST = 12

# what starts another program: its flags that take a value, and how many words come before the program
_STARTERS: dict[str, tuple[frozenset[str], int]] = {
    "busybox": (frozenset(), 0),
    "builtin": (frozenset(), 0),
    "chroot": (frozenset(), 1),
    "chronic": (frozenset(), 0),
    "command": (frozenset(), 0),
    "doas": (frozenset(["-u", "-C"]), 0),
    "dumb-init": (frozenset(), 0),
    "eatmydata": (frozenset(), 0),
    "env": (frozenset(["-u", "-C", "-S", "--unset", "--chdir"]), 0),
    "exec": (frozenset(["-a"]), 0),
    "fakeroot": (frozenset(), 0),
    "gosu": (frozenset(), 1),
    "ionice": (frozenset(["-c", "-n", "-p"]), 0),
    "nice": (frozenset(["-n"]), 0),
    "nohup": (frozenset(), 0),
    "runuser": (frozenset(["-u", "-g"]), 0),
    "setarch": (frozenset(), 1),
    "setsid": (frozenset(), 0),
    "stdbuf": (frozenset(["-i", "-o", "-e"]), 0),
    "su-exec": (frozenset(), 1),
    "sudo": (frozenset(["-u", "-g", "-h", "-p", "-C", "-r", "-t", "-U", "-D", "--user", "--group"]), 0),
    "time": (frozenset(["-f", "-o"]), 0),
    "timeout": (frozenset(["-s", "-k", "--signal", "--kill-after"]), 1),
    "tini": (frozenset(["-p"]), 0),
    "unbuffer": (frozenset(), 0),
    "xargs": (frozenset(["-I", "-L", "-n", "-P", "-d", "-E", "-s", "-a", "--max-args", "--max-procs"]), 0),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Simple:
    """A program with its arguments, as written but without quotes, and the variables that are set for it."""

    line: int
    words: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    targets: tuple[tuple[str, str], ...] = ()  # the operators and words of its redirections
    fed: bool = False  # whether it gets further arguments from its input
    documents: tuple[str, ...] = ()  # here-documents


@dataclass(frozen=True, kw_only=True, slots=True)
class Assigned:
    """A shell variable that gets a value; `text` is None if that cannot be told."""

    name: str
    text: str | None
    kept: bool = True  # whether it is not only for the program that follows


def programs(script: Script, depth: int = 0) -> Iterator[Simple | Assigned]:
    """Return what a script runs and assigns, in the order of the text."""
    for command in commands(script):
        yield from _of_command(command, depth)


def program(words: Sequence[str], line: int, script: Script) -> Iterator[Simple | Assigned]:
    """Return what a list of words runs, as in the exec form of RUN."""
    yield from _started(Command(script=script, words=[Word(word, ()) for word in words]), line, depth=0)


def interpreter(text: str) -> str:
    """Return the program that a script names in its first line, and "sh" if it names none."""
    found = _SHEBANG.match(text)
    return found[1] if found else "sh"


def is_shell(name: str) -> bool:
    """Return whether a program is a shell that reads what `commands` reads."""
    return name in _SHELLS


def _of_command(command: Command, depth: int) -> Iterator[Simple | Assigned]:
    for name, words in command.lists.items():
        yield from (Assigned(name=name, text=word.text) for word in words)
    if command.words and command.words[0].text == "function":
        del command.words[:2]
    while command.words and command.words[0].text in LEADING:
        del command.words[0]
    if command.words and not _is_silent(command):
        first = command.words[0]
        yield from _started(
            command, command.script.line(first.pieces[0][1]) if first.pieces else command.script.lines[0], depth
        )


def _is_silent(command: Command) -> bool:
    """Whether a command starts no other, downloads nothing and writes no file: most commands of a script."""
    name = command.words[0].text
    if name not in _SILENT or command.targets:
        return False
    return name not in ("echo", "printf") or not any("://" in word.text for word in command.words)


def _started(command: Command, line: int, depth: int) -> Iterator[Simple | Assigned]:
    """What a command runs, without the programs that only start others."""
    words = command.words
    environment: list[tuple[str, str]] = []
    fed = False
    while words:
        name = words[0].text
        assigned = _ASSIGNMENT.match(name)
        if assigned:
            environment.append((assigned[1], name[assigned.end() :]))
            words = words[1:]
        elif name.rpartition("/")[2] in _STARTERS:
            fed |= name.rpartition("/")[2] == "xargs"
            words = _behind(words)
        else:
            break
    kept = not words or words[0].text.rpartition("/")[2] in _SHELLS
    yield from (Assigned(name=name, text=_known(text), kept=kept) for name, text in environment)
    if words:
        if words[0].pieces:
            line = command.script.line(words[0].pieces[0][1])
        yield from _named(command, words, line, tuple(environment), fed, depth)


def _behind(words: Sequence[Word]) -> list[Word]:
    """The words of the program that a starter starts; none if it only looks for one: `command -v curl`."""
    name = words[0].text.rpartition("/")[2]
    valued, before = _STARTERS[name]
    at = 1
    while at < len(words) and words[at].text.startswith("-"):
        if name == "command" and words[at].text in ("-v", "-V"):
            return []
        if words[at].text == "--":
            at += 1
            break
        at += 2 if words[at].text in valued else 1
    while name == "env" and at < len(words) and _ASSIGNMENT.match(words[at].text):
        return list(words[at:])
    return list(words[at + before :])


def _named(
    command: Command, words: Sequence[Word], line: int, environment: tuple[tuple[str, str], ...], fed: bool, depth: int
) -> Iterator[Simple | Assigned]:
    name = words[0].text.rpartition("/")[2]
    texts = [word.text for word in words]
    if name in ("export", "local", "declare", "readonly", "typeset"):
        yield from _exported(texts[1:])
    elif name == "for" and len(texts) > 2 and texts[2] == "in":
        yield from (Assigned(name=texts[1], text=_known(text)) for text in texts[3:])
    elif name in ("read", "mapfile", "readarray", "getopts"):
        yield from (Assigned(name=text, text=None) for text in texts[1:] if text.isidentifier())
    elif name == "eval":
        yield from _inner(command, Word(" ".join(texts[1:]), words[1].pieces[:1] if words[1:] else ()), depth)
    elif name == "find":
        starts = [at for at, text in enumerate(texts) if text in ("-exec", "-execdir", "-ok")]
        for at in starts:
            yield from _started(Command(script=command.script, words=list(words[at + 1 :])), line, depth)
    elif name in _SHELLS or name in ("su", "runuser"):
        yield from _in_shell(command, words, depth, documents=name in _SHELLS)
    else:
        yield Simple(
            line=line,
            words=(name, *texts[1:]),
            environment=environment,
            targets=tuple((operator, word.text) for operator, word in command.targets),
            fed=fed,
            documents=tuple(body.text for body in command.documents),
        )


def _exported(texts: Sequence[str]) -> Iterator[Assigned]:
    for text in texts:
        found = _ASSIGNMENT.match(text)
        if found:
            yield Assigned(name=found[1], text=_known(text[found.end() :]))


def _known(text: str) -> str | None:
    """The value, or None if it is what a command prints."""
    return None if "$(" in text or "`" in text else text


def _in_shell(command: Command, words: Sequence[Word], depth: int, *, documents: bool) -> Iterator[Simple | Assigned]:
    """What `sh -c '…'` runs, and `sh <<EOF`."""
    for at, word in enumerate(words[1:], 1):
        if _SHELL_COMMAND.fullmatch(word.text) or word.text == "--command":
            after = [item for item in words[at + 1 :] if not item.text.startswith("-") and item.text != "pipefail"]
            if after:
                yield from _inner(command, after[0], depth)
            return
    if documents:
        for body in command.documents:
            yield from programs(body, depth + 1) if depth < _DEEPEST else ()


def _inner(command: Command, word: Word, depth: int) -> Iterator[Simple | Assigned]:
    if depth < _DEEPEST:
        yield from programs(command.script.part(word.text, word.pieces or ((0, 0),)), depth + 1)
