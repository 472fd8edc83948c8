"""What a repository has, and the settings that fit it: directories, file names, names of images, tags.

Nothing is suggested that `.env` says already. What is not certain is not suggested, but listed.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from build_lib import compose, git
from build_lib.errors import BuildError, InvalidReference
from build_lib.files import kind
from build_lib.reference import Reference, is_tag
from build_lib.repository.dockerfiles import as_image_name, is_named
from build_lib.repository.search import Seen, dockerfiles_setting, is_plain, search, services_dir
from build_lib.repository.service import Service
from build_lib.repository.services import Repository, discover
from build_lib.settings import Settings, read_env_file
from build_lib.units import number

_SUGGESTED = ("COMPOSE_FILE", "SERVICES_DIR", "SERVICES_CONTEXT", "DOCKERFILES", "IMAGE_TAG", "IMAGE_PREFIX")
_NOT_SERVICES = {  # directories whose Dockerfiles are other people's, or are for tests and documents
    *("third_party", "third-party", "thirdparty", "vendor", "external", "node_modules"),
    *("test", "tests", "testing", "testdata", "fixtures", "e2e", "example", "examples", "samples", "docs", "doc"),
}
_ADDITIONAL = {"override", "test", "tests", "ci", "e2e"}  # in the name of a compose file that is not the main one
_FILES = ("Dockerfile", "Containerfile")
_USUAL_NAMES = ("dockerfile", "containerfile")
_WORTH_A_PATTERN = 3  # so many names of one form are named by a pattern
_UNTAGGED = "dev"
_LONGEST = 1 << 20  # characters of a compose file that are searched for names of images
# the name of an image after `image:`, also behind a variable for a registry, and in templates that are not YAML
_IMAGE = re.compile(r"""\bimage:\s*["']?(?:\$\{[^}]*\}/?|\{\{[^}]*\}\}/?)?([a-z0-9][a-z0-9._:/-]*)""")
_ENDS = ("-", "_", "/", ".")  # of a prefix of image names


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """A setting that fits the repository, and why."""

    name: str
    value: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """The suggestions, and what the repository has with these settings. Paths are relative to its top."""

    suggestions: tuple[Suggestion, ...]
    settings: Settings
    repository: Repository
    other_dockerfiles: tuple[PurePosixPath, ...]  # neither services nor variants, and without problems
    dockerfile_templates: tuple[PurePosixPath, ...]  # and copies
    compose_files: tuple[PurePosixPath, ...]  # that are read
    other_compose_files: tuple[PurePosixPath, ...]
    compose_templates: tuple[PurePosixPath, ...]


def take(root: Path, environ: Mapping[str, str], env_file: str) -> Survey:
    """Look at the repository. Nothing is suggested for the settings that its `env_file` has.

    Raises:
        BuildError: the file cannot be read, or a setting in it has a wrong value; or services depend on each other in a
            circle.
    """
    given = read_env_file(root / env_file)
    environ = {name: text for name, text in environ.items() if name not in (*_SUGGESTED, "PROJECT_ROOT")}
    suggestions: list[Suggestion] = []

    def fitting() -> Settings:
        suggested = {item.name: item.value for item in suggestions}
        return Settings.load(root, environ=environ | suggested, env_file=env_file)

    seen = search(fitting())
    for suggest in (_compose_file, _services, _context, _tag, _prefix):
        suggestions += [item for item in suggest(seen, fitting()) if item.name not in given]
    return _survey(seen, fitting(), suggestions)


def _survey(seen: Seen, settings: Settings, suggestions: Sequence[Suggestion]) -> Survey:
    root = settings.project_root
    repository = discover(settings)
    used = {service.dockerfile for service in repository.services.values()}
    used |= {variant.path for variant in repository.variants} | {problem.path for problem in repository.problems}
    composed = set(repository.compose_files)
    return Survey(
        suggestions=tuple(suggestions),
        settings=settings,
        repository=repository,
        other_dockerfiles=tuple(path for path in seen.dockerfiles if root / path not in used),
        dockerfile_templates=seen.dockerfile_templates,
        compose_files=tuple(path for path in seen.compose_files if root / path in composed),
        other_compose_files=tuple(path for path in seen.compose_files if root / path not in composed),
        compose_templates=seen.compose_templates,
    )


def _compose_file(seen: Seen, settings: Settings) -> Iterator[Suggestion]:
    """The only compose file, if it has another name than those that are found anyway.

    A template at the top means that the compose file itself is still to be written.
    """
    if _composed(settings).files or any(len(path.parts) == 1 for path in seen.compose_templates):
        return
    files = [path for path in seen.compose_files if _is_own(path) and not _ADDITIONAL & set(_words(path.name))]
    files = [path for path in files if len(path.parts) == 1] or files
    if len(files) == 1 and is_plain(files[0]):
        yield Suggestion(name="COMPOSE_FILE", value=str(files[0]), why="the only compose file")


def _services(seen: Seen, settings: Settings) -> Iterator[Suggestion]:
    """The file names and directories of the Dockerfiles that compose files do not name."""
    covered = {entry.dockerfile for entry in _composed(settings).builds}
    files = [path for path in seen.dockerfiles if _is_own(path)]
    left = [path for path in files if settings.project_root / path not in covered]
    beside = {path.parent for path in files if path not in left or is_named(path.name, settings.dockerfiles)}
    names = sorted(_names(left, beside))
    if names:
        value = dockerfiles_setting(_patterns(names), settings)
        yield Suggestion(name="DOCKERFILES", value=value, why="the names of the Dockerfiles")
    directories = services_dir([path for path in left if is_named(path.name, (*settings.dockerfiles, *names))])
    if directories and directories != ",".join(settings.services_dir):
        yield Suggestion(name="SERVICES_DIR", value=directories, why="where the Dockerfiles are")


