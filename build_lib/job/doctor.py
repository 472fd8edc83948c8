"""What is missing or wrong on this machine and in this repository, and how to fix it."""

import socket
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from build_lib.build import builders
from build_lib.downloads import Store
from build_lib.engine import Engine
from build_lib.errors import BuildError, SettingsError, nearest
from build_lib.graph import Cancel, run
from build_lib.job import clean, enclosure, fleet_checks, machine_checks
from build_lib.job.finding import Finding, Level
from build_lib.job.finding import bad as _bad
from build_lib.job.finding import good as _good
from build_lib.reference import PrivateRegistry, local_names
from build_lib.registry import Registries, addresses, harbor, proxy_of
from build_lib.repository import Repository, dependencies, discover, no_services
from build_lib.settings import Settings, has_secret, set_again, unknown_in_env_file
from build_lib.transfer import bootstrap
from build_lib.units import number, seconds, size

_SKEW_SECONDS = 60  # a larger one may have tokens and certificates refused
_AT_ONCE = 16

_NAME = "check the name, /etc/resolv.conf and /etc/hosts"


def examine(settings: Settings) -> list[Finding]:
    """Run all checks, and change nothing; those of the network run in parallel.

    Checks that need a setting with a wrong value are left out, after the finding about that setting.
    """
    findings = [*_env_file(settings), *(_bad("settings", error) for error in settings.wrong)]
    repository: Repository | None = None
    try:
        repository = discover(settings)
        findings += _repository(repository, settings)
    except BuildError as error:
        findings += _unless_told("repository", error, findings)
    findings += [machine_checks.own_files(settings), machine_checks.own_disk(settings), *machine_checks.memory()]
    findings += machine_checks.proxies(settings.environment)
    held: set[str] = set()
    try:
        with Engine.connect(settings) as engine:
            held = set(engine.images.by_name())
            findings += _engine(engine, repository, settings)
    except BuildError as error:
        needed = fleet_checks.needs_engine(settings)
        findings += _unless_told("engine", error, findings) if needed else [fleet_checks.no_engine(error)]
    try:
        findings += fleet_checks.fleet(settings)
    except SettingsError as error:
        findings += _unless_told("builder", error, findings)
    try:
        findings += _network(repository, held, settings)
    except SettingsError as error:
        findings += _unless_told("registries", error, findings)
    return findings


def _unless_told(what: str, error: BuildError, findings: Sequence[Finding]) -> list[Finding]:
    """The finding about a failure; none if it has one already, such as that of a wrong setting."""
    return [] if error.message in {finding.detail for finding in findings} else [_bad(what, error)]


def _env_file(settings: Settings) -> Iterator[Finding]:
    path = settings.project_root / ".env"
    if not path.is_file():
        fix = "cp .env.example .env" if path.with_name(".env.example").is_file() else "./inv init"
        yield Finding(level="warning", what=".env", detail="no such file; the defaults apply", fix=fix)
        return
    unknown, known = unknown_in_env_file(path)
    again = set_again(path)
    for name, line in again.items():
        detail = f"{name} is set more than once: line {line} counts"
        yield Finding(level="warning", what=".env", detail=detail, fix="remove the other lines")
    for name in unknown:
        fix = nearest(name, known) or ".env.example lists the settings"
        yield Finding(level="warning", what=".env", detail=f"{name} is not a setting", fix=fix)
    readable = path.stat().st_mode & 0o044
    if readable and has_secret(path):
        detail = "it contains a password, and other users can read it"
        yield Finding(level="bad", what=".env", detail=detail, fix=f"chmod 600 {path}")
    elif not unknown and not again:
        yield _good(".env", "all settings in it are known")


def _repository(repository: Repository, settings: Settings) -> Iterator[Finding]:
    files = ", ".join(path.name for path in repository.compose_files) or "no compose file"
    what = "services"
    if not repository.services:
        fix = no_services(settings).hint
        yield Finding(level="warning", what=what, detail=f"there are none ({files})", fix=fix)
    elif not repository.problems:
        yield _good(what, f"{len(repository.services)} ({files})")
    for problem in repository.problems:
        place = f"{problem.path}:{problem.line}" if problem.line else str(problem.path)
        detail = f"{place}: {problem.reason}"
        if problem.remark:
            fix = problem.hint or "if that is not intended, change the file, or the setting that it needs"
            yield Finding(level="warning", what=what, detail=detail, fix=fix)
        else:
            yield Finding(level="bad", what=what, detail=detail, fix="correct the file")


def _engine(engine: Engine, repository: Repository | None, settings: Settings) -> Iterator[Finding]:
    store = "containerd" if engine.keeps_content() else "classic"
    yield _good("engine", f"Docker Engine {engine.version()}, {engine.platform()}, {store} image store")
    yield from machine_checks.engine_disks(engine)
    if not settings.builders:
        yield _builder(settings, engine)
    if settings.downloads == "replay" or Store(settings).releases():
        yield enclosure.finding(None if settings.builders else _chosen(settings, engine), engine, settings)
    if repository is not None:
        yield _leftovers(repository, engine, settings)


