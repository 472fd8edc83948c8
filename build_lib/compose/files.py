"""Combine compose files: several of them, what they include and extend, and their `.env`.

Section names are those of the compose specification; where it is silent, compose-go's `loader` package decides.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from yaml.nodes import MappingNode, Node

from build_lib.compose.interpolation import read_env_file
from build_lib.compose.service import Part, Refused, Source, merge, with_context
from build_lib.compose.yaml_nodes import (
    Budget,
    Field,
    Fields,
    TooLarge,
    is_file,
    is_null,
    items_of,
    line_of,
    read_documents,
    read_text,
)

_DEEPEST = 50  # levels of files that include, or services that extend, each other
_MOST_INCLUDED = 1000  # includes that are followed
_TOP_LEVEL = {"configs", "include", "models", "name", "networks", "secrets", "services", "version", "volumes"}

Report = Callable[[Path, int, str], None]  # takes a file, a line or 0 for the whole file, and the reason
_Chain = tuple[tuple[Path, str], ...]  # the services that extend each other, in that order
_Key = tuple[tuple[Path, ...], Path, frozenset[tuple[str, str]]]  # everything that determines the result of an include


def load(files: Sequence[Path], variables: Mapping[str, str], report: Report) -> Part:
    """Return the services of the files, by name; a file overrides those before it.

    Paths are relative to the directory of the first file, whose `.env` is read too.
    """
    full = [Path(os.path.normpath(path.absolute())) for path in files]
    try:
        return _Loader(report).load(full, variables)
    except TooLarge as error:
        report(full[0], 0, error.message)
        return Part(path=full[0], line=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Project:
    """The directory that relative paths start from, and the values of variables."""

    directory: Path
    variables: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Document:
    """One document of a file, by its top-level keys."""

    path: Path
    real_path: Path  # without symbolic links, to tell files apart
    top: Mapping[str, Field]
    fields: Fields

    @property
    def services(self) -> Mapping[str, Field]:
        """The entries under `services`, by name."""
        field = self.top.get("services")
        return self.fields.of(field.node) if field and isinstance(field.node, MappingNode) else {}

    def source(self, project: _Project) -> Source:
        """The source of its texts in a project."""
        return Source(path=self.path, directory=project.directory, variables=project.variables, fields=self.fields)


class _Documents:
    """Reads each file once, and reports its problems."""

    def __init__(self, report: Report, budget: Budget) -> None:
        self._report = report
        self._budget = budget
        self._read: dict[Path, tuple[_Document, ...]] = {}

    def of(self, path: Path) -> tuple[_Document, ...]:
        """The file's documents; none if it cannot be read."""
        if path not in self._read:
            self._read[path] = tuple(self._parsed(path))
        return self._read[path]

    def services(self, document: _Document, project: _Project) -> Part:
        """A document's own services, each merged over the one that it extends."""
        source = document.source(project)
        if "services" not in document.top:
            return Part(parts={}, path=document.path, line=0)
        parts = {name: self._service(name, document, source, ()) for name in document.services}
        return source.part(document.top["services"].node, parts=parts)

    def _parsed(self, path: Path) -> Iterator[_Document]:
        report = partial(self._report, path)
        fields = Fields(report, self._budget)
        for root in read_documents(path, report):
            if isinstance(root, MappingNode):
                document = _Document(path=path, real_path=path.resolve(), top=fields.of(root), fields=fields)
                self._check(document)
                yield document
            elif not is_null(root):
                report(line_of(root), "a compose file has to be a mapping")

    def _check(self, document: _Document) -> None:
        services = document.top.get("services")
        if services and not isinstance(services.node, MappingNode) and not is_null(services.node):
            self._report(document.path, services.line, "services has to be a mapping")
        unknown = [key for key in document.top if key not in _TOP_LEVEL and not key.startswith("x-")]
        if unknown and not {"services", "include"} & set(document.top):
            line = document.top[unknown[0]].line
            self._report(document.path, line, f"{unknown[0]!r} is ignored: services belong under 'services:'")

    def _service(self, name: str, document: _Document, source: Source, chain: _Chain) -> Part:
        """A service merged over the one that it extends ("extends"); `chain` has the services that extend it."""
        field = document.services[name]
        own = source.service(field)
        extends = source.fields.of(field.node).get("extends") if isinstance(field.node, MappingNode) else None
        if extends is None or is_null(extends.node) or extends.node.tag == "!reset":
            return own
        try:
            base = self._base(extends.node, document, source, (*chain, (document.real_path, name)))
        except Refused as error:
            return Part(path=source.path, line=extends.line, error=error.message)
        merged = base if base.error else merge(base, replace(own, replaces=False))
        return merged if merged.error else replace(merged, path=own.path, line=own.line, replaces=own.replaces)

    def _base(self, node: Node, document: _Document, source: Source, chain: _Chain) -> Part:
        """The service that `extends` names.

        Raises:
            Refused: there is none, or the services extend each other in a circle.
        """
        fields = source.fields.of(node) if isinstance(node, MappingNode) else {"service": Field(node=node, line=0)}
        name, file = (source.plain(fields[key].node) if key in fields else "" for key in ("service", "file"))
        if not name:
            raise Refused("extends needs the name of a service")
        if file:
            document = self._file_to_extend(source.full_path(file))
            source = document.source(_Project(directory=document.path.parent, variables=source.variables))
        if name not in document.services:
            raise Refused(f"it extends {name}, which is not in {document.path.name}")
        if (document.real_path, name) in chain:
            services = " -> ".join((*(service for _, service in chain), name))
            raise Refused(f"services extend each other in a circle: {services}")
        if len(chain) > _DEEPEST:
            raise Refused(f"it extends a chain of more than {_DEEPEST} services")
        return self._service(name, document, source, chain)

    def _file_to_extend(self, path: Path) -> _Document:
        documents = self.of(path) if is_file(path) else ()
        if not documents:
            raise Refused(f"it extends a service in {path}, which cannot be read")
        return documents[0]