def _context(_seen: Seen, settings: Settings) -> Iterator[Suggestion]:
    """The repository's top, if more Dockerfiles copy what is only there than what is only beside them."""
    root = settings.project_root
    at_top = beside = 0
    for service in discover(settings).services.values():
        own = service.dockerfile.parent
        if service.origin == service.dockerfile and own != root:
            paths = [item.path for item in service.reading.context if item.path]
            at_top += any((root / path).exists() and not (own / path).exists() for path in paths)
            beside += any((own / path).exists() and not (root / path).exists() for path in paths)
    if at_top > beside:
        why = f"{number(at_top, 'Dockerfile')} copy what is there"
        yield Suggestion(name="SERVICES_CONTEXT", value=".", why=why)


def _composed(settings: Settings) -> compose.Compose:
    return compose.read(settings.project_root, settings.compose_variables)


def _is_own(path: PurePosixPath) -> bool:
    return not any(part in _NOT_SERVICES or part.startswith(".") for part in path.parts[:-1])


def _words(name: str) -> list[str]:
    return re.split(r"[._-]", name.lower())


def _names(files: Iterable[PurePosixPath], with_services: Collection[PurePosixPath]) -> set[str]:
    """The names that DOCKERFILES lacks: all if no directory has a service, otherwise those of a usual spelling.

    A `Dockerfile.gpu` where others are called `Dockerfile` is a variant, which its owner decides about.
    """
    if not with_services:
        return {path.name for path in files}
    return {path.name for path in files if path.parent not in with_services and path.name.lower() in _USUAL_NAMES}


def _patterns(names: Sequence[str]) -> list[str]:
    """The names, or a pattern for those of one form if there are several."""
    often = {form for form, times in Counter(map(_form, names)).items() if times >= _WORTH_A_PATTERN}
    return list(dict.fromkeys(_form(name) if _form(name) in often else name for name in names))


def _form(name: str) -> str:
    """The pattern for names such as `web.Dockerfile` or `Dockerfile.web`."""
    before, dot, after = name.partition(".")
    return f"*.{after}" if after in _FILES else f"{before}.*" if dot and before in _FILES else name


def _tag(_seen: Seen, settings: Settings) -> Iterator[Suggestion]:
    """The tag of the commit; after it, its name with `-dev`, so that the release's images are not overwritten."""
    found = git.newest_tag(settings.project_root, settings.environment)
    tag, later = found or ("", 0)
    value = f"{tag}-dev" if later else tag
    if is_tag(value):
        why = f"{number(later, 'commit')} after the git tag {tag}" if later else "the git tag"
        yield Suggestion(name="IMAGE_TAG", value=value, why=why)
    else:
        yield Suggestion(name="IMAGE_TAG", value=_UNTAGGED, why="there is no git tag that images can have")


def _prefix(seen: Seen, settings: Settings) -> Iterator[Suggestion]:
    services = discover(settings).services
    own = as_image_name(_repository_name(settings))
    found = _prefix_of_images(services, [*_in_dockerfiles(services.values()), *_in_compose_files(seen, settings)])
    if found:
        yield Suggestion(name="IMAGE_PREFIX", value=found, why="of images that the files name")
    elif services and all(f"{name}-".startswith(f"{own}-") for name in services):
        yield Suggestion(name="IMAGE_PREFIX", value="", why="the services have the repository's name already")
    else:
        yield Suggestion(name="IMAGE_PREFIX", value=f"{own}-", why="the repository's name")


def _prefix_of_images(services: Iterable[str], images: Iterable[tuple[str, str]]) -> str:
    """What stands in front of services' names in the names of images, "" if nothing does.

    A service's own Dockerfile does not name the service's image: `FROM gitea/gitea` in it is somebody else's. Neither
    does a single `bitnami/redis` mean that the service redis is to have that name.
    """
    votes: dict[str, set[str]] = defaultdict(set)
    for by, image in images:
        for name in services:
            prefix = image.removesuffix(name)
            if by != name and image.endswith(name) and prefix.endswith(_ENDS) and _is_prefix(prefix):
                votes[prefix].add(name)
    sure = {prefix: len(names) for prefix, names in votes.items() if len(names) > 1 or "/" not in prefix}
    return max(sorted(sure, key=len), key=lambda prefix: sure[prefix], default="")


def _is_prefix(text: str) -> bool:
    try:
        Reference.parse(f"{text}x:latest")
    except InvalidReference:
        return False
    return True


def _in_dockerfiles(services: Iterable[Service]) -> Iterator[tuple[str, str]]:
    """The images that Dockerfiles name, without tags, each with the service."""
    for service in services:
        for use in service.reading.images:
            yield service.name, Reference.parse(use.name).familiar


def _in_compose_files(seen: Seen, settings: Settings) -> Iterator[tuple[str, str]]:
    """The images that compose files and their templates name, without tags; "" instead of a service."""
    for path in (*seen.compose_files, *seen.compose_templates):
        if kind(settings.project_root / path, follow=True):
            continue
        try:
            with (settings.project_root / path).open(encoding="utf-8", errors="replace") as file:
                text = file.read(_LONGEST)
        except OSError as error:
            raise BuildError(f"{error.filename} cannot be read: {error.strerror}") from None
        for found in _IMAGE.findall(text):
            yield "", re.sub(r":[^/]*$", "", found)


def _repository_name(settings: Settings) -> str:
    """The name of the repository at its origin, which is the same in every clone; otherwise that of its directory."""
    url = git.origin(settings.project_root, settings.environment).rstrip("/")
    name = PurePosixPath(urlsplit(url).path).name.rpartition(":")[2].removesuffix(".git")
    return name or settings.project_root.name