def _chosen(settings: Settings, engine: Engine) -> builders.Builder | None:
    try:
        return builders.choose(settings, engine)
    except BuildError:  # a finding of its own
        return None


def _builder(settings: Settings, engine: Engine) -> Finding:
    try:
        builder = builders.choose(settings, engine)
    except SettingsError:
        raise
    except BuildError as error:
        return _bad("builder", error)
    if isinstance(builder, builders.Classic):
        detail = f"{builder.name}: no BuildKit, so no RUN --mount, COPY --link or here-documents"
        return Finding(level="warning", what="builder", detail=detail, fix=builders.GET_BUILDKIT)
    return _good("builder", builder.name)


def _leftovers(repository: Repository, engine: Engine, settings: Settings) -> Finding:
    wanted = dependencies.find(repository, settings)
    found = clean.find(repository, wanted, engine, settings, keep=1)
    left = [item for item in found if item.kind != "file"]
    if not left:
        return _good("leftovers", "none")
    kinds = Counter(item.kind for item in left)
    counts = ", ".join(number(count, kind) for kind, count in kinds.items())
    room = size(sum(item.size or 0 for item in left))
    return Finding(level="warning", what="leftovers", detail=f"{counts}, {room}", fix="./inv clean")


def _network(repository: Repository | None, held: Collection[str], settings: Settings) -> list[Finding]:
    """Check every host that images are pulled from or pushed to; `held` are the images that the engine already has."""
    own = _own_registries(settings)
    hosts: dict[str, tuple[str, Level]] = {what: (registry.host, level) for what, (registry, level) in own.items()}
    for mirror in settings.registry_mirrors:
        hosts[f"mirror {mirror}"] = (mirror.registry.host, "warning")
    for host, level in _named(repository, held, settings).items():
        if host not in {registry.host for registry, _ in own.values()}:
            hosts[f"registry {host}"] = (host, level)
    with Registries(settings) as registries:

        def work(what: str, _cancel: Cancel) -> list[Finding]:
            host, level = hosts[what]
            unresolved = _unresolved(host)
            if unresolved:
                return [Finding(level=level, what="DNS", detail=unresolved, fix=_NAME)]
            try:
                project, _ = own.get(what, (None, level))
                return [_host(registries, what, host, project)]
            except BuildError as error:
                return [_bad(what, error, level=level)]

        outcomes = run(dict.fromkeys(hosts, ()), work, jobs=_AT_ONCE)
    found = [finding for outcome in outcomes for finding in outcome.value or ()]
    asked = {host for host, _ in hosts.values() if not proxy_of(host)}
    if asked and not any(finding.what == "DNS" for finding in found):
        found.insert(0, _good("DNS", f"resolves {', '.join(sorted(asked))}"))
    return found


def _own_registries(settings: Settings) -> dict[str, tuple[PrivateRegistry, Level]]:
    """The user's own registries, each with its project, and how bad it is if one fails."""
    private: dict[str, tuple[PrivateRegistry, Level]] = {}
    if settings.private_registry is not None:
        private["private registry"] = settings.private_registry, "bad"
    return private | fleet_checks.registries(settings)


def _named(repository: Repository | None, held: Collection[str], settings: Settings) -> dict[str, Level]:
    """The registries that images name; one that no image has to be pulled from is only worth a warning."""
    if repository is None:
        return {}
    replaced = settings.private_registry is not None or bool(settings.registry_mirrors)
    found: dict[str, Level] = {}
    for item in dependencies.find(repository, settings):
        here = any(name.identity in held for name in local_names(item.image)) or bootstrap.suite(item.image)
        level: Level = "warning" if here or replaced else "bad"
        found[item.image.host] = "bad" if "bad" in (level, found.get(item.image.host)) else level
    return dict(sorted(found.items()))


def _host(registries: Registries, what: str, host: str, project: PrivateRegistry | None) -> Finding:
    """Check that the host answers as a registry, accepts the login, has the project (a Harbor), and has the same time.

    Raises:
        RegistryError: one of the first three checks failed.
    """
    began = time.monotonic()
    answer = registries.session.send("GET", host, "/v2/")
    took = seconds(time.monotonic() - began)
    if project is not None:
        harbor.check_project(registries.session, project, create=False)
    skew = _skew(answer.headers.get("Date", ""))
    if abs(skew) > _SKEW_SECONDS:
        detail = f"this machine's clock is {seconds(abs(skew))} {'ahead of' if skew > 0 else 'behind'} {host}'s"
        return Finding(level="warning", what=what, detail=detail, fix="timedatectl set-ntp true")
    login = registries.session.login(host)
    who = f"logged in as {login.username!r}" if login and login.username else "anonymous"
    return _good(what, f"{host} answers in {took}, {who}")


def _unresolved(host: str) -> str:
    """Why the name cannot be resolved; "" if it can, or if a proxy resolves it."""
    if proxy_of(host):
        return ""
    name = urlsplit(f"//{addresses.api_host(host)}").hostname or host
    try:
        socket.getaddrinfo(name, None)
    except OSError as error:
        return f"{name} cannot be resolved: {error.strerror}"
    return ""


def _skew(date: str) -> float:
    """How many seconds this machine's clock is ahead of an answer's; 0 if the answer has no date."""
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0
