"""Combine compose files: several of them, and what they include and extend.

Section names are those of the compose specification; where it is silent, compose-go's `loader` package decides.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from yaml.nodes import MappingNode, Node

from build_lib.compose.documents import Document, Documents
from build_lib.compose.environment import Project, default_env_file, with_env_files
from build_lib.compose.service import Part, Refused, Source, merge, with_context
from build_lib.compose.yaml_nodes import Budget, Field, FileReport, TooLarge, is_file, items_of, line_of

_DEEPEST = 50  # levels of files that include each other
_MOST_INCLUDED = 1000  # includes that are followed
_ENV_FILE_COST = 10  # characters that cost as much as a part
_NAME = "COMPOSE_PROJECT_NAME"

_Key = tuple[tuple[Path, ...], Path, frozenset[tuple[str, str]]]  # everything that determines the result of an include


def load(project: Project, report: FileReport) -> tuple[str, Mapping[str, Part]]:
    """Return the project's name, and the services of its files, by name."""
    try:
        return _Loader(report).load(project)
    except TooLarge as error:
        report(project.files[0], 0, error.message)
        return "", {}


class _Loader:
    """Follows includes, and reports problems on the way."""

    def __init__(self, report: FileReport) -> None:
        self._report = report
        self._budget = Budget()
        self._documents = Documents(report, self._budget)
        self._included: dict[_Key, Part] = {}

    def load(self, project: Project) -> tuple[str, Mapping[str, Part]]:
        name = self._name(project)
        variables = {**project.variables, _NAME: name}
        project = replace(project, variables=variables, outermost=variables)
        return name, self._services(project, ()).parts or {}

    def _services(self, project: Project, chain: tuple[Path, ...]) -> Part:
        """The services of the files, which override those that they include ("Merge and override", "Include").

        `chain` has the files whose includes lead here.
        """
        merged = Part(parts={}, path=project.directory, line=0)
        for document in self._of(project):
            source = document.source(project)
            included = self._includes(document, source, (*chain, document.real_path))
            own = self._documents.services(document, source, included.parts or {})
            merged = merge(merged, merge(included, own))
        parts = {name: with_context(part, project.directory) for name, part in (merged.parts or {}).items()}
        return replace(merged, parts=parts)

    def _of(self, project: Project) -> list[Document]:
        return [document for path in project.files for document in self._documents.of(path)]

    def _name(self, project: Project) -> str:
        """The project's name: the variable, or the last `name` in the files, or the directory's ("Project name")."""
        given = project.variables.get(_NAME, "")
        name = _normalized(given)
        if name != given:
            reason = f"{_NAME} is {given!r}: a name has a-z, 0-9, - and _, and begins with a letter or digit"
            self._report(project.files[0], 0, reason)
        for document in reversed(self._of(project)):
            name = name or _normalized(self._written_name(document, project))
        return name or _normalized(project.directory.name)

    def _written_name(self, document: Document, project: Project) -> str:
        if "name" not in document.top:
            return ""
        field = document.top["name"]
        try:
            return document.source(project).plain(field.node)
        except Refused as error:
            self._report(document.path, field.line, f"name: {error.message}")
            return ""

    def _includes(self, document: Document, source: Source, chain: tuple[Path, ...]) -> Part:
        """The services of all that a document includes; the first of two of a name is merged over the second."""
        found: dict[str, Part] = {}
        include = document.top.get("include")
        for node in items_of(include.node) if include else ():
            try:
                services = self._include(node, source, chain).parts or {}
            except Refused as error:
                self._report(source.path, line_of(node), error.message)
                continue
            found |= {name: merge(part, found[name]) if name in found else part for name, part in services.items()}
        return Part(parts=found, path=source.path, line=0)

    def _include(self, node: Node, source: Source, chain: tuple[Path, ...]) -> Part:
        """The services of one entry of `include`, in its short or its long syntax.

        Raises:
            Refused: there is nothing to include, or the files include each other in a circle.
        """
        fields = source.fields.of(node) if isinstance(node, MappingNode) else {"path": Field(node=node, line=0)}
        files = source.paths(fields.get("path"))
        _check_include(files, chain)
        directory = (source.paths(fields.get("project_directory")) or [files[0].parent])[0]
        env_files = [path for path in source.paths(fields.get("env_file")) if path != Path(os.devnull)]
        _check_files(env_files)
        if "env_file" not in fields:
            env_files = default_env_file(directory)
        for path in env_files:
            self._budget.spend(path.stat().st_size // _ENV_FILE_COST)
        variables = with_env_files(source.project.variables, env_files, self._report)
        project = replace(source.project, files=tuple(files), directory=directory, variables=variables)
        return self._include_once(project, chain)

    def _include_once(self, project: Project, chain: tuple[Path, ...]) -> Part:
        """The services of included files, read once: every level can double the number of paths that lead to them."""
        key = (project.files, project.directory, frozenset(project.variables.items()))
        if key not in self._included:
            if len(self._included) >= _MOST_INCLUDED:
                raise Refused(f"more than {_MOST_INCLUDED} files are included")
            self._included[key] = self._services(project, chain)
        return self._included[key]


def _normalized(name: str) -> str:
    """The text as the name of a project, of which characters that no name may have are left out."""
    return re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-")


def _check_include(files: list[Path], chain: tuple[Path, ...]) -> None:
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
