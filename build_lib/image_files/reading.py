"""All files that `IMAGE_FILES` names, read: the images in them, and the problems."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from yaml.nodes import MappingNode, Node

from build_lib.compose import Problem, yaml_nodes
from build_lib.errors import BuildError
from build_lib.image_files import charts, documents, lines
from build_lib.image_files.resolving import File, NamedImage
from build_lib.image_files.sources import CHART, MOST_FILES, Source, find, is_values
from build_lib.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFiles:
    """The images that the files name, with each place once, and the problems in these files."""

    images: tuple[NamedImage, ...] = ()
    problems: tuple[Problem, ...] = ()


def read(settings: Settings) -> ImageFiles:
    """Read the files that `IMAGE_FILES` names.

    No content raises an exception: what cannot be understood becomes a problem, or a remark if it is the name of an
    image, and the rest is returned.
    """
    known: dict[Source, list[File]] = {}
    problems: list[Problem] = []
    for pattern in settings.image_files:
        problems += _read_pattern(pattern, known, settings)
    files = [file for files in known.values() for file in files]
    return ImageFiles(
        images=tuple(dict.fromkeys(image for file in files for image in file.images)),
        problems=tuple(dict.fromkeys([*problems, *(problem for file in files for problem in file.problems)])),
    )


def _read_pattern(pattern: str, known: dict[Source, list[File]], settings: Settings) -> Iterator[Problem]:
    """Read what a pattern names and is not known yet; the problems are those of the pattern itself."""
    place = settings.project_root / pattern
    sources = find(pattern, settings.project_root)
    if not sources:
        yield Problem(path=place, line=0, reason="IMAGE_FILES names it, but no file or chart matches", remark=True)
    elif len(sources) > MOST_FILES:
        yield Problem(path=place, line=0, reason=f"IMAGE_FILES names it, but more than {MOST_FILES} files match")
        return
    for source in sources:
        if source not in known:
            known[source] = _read_source(source, settings)
    files = [file for source in sources for file in known[source]]
    if files and not any(file.images or file.problems for file in files):
        yield Problem(path=place, line=0, reason="IMAGE_FILES names it, but there is no image in it", remark=True)


def _read_source(source: Source, settings: Settings) -> list[File]:
    if source.kind == "chart":
        return _read_chart(source, settings)
    file = File(source.path, settings.variables)
    if source.kind == "yaml":
        _take(file, yaml_nodes.read_documents(source.path, file.report), values=is_values(source.path))
    else:
        text = yaml_nodes.read_text(source.path, file.report) or ""
        if source.kind == "list":
            file.take_list(lines.of_list(text))
        else:
            file.take(lines.of_template(text))
    return [file]


def _read_chart(source: Source, settings: Settings) -> list[File]:
    """The files with images of a chart: its templates as helm renders them, and those of its values that they use.

    Without helm, these are all images in its values.
    """
    values = [_values(*paths, settings) for paths in charts.value_files(source.path, source.values)]
    try:
        manifests = charts.manifests(source.path, source.values, settings.environment)
    except BuildError as error:
        chart = File(source.path / CHART, settings.variables)
        chart.remark(0, f"the templates of this chart were not rendered, only its values were read: {error.message}")
        return [chart, *values]
    rendered = [_manifest(path, text, settings) for path, text in manifests]
    used = {item.image for file in rendered for item in file.images}
    for file in values:
        file.keep(used)
    return [*rendered, *values]


def _manifest(template: Path, text: str, settings: Settings) -> File:
    """A template as it is rendered; its lines are not those of the template."""
    file = File(template, settings.variables, lines=False)
    _take(file, yaml_nodes.documents(text, file.report))
    return file


def _values(path: Path, description: Path, settings: Settings) -> File:
    """A file with values of the chart that `description` describes."""
    file, chart = File(path, settings.variables), File(description, settings.variables)
    version = _app_version(chart)
    file.problems += chart.problems
    _take(file, yaml_nodes.read_documents(path, file.report), values=True, app_version=version)
    return file


def _app_version(chart: File) -> str:
    """The version of what the chart deploys: by convention, the tag of its images that have none."""
    fields = yaml_nodes.Fields(chart.remark, yaml_nodes.Budget())
    for document in yaml_nodes.read_documents(chart.path, chart.report):
        version = fields.of(document).get("appVersion") if isinstance(document, MappingNode) else None
        if version:
            return yaml_nodes.text_of(version.node) or ""
    return ""


def _take(file: File, found: Iterable[Node], *, values: bool = False, app_version: str = "") -> None:
    """Add the images of a file's documents."""
    fields = yaml_nodes.Fields(file.remark, yaml_nodes.Budget())
    try:
        for document in found:
            file.take(documents.images(document, fields, values=values, app_version=app_version))
    except yaml_nodes.TooLarge as error:
        file.report(0, error.message)
