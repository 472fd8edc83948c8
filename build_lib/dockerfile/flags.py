"""The flags of a command, told from its other words."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Given:
    """The words of a command: those that are no flags, and the values of its flags, "" for one without a value."""

    words: list[str] = field(default_factory=list)
    flags: dict[str, list[str]] = field(default_factory=dict)

    def of(self, *names: str) -> list[str]:
        """Return the values of these flags."""
        return [value for name in names for value in self.flags.get(name, ())]

    def has(self, *names: str) -> bool:
        """Return whether one of these flags is given."""
        return any(name in self.flags for name in names)


def given(words: Sequence[str], valued: Collection[str], *, combined: bool = True) -> Given:
    """Tell flags from other words; `valued` are the flags that take a value, such as `-o` and `--output`.

    Short flags may be combined, and a value may be attached: `-fsSLo file`, `-ofile`, `--output=file`. If they are not
    `combined`, `-mod` is one flag.
    """
    found = Given()
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        following = words[at] if at < len(words) else ""
        if word == "--":
            found.words += words[at:]
            break
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            at += name in valued and not equals
            found.flags.setdefault(name, []).append(value if equals else following if name in valued else "")
        elif word.startswith("-") and len(word) > 1:
            at += _short(found, word, following, valued, combined=combined)
        else:
            found.words.append(word)
    return found


def _short(found: Given, word: str, following: str, valued: Collection[str], *, combined: bool) -> bool:
    """Add combined short flags, or a long one with a single hyphen; return whether the next word is a value."""
    if word in valued:
        found.flags.setdefault(word, []).append(following)
        return True
    for place, letter in enumerate(word[1:] if combined else "", 2):
        name = f"-{letter}"
        takes = name in valued
        attached = word[place:]
        found.flags.setdefault(name, []).append((attached or following) if takes else "")
        if takes:
            return not attached
    name, equals, value = word.partition("=")
    found.flags.setdefault(name, []).append(value if equals else "")
    return False