class _Loader:
    """Follows includes, and reports problems on the way."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._budget = Budget()
        self._documents = _Documents(report, self._budget)
        self._included: dict[_Key, Part] = {}

    def load(self, files: Sequence[Path], variables: Mapping[str, str]) -> Part:
        project = _Project(directory=files[0].parent, variables=variables)
        project = self._with_env_files(project, [project.directory / ".env"])
        name = {"COMPOSE_PROJECT_NAME": self._project_name(files, project)}
        return self._services(files, replace(project, variables=name | dict(project.variables)), ())

    def _services(self, files: Iterable[Path], project: _Project, chain: tuple[Path, ...]) -> Part:
        """The files' services, which override those that they include ("Merge and override", "Include").

        `chain` has the files whose includes lead here.
        """
        merged = Part(parts={}, path=project.directory, line=0)
        for path in files:
            for document in self._documents.of(path):
                included = self._includes(document, document.source(project), (*chain, document.real_path))
                merged = merge(merged, merge(included, self._documents.services(document, project)))
        parts = {name: with_context(part, project.directory) for name, part in (merged.parts or {}).items()}
        return replace(merged, parts=parts)

    def _project_name(self, files: Iterable[Path], project: _Project) -> str:
        """The last `name` in the files, else the directory's ("Version and name top-level elements")."""
        name = re.sub(r"[^a-z0-9_-]", "", project.directory.name.lower()).lstrip("_-")
        documents = [document for path in files for document in self._documents.of(path)]
        for document in (document for document in documents if "name" in document.top):
            try:
                name = document.source(project).plain(document.top["name"].node) or name
            except Refused as error:
                self._report(document.path, document.top["name"].line, f"name: {error.message}")
        return name

    def _with_env_files(self, project: _Project, files: Iterable[Path]) -> _Project:
        """The project with the variables of existing env files; its own take precedence ("Include", env_file)."""
        found: dict[str, str] = {}
        for path in files:
            if is_file(path):
                content = read_text(path, partial(self._report, path)) or ""
                self._budget.spend(len(content) // 10)
                read = read_env_file(content, found | dict(project.variables))
                found |= read.variables
                for line, reason in read.problems:
                    self._report(path, line, reason)
        return replace(project, variables=found | dict(project.variables))

    def _includes(self, document: _Document, source: Source, chain: tuple[Path, ...]) -> Part:
        """The services of all that a document includes; if two of a name differ, the first one counts."""
        found: dict[str, Part] = {}
        include = document.top.get("include")
        for node in items_of(include.node) if include else ():
            try:
                services = self._include(node, source, chain).parts or {}
            except Refused as error:
                self._report(source.path, line_of(node), error.message)
                continue
            for name, part in services.items():
                if found.setdefault(name, part) != part:
                    reason = f"service {name}: {found[name].path} has another one of this name, which takes precedence"
                    self._report(part.path, part.line, reason)
        return Part(parts=found, path=source.path, line=0)

    def _include(self, node: Node, source: Source, chain: tuple[Path, ...]) -> Part:
        """The services of one entry of `include`, in its short or its long syntax.

        Raises:
            Refused: there is nothing to include, or the files include each other in a circle.
        """
        fields = source.fields.of(node) if isinstance(node, MappingNode) else {"path": Field(node=node, line=0)}
        files = source.paths(fields.get("path"))
        _check_include(files, chain)
        directory = source.paths(fields.get("project_directory")) or [files[0].parent]
        env_files = [path for path in source.paths(fields.get("env_file")) if path != Path(os.devnull)]
        _check_files(env_files)
        if "env_file" not in fields:
            env_files = [directory[0] / ".env"]
        project = _Project(directory=directory[0], variables=source.variables)
        return self._include_once(files, self._with_env_files(project, env_files), chain)

    def _include_once(self, files: Sequence[Path], project: _Project, chain: tuple[Path, ...]) -> Part:
        """The services of included files, read once: every level can double the number of paths that lead to them."""
        key = (tuple(files), project.directory, frozenset(project.variables.items()))
        if key not in self._included:
            if len(self._included) >= _MOST_INCLUDED:
                raise Refused(f"more than {_MOST_INCLUDED} files are included")
            self._included[key] = self._services(files, project, chain)
        return self._included[key]


def _check_include(files: Sequence[Path], chain: tuple[Path, ...]) -> None:
    if not files:
        raise Refused("include needs the path of a file")
    _check_files(files)
    circle = [path for path in files if path.resolve() in chain]
    if circle:
        names = " -> ".join(path.name for path in (*chain, circle[0]))
        raise Refused(f"files include each other in a circle: {names}")
    if len(chain) > _DEEPEST:
        raise Refused(f"includes are nested more than {_DEEPEST} deep")


def _check_files(files: Iterable[Path]) -> None:
    for path in files:
        if not is_file(path):
            raise Refused(f"there is no file {path}")
