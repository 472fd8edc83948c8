"""Where the package managers of a RUN download from: by flags, variables, files, or the base image."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from build_lib.dockerfile.downloads import is_remote
from build_lib.dockerfile.package_families import GO, Family
from build_lib.dockerfile.package_sources import Sources, of_image
from build_lib.dockerfile.package_tools import Packages
from build_lib.dockerfile.reach import Reach, of_url, through_arguments
from build_lib.dockerfile.simple_commands import Simple
from build_lib.dockerfile.url_hosts import Place, found_in, hosts, names, text_of
from build_lib.dockerfile.variable_values import Values

_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)")
_WITH_URLS = ("-r", "--requirement", "-c", "--constraint", "-e", "--editable", "--git", "-f", "--find-links")


@dataclass(frozen=True, slots=True)
class Installing:
    """What the packages of one RUN depend on: its variables, the sources and the base image of its stage, its text."""

    values: Values
    sources: Sources
    image: str
    text: str

    def is_off(self, said: Packages) -> bool:
        """Return whether go is told by a variable to use no network."""
        if said.family is not GO:
            return False
        texts = {name: [text_of(value) for value in self.values.all(f"${name}")] for name in ("GOFLAGS", "GOPROXY")}
        return any("-mod=vendor" in text for text in texts["GOFLAGS"]) or texts["GOPROXY"] == ["off"]

    def installed(self, said: Packages, simple: Simple, through: Sequence[str]) -> Iterator[Reach]:
        """Return the packages, and those that are named by their URLs."""
        flags, family = said.flags, said.family
        checked = True if flags.has("--require-hashes") else None
        yield from self._named_by_url(said, simple, through, checked=checked)
        if flags.has("--git") or (flags.has("--no-deps") and flags.words and all(map(is_remote, flags.words))):
            return
        chosen = self._chosen(said, simple)
        usual, url = self._usual(family)
        known = hosts(chosen)
        if not known and not any(item.url and not item.arguments for item in chosen):
            known = usual
        elif family.name in self.sources.restored:
            known += usual
        arguments = {argument for item in chosen for argument in item.arguments}
        if not self._is_named(said, simple):
            arguments |= self._of_the_instruction(family)
        further = (*self._sums(family), *hosts(self._further(said)))
        yield Reach(
            line=simple.line,
            kind="packages",
            tool=said.tool,
            action=said.action,
            url=next((item.url for item in chosen if item.host or (item.url and not item.arguments)), url),
            hosts=tuple(dict.fromkeys((*known, *further))),
            checksum=checked,
            mirror=names(arguments | through_arguments(through, self.values)),
        )

    def _named_by_url(
        self, said: Packages, simple: Simple, through: Sequence[str], *, checked: bool | None
    ) -> Iterator[Reach]:
        flags = said.flags
        for word in [*flags.words, *flags.of(*_WITH_URLS)]:
            if is_remote(word) and word not in flags.of(*said.family.more):
                yield from of_url(
                    word,
                    self.values,
                    kind="packages",
                    tool=said.tool,
                    line=simple.line,
                    checked=checked,
                    action=said.action,
                    through=through,
                    rewritten=self.sources.rewritten,
                )

    def _further(self, said: Packages) -> list[Place]:
        """The sources that are named in addition to others."""
        family = said.family
        variables = [f"${name}" for name in self._variables() if name.lower() in family.more_environment]
        return [*self._places([*said.flags.of(*family.more), *variables]), *self.sources.more.get(family.name, ())]

    def _is_named(self, said: Packages, simple: Simple) -> bool:
        """Whether the command itself names its source, so that nothing else in the instruction changes it."""
        return said.flags.has(*said.family.index) or any(
            name.lower() in said.family.environment for name, _ in simple.environment
        )

    def _chosen(self, said: Packages, simple: Simple) -> list[Place]:
        """The sources that are named instead of the usual one: by a flag, else a variable, else a file."""
        family = said.family
        by_flag = self._places(said.flags.of(*family.index))
        if by_flag:
            return by_flag
        variables = [text for name, text in simple.environment if name.lower() in family.environment]
        variables = variables or [f"${name}" for name in self._variables() if name.lower() in family.environment]
        by_variable = self._places(variables)
        if family is GO and not by_variable:  # "direct" is no proxy, but each module's own host
            by_variable = [Place("direct", "", frozenset()) for text in variables if "direct" in self._texts(text)]
        return by_variable or self.sources.instead.get(family.name, [])

    def _texts(self, text: str) -> list[str]:
        return [text_of(value) for value in self.values.all(text)]

    def _variables(self) -> Iterable[str]:
        return dict.fromkeys((*self.values.stage, *sorted(self.values.unset), *self.values.shell))

    def _places(self, texts: Iterable[str]) -> list[Place]:
        found: list[Place] = []
        for text in texts:
            for value in self.values.all(text):
                found += found_in(value)
        return found

    def _of_the_instruction(self, family: Family) -> frozenset[str]:
        """The ARGs in the instruction whose names say that they are for this tool."""
        used = dict.fromkeys(_VARIABLE.findall(self.text))
        return self.values.arguments(name for name in used if family.names.fullmatch(name))

    def _usual(self, family: Family) -> tuple[tuple[str, ...], str]:
        if family.hosts != ("",):
            return family.hosts, family.url
        return of_image(family.name, self.image) or ((), family.url)

    def _sums(self, family: Family) -> tuple[str, ...]:
        """The checksum database, which go asks besides the proxy for modules."""
        said = self._texts("$GOSUMDB")
        if family is not GO or "off" in said:
            return ()
        return tuple(text.split()[-1] for text in said if text.strip() and "$" not in text) or ("sum.golang.org",)
