"""The documents of compose files, and their services, each merged over the one that it extends.

Section names are those of the compose specification; where it is silent, compose-go's `loader` package decides.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from yaml.nodes import MappingNode, Node

from build_lib.compose.environment import Project
from build_lib.compose.service import Part, Refused, Source, merge, settled
from build_lib.compose.yaml_nodes import (
    Budget,
    Field,
    Fields,
    FileReport,
    is_file,
    is_null,
    line_of,
    read_documents,
)

_DEEPEST = 50  # services that extend each other
_TOP_LEVEL = {"configs", "include", "models", "name", "networks", "secrets", "services", "version", "volumes"}

_Chain = tuple[tuple[Path, str], ...]  # the services that extend each other, in that order


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
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

    def source(self, project: Project) -> Source:
        """The source of its texts as a file of the project."""
        return Source(path=self.path, project=project, fields=self.fields)


class Documents:
    """Reads each file once, and reports its problems."""

    def __init__(self, report: FileReport, budget: Budget) -> None:
        self._report = report
        self._budget = budget
        self._read: dict[Path, tuple[Document, ...]] = {}

    def of(self, path: Path) -> tuple[Document, ...]:
        """The file's documents; none if it cannot be read."""
        if path not in self._read:
            self._read[path] = tuple(self._parsed(path))
        return self._read[path]

    def services(self, document: Document, source: Source, included: Mapping[str, Part]) -> Part:
        """A document's own services, each merged over the one that it extends, which may be an included one."""
        if "services" not in document.top:
            return Part(parts={}, path=document.path, line=0)
        parts = {name: self._service(name, document, source, included, ()) for name in document.services}
        return source.part(document.top["services"].node, parts=parts)

    def _parsed(self, path: Path) -> Iterator[Document]:
        report = partial(self._report, path)
        fields = Fields(report, self._budget)
        for root in read_documents(path, report):
            if isinstance(root, MappingNode):
                document = Document(path=path, real_path=path.resolve(), top=fields.of(root), fields=fields)
                self._check(document)
                yield document
            elif not is_null(root):
                report(line_of(root), "a compose file has to be a mapping")

    def _check(self, document: Document) -> None:
        services = document.top.get("services")
        if services and not isinstance(services.node, MappingNode) and not is_null(services.node):
            self._report(document.path, services.line, "services has to be a mapping")
        unknown = [key for key in document.top if key not in _TOP_LEVEL and not key.startswith("x-")]
        if unknown and not {"services", "include"} & set(document.top):
            line = document.top[unknown[0]].line
            self._report(document.path, line, f"{unknown[0]!r} is ignored: services belong under 'services:'")

    def _service(
        self, name: str, document: Document, source: Source, included: Mapping[str, Part], chain: _Chain
    ) -> Part:
        """A service merged over the one that it extends ("extends"); `chain` has the services that extend it."""
        field = document.services[name]
        own = source.service(field)
        extends = source.fields.of(field.node).get("extends") if isinstance(field.node, MappingNode) else None
        if extends is None or is_null(extends.node) or extends.node.tag == "!reset":
            return own
        try:
            base = self._base(extends.node, document, source, included, (*chain, (document.real_path, name)))
        except Refused as error:
            return Part(path=source.path, line=extends.line, error=error.message)
        merged = base if base.error else merge(settled(base), replace(own, replaces=False))
        return merged if merged.error else replace(merged, path=own.path, line=own.line, replaces=own.replaces)

    def _base(
        self, node: Node, document: Document, source: Source, included: Mapping[str, Part], chain: _Chain
    ) -> Part:
        """The service that `extends` names.

        Raises:
            Refused: there is none, or the services extend each other in a circle.
        """
        fields = source.fields.of(node) if isinstance(node, MappingNode) else {"service": Field(node=node, line=0)}
        name, file = (source.plain(fields[key].node) if key in fields else "" for key in ("service", "file"))
        if not name:
            raise Refused("extends needs the name of a service")
        if file:
            document, included = self._file_to_extend(source.full_path(file)), {}
            source = document.source(replace(source.project, directory=document.path.parent))
        if name not in document.services:
            if name in included:
                return included[name]
            raise Refused(f"it extends {name}, which is not in {document.path.name}")
        if (document.real_path, name) in chain:
            services = " -> ".join((*(service for _, service in chain), name))
            raise Refused(f"services extend each other in a circle: {services}")
        if len(chain) > _DEEPEST:
            raise Refused(f"it extends a chain of more than {_DEEPEST} services")
        return self._service(name, document, source, included, chain)

    def _file_to_extend(self, path: Path) -> Document:
        documents = self.of(path) if is_file(path) else ()
        if not documents:
            raise Refused(f"it extends a service in {path}, which cannot be read")
        return documents[0]
