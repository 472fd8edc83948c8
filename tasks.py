"""The tasks, which `inv --list` lists: each reads its flags, calls build_lib once, and prints one report."""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task as InvokeTask

import build_lib as lib
from build_lib.executor import REPOSITORY_KEY, Task, task
from build_lib.program import take_over

if TYPE_CHECKING:
    from build_lib.console import Console
    from build_lib.settings import Settings

ROOT = Path(__file__).resolve().parent
_HELP = {
    "tag": "the release, such as v0.3.6-dev (IMAGE_TAG)",
    "registry": "your own registry, host[:port]/project (PRIVATE_REGISTRY)",
    "service": "a service's name; may be given several times",
    "jobs": "how many jobs run at once (JOBS)",
    "file": "the bundle (default: .build/deps-TAG.tar)",
    "since": "leave out what the site has, by its inventory, an earlier bundle, or the build-lib.json of one",
    "split": "write parts of at most this size, such as 650M or 4G",
    "downloads": "add what the builds of the release downloaded, as build-all --record recorded it",
    "with_services": "add the images of the built services, from the engine",
    "json": "print JSON for programs",
    "platform": "copy images for this platform only, such as linux/amd64; may be given several times",
    "create_project": "create the project if Harbor does not have it",
    "kind": "build: only images that builds need; runtime: only images that are run",
    "plain": "print only the names of the images, one per line",
    "no_deps": "build only the named services, with the existing images of those they depend on",
    "pull": "let the builder pull newer base images from their registries",
    "no_cache": "repeat every step, also those that the builder has in its cache",
    "force": "also build services that are up to date",
    "frozen": "refuse images that images.lock does not have (FROZEN)",
    "fail_fast": "stop at the first failure",
    "junit": "a file to write the result to, as JUnit XML for CI",
    "record": "record what the builds download (DOWNLOADS=record)",
    "replay": "let the builds have only what was recorded (DOWNLOADS=replay)",
    "strict": "treat remarks on the repository's files as errors",
}


def _help(*names: str) -> dict[str, str]:
    return {name: _HELP[name] for name in names}


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def _yes(given: bool) -> str | None:
    """A flag without a value, for a setting that is yes or no."""
    return "yes" if given else None


def _load(
    ctx: Context, *, json: bool = False, strict: bool = False, **flags: str | bool | None
) -> tuple["Settings", "Console"]:
    """The settings of the repository to work on, and a console for the run."""
    settings = lib.settings.Settings.load(_root(ctx), flags)
    lib.console.misspelt(lib.settings.misspelt_in_env_file(settings.project_root / ".env"))
    return settings, lib.console.Console(settings, json=json, dry=ctx.config.run.dry, strict=strict)


def _fetch_downloads(console: "Console", settings: "Settings", services: Iterable[str]) -> None:
    """Fetch what a replay needs and is not here from the private registry."""
    if settings.downloads == "replay" and not console.dry:
        fetched = lib.transfer.fetch_downloads(
            settings, settings.image_tag, tuple(services), on_progress=console.on_progress
        )
        lib.console.downloads.fetched(console, fetched)


def _root(ctx: Context) -> Path:
    """The repository of the tasks.py that invoke loaded; for build-lib's own, the repository that it is called from."""
    of_tasks = Path(ctx.config.get(REPOSITORY_KEY) or ctx.get("tasks_directory") or ROOT).resolve()
    root = lib.settings.worked_on(of_tasks)
    if root != of_tasks:
        lib.console.working_on(root)
    return root


def _own_console(ctx: Context) -> "Console":
    """A console for a task about build-lib itself."""
    settings = lib.settings.Settings.load(ROOT)
    return lib.console.Console(settings, dry=ctx.config.run.dry)


@task
def engine_up(ctx: Context) -> None:
    """Make sure that a Docker Engine is running.

    A running engine is used as it is. Otherwise the distribution's is installed (with apt, as root) and started.

    Examples:
        inv engine-up
        inv engine-up build-all
    """
    settings, console = _load(ctx)
    lib.console.machine.engine_up(console, lib.machine.daemon.up(settings, dry=console.dry))


@task
def engine_down(ctx: Context) -> None:
    """Stop the Docker Engine that engine-up started.

    Any other engine is left alone.

    Example:
        inv engine-down
    """
    settings, console = _load(ctx)
    lib.console.machine.engine_down(console, lib.machine.daemon.down(settings, dry=console.dry))


@task(
    help=_help("tag", "json", "strict") | {"all": "also list the variants: Dockerfiles that DOCKERFILES does not name"}
)
def services(ctx: Context, tag: str | None = None, json: bool = False, all: bool = False, strict: bool = False) -> None:
    """List the services and what they depend on.

    Examples:
        inv services
        inv services --all
        inv services --json
    """
    settings, console = _load(ctx, strict=strict, json=json, tag=tag)
    repository = lib.repository.discover(settings, expected="services")
    lib.console.overview.services(console, repository, settings, variants=all)


@task(help=_help("tag", "service", "kind", "plain", "json", "strict"), iterable=["service"])
def deps(
    ctx: Context,
    tag: str | None = None,
    service: Sequence[str] | None = None,
    kind: str | None = None,
    plain: bool = False,
    json: bool = False,
    strict: bool = False,
) -> None:
    """List every dependency image, and where it is needed.

    Examples:
        inv deps
        inv deps -s apphub --kind build
        inv deps --plain
    """
    settings, console = _load(ctx, strict=strict, json=json, tag=tag)
    repository = lib.repository.discover(settings, expected="images")
    found = lib.repository.dependencies.find(repository, settings, service or (), kind=kind)
    lib.console.overview.deps(console, found, repository, service or (), plain=plain)


@task(help=_help("service", "json", "strict"), iterable=["service"])
def outside(ctx: Context, service: Sequence[str] | None = None, json: bool = False, strict: bool = False) -> None:
    """List what Dockerfiles download besides images.

    This is an estimate, made by reading them: nothing is built, and no network is used.

    Examples:
        inv outside
        inv outside -s apphub
        inv outside --json
    """
    settings, console = _load(ctx, strict=strict, json=json)
    repository = lib.repository.discover(settings, expected="services")
    found = lib.repository.outside.find(repository, settings, service or ())
    lib.console.outside.outside(console, found, repository, service or (), mirror_args=settings.mirror_args)


@task(help=_help("tag", "json", "strict"))
def status(ctx: Context, tag: str | None = None, json: bool = False, strict: bool = False) -> None:
    """Show what is built, and what would be rebuilt and why.

    Examples:
        inv status
        inv status -t v0.3.6-dev --json
    """
    settings, console = _load(ctx, strict=strict, json=json, tag=tag)
    repository = lib.repository.discover(settings, expected="services")
    with lib.job.connect(settings) as backend:
        checks = lib.job.check(repository, backend, settings)
    lib.console.overview.status(console, checks, repository)


@task(help=_help("service", "strict") | {"format": "text, mermaid, dot or svg (by graphviz)"}, iterable=["service"])
def graph(ctx: Context, service: Sequence[str] | None = None, format: str = "text", strict: bool = False) -> None:
    """Draw the dependency graph of services and images.

    Examples:
        inv graph
        inv graph -s apphub --format mermaid
    """
    settings, console = _load(ctx, strict=strict)
    repository = lib.repository.discover(settings, expected="services")
    picture = lib.repository.graph_picture.draw(repository.chosen(service or ()), format, settings)
    lib.console.overview.graph(console, picture, repository, service or ())


@task(help=_help("tag", "registry", "service", "jobs", "frozen", "fail_fast", "json"), iterable=["service"])
def prefetch(
    ctx: Context,
    tag: str | None = None,
    registry: str | None = None,
    service: Sequence[str] | None = None,
    jobs: str | None = None,
    frozen: bool = False,
    fail_fast: bool = False,
    json: bool = False,
) -> None:
    """Pull every dependency image into the engine.

    Each is pulled from the first source that has it: private registry, mirrors, its own registry, apt mirror. With
    BUILDERS, those that builds need are copied to the build registry.

    Examples:
        inv prefetch
        inv --dry prefetch
        inv prefetch -r harbor.example/aihpc -j 16
    """
    settings, console = _load(ctx, json=json, tag=tag, registry=registry, jobs=jobs, frozen=_yes(frozen))
    caller = ctx.get("caller", "")
    repository = lib.repository.discover(settings, expected="services" if caller else "images")
    kind = "build" if settings.builders else None
    wanted = lib.repository.dependencies.find(repository, settings, service or (), kind=kind)
    not_locked = lib.repository.lock_fit.check(repository, wanted, settings)
    report = lib.console.PrefetchReport(console)
    report.begin(wanted, repository, caller=caller)
    lib.console.lock.remarks(not_locked, lib.transfer.locking.drift(wanted, settings))
    if settings.builders:
        outcomes = lib.job.supply(wanted, settings, report, dry=console.dry)
        report.end(outcomes, repository, service or ())
        return
    with lib.engine.Engine.connect(settings) as engine:
        if console.dry:
            report.end_dry(lib.transfer.prefetch.plan(wanted, engine, settings), repository, service or ())
        else:
            outcomes = lib.transfer.prefetch.prefetch(wanted, engine, settings, report, fail_fast=fail_fast)
            report.end(outcomes, repository, service or ())


@task(
    pre=[prefetch],
    help=_help(
        "tag",
        "registry",
        "service",
        "jobs",
        "force",
        "no_deps",
        "pull",
        "no_cache",
        "record",
        "replay",
        "frozen",
        "fail_fast",
        "json",
        "junit",
        "strict",
    ),
    iterable=["service"],
)
def build(
    ctx: Context,
    tag: str | None = None,
    registry: str | None = None,
    service: Sequence[str] | None = None,
    jobs: str | None = None,
    force: bool = False,
    no_deps: bool = False,
    pull: bool = False,
    no_cache: bool = False,
    record: bool = False,
    replay: bool = False,
    frozen: bool = False,
    fail_fast: bool = False,
    json: bool = False,
    junit: str | None = None,  # noqa: ARG001  # the Executor writes it
    strict: bool = False,
) -> None:
    """Build some services and what they depend on.

    Their dependency images are pulled first. Without -s, all services are built.

    Examples:
        inv build -s apphub
        inv build -s a -s b -j 2 --force
        inv build --json --junit build.xml
    """
    settings, console = _load(
        ctx,
        strict=strict,
        json=json,
        tag=tag,
        registry=registry,
        jobs=jobs,
        record=record,
        replay=replay,
        frozen=_yes(frozen),
    )
    repository = lib.repository.discover(settings, expected="services")
    _fetch_downloads(console, settings, repository.chosen(service or ()))
    report = lib.console.BuildReport(console)
    with lib.job.connect(settings) as backend:
        result = lib.job.build(
            repository,
            service or (),
            backend,
            settings,
            report,
            force=force,
            no_deps=no_deps,
            pull=pull,
            no_cache=no_cache,
            fail_fast=fail_fast,
            dry=console.dry,
        )
    report.end(result, repository, service or ())


@task(
    pre=[prefetch],
    help=_help(
        "tag", "registry", "jobs", "force", "record", "replay", "frozen", "fail_fast", "json", "junit", "strict"
    ),
)
def build_all(
    ctx: Context,
    tag: str | None = None,
    registry: str | None = None,
    jobs: str | None = None,
    force: bool = False,
    record: bool = False,
    replay: bool = False,
    frozen: bool = False,
    fail_fast: bool = False,
    json: bool = False,
    junit: str | None = None,  # noqa: ARG001  # the Executor writes it
    strict: bool = False,
) -> None:
    """Do the whole job, from prefetch to report.

    Steps: 0 prefetch, 1 check build state, 2 build, 3 copy Slurm packages, 4 verify, 5 report.

    Examples:
        inv build-all
        inv build-all -t v0.3.6-dev -r harbor.example/aihpc
        inv build-all push
        inv build-all --record
        inv build-all --json --junit build.xml
    """
    settings, console = _load(
        ctx,
        strict=strict,
        json=json,
        tag=tag,
        registry=registry,
        jobs=jobs,
        record=record,
        replay=replay,
        frozen=_yes(frozen),
    )
    repository = lib.repository.discover(settings, expected="services")
    _fetch_downloads(console, settings, repository.services)
    report = lib.console.BuildReport(console)
    with lib.job.connect(settings) as backend:
        result = lib.job.build_all(
            repository, backend, settings, report, force=force, fail_fast=fail_fast, dry=console.dry
        )
    report.step(5, "report")
    report.end(result, repository)


@task(help=_help("tag", "json"))
def copy_slurm(ctx: Context, tag: str | None = None, json: bool = False) -> None:
    """Copy slurm-build's packages into apphub.

    apphub serves them to apt and dnf. This is also a step of build-all. HUB_PACKAGES names other services.

    Examples:
        inv copy-slurm
        inv copy-slurm -t v0.3.6-dev
    """
    settings, console = _load(ctx, json=json, tag=tag)
    repository = lib.repository.discover(settings, expected="services")
    with lib.job.connect(settings) as backend:
        hubs = lib.hub.find_hubs(repository, settings)
        copied = (lib.job.copy_packages(hub, repository, backend, settings, dry=console.dry) for hub in hubs)
        lib.console.build.copied(console, copied, lib.hub.why_none(repository, settings))


@task(
    help=_help("tag", "registry", "service", "jobs", "create_project", "json", "strict")
    | {"force": "also push services that are out of date"},
    iterable=["service"],
)
def push(
    ctx: Context,
    tag: str | None = None,
    registry: str | None = None,
    service: Sequence[str] | None = None,
    jobs: str | None = None,
    force: bool = False,
    create_project: bool = False,
    json: bool = False,
    strict: bool = False,
) -> None:
    """Push the built services to the private registry.

    Services that are out of date are not pushed.

    Examples:
        inv push -s apphub
        inv build-all push -r harbor.example/aihpc
    """
    settings, console = _load(ctx, strict=strict, json=json, tag=tag, registry=registry, jobs=jobs)
    repository = lib.repository.discover(settings, expected="services")
    report = lib.console.PushReport(console)
    with lib.job.connect(settings) as backend:
        outcomes = lib.job.push(
            repository,
            service or (),
            backend,
            settings,
            report,
            force=force,
            create_project=create_project,
            dry=console.dry,
        )
    report.end(outcomes, repository, service or ())


@task(
    help=_help("tag", "registry", "jobs", "json", "strict")
    | {
        "update": "look all entries up again, or those of this image, such as debian:12; may be given several times",
        "check": "write nothing, and fail if images.lock would change",
    },
    iterable=["update"],
    optional=["update"],
)
def deps_lock(
    ctx: Context,
    tag: str | None = None,
    registry: str | None = None,
    jobs: str | None = None,
    update: Sequence[str | bool] | None = None,
    check: bool = False,
    json: bool = False,
    strict: bool = False,
) -> None:
    """Write the digests of the dependency images to images.lock.

    From then on, prefetch, builds, deps-push and deps-save take exactly these images, wherever their tags move. Entries
    stay as they are until --update.

    Examples:
        inv deps-lock
        inv deps-lock --update
        inv deps-lock --update debian:12 --check
    """
    settings, console = _load(ctx, strict=strict, json=json, tag=tag, registry=registry, jobs=jobs)
    repository = lib.repository.discover(settings, expected="images")
    wanted = lib.repository.dependencies.find(repository, settings)
    outcomes = lib.transfer.locking.update(
        repository,
        wanted,
        settings,
        named=[name for name in update if isinstance(name, str)] if update else None,
        on_start=console.on_start,
        dry=console.dry or check,
    )
    lib.console.lock.updated(console, outcomes, repository, check=check)


@task(
    help=_help("tag", "registry", "service", "jobs", "platform", "frozen", "create_project", "json", "strict"),
    iterable=["service", "platform"],
)
def deps_push(
    ctx: Context,
    tag: str | None = None,
    registry: str | None = None,
    service: Sequence[str] | None = None,
    jobs: str | None = None,
    platform: Sequence[str] | None = None,
    frozen: bool = False,
    create_project: bool = False,
    json: bool = False,
    strict: bool = False,
) -> None:
    """Copy the dependency images to the private registry.

    They are copied unchanged, with all platforms. What is already present is not copied again. If the downloads of the
    release were recorded, they are pushed, too.

    Examples:
        inv deps-push
        inv deps-push -r harbor.example/aihpc -t v0.3.6-dev
        inv --dry deps-push
    """
    settings, console = _load(ctx, strict=strict, json=json, tag=tag, registry=registry, jobs=jobs, frozen=_yes(frozen))
    repository = lib.repository.discover(settings, expected="images")
    wanted = lib.repository.dependencies.find(repository, settings, service or ())
    not_locked = lib.repository.lock_fit.check(repository, wanted, settings)
    report = lib.console.DepsPushReport(console)
    outcomes = lib.transfer.deps_push.push(
        wanted,
        settings,
        lambda: lib.engine.Engine.connect(settings),
        report,
        platforms=platform or (),
        create_project=create_project,
        dry=console.dry,
    )
    moved = lib.transfer.locking.drift(wanted, settings, lib.registry.source_chain.upstream)
    lib.console.lock.remarks(not_locked, moved)
    downloads = lib.transfer.push_downloads(
        settings, on_start=report.on_start, create_project=create_project, dry=console.dry
    )
    report.end(outcomes, repository, service or (), downloads)


@task(
    help=_help(
        *("tag", "registry", "service", "jobs", "file", "platform", "since", "split"),
        *("with_services", "downloads", "frozen", "json", "strict"),
    ),
    iterable=["service", "platform"],
)
def deps_save(
    ctx: Context,
    tag: str | None = None,
    registry: str | None = None,
    service: Sequence[str] | None = None,
    jobs: str | None = None,
    file: str | None = None,
    platform: Sequence[str] | None = None,
    since: str | None = None,
    split: str | None = None,
    with_services: bool = False,
    downloads: bool = False,
    frozen: bool = False,
    json: bool = False,
    strict: bool = False,
) -> None:
    """Save the dependency images in one file, a bundle.

    For a site without a network, where deps-load or docker load loads it.

    Examples:
        inv deps-save -f deps.tar
        inv deps-save --split 4G
        inv deps-save --since site.json
        inv deps-save --downloads
    """
    settings, console = _load(ctx, strict=strict, json=json, tag=tag, registry=registry, jobs=jobs, frozen=_yes(frozen))
    repository = lib.repository.discover(settings, expected="images")
    wanted = lib.repository.dependencies.find(repository, settings, service or ())
    not_locked = lib.repository.lock_fit.check(repository, wanted, settings)
    names = repository.chosen(service or ()) if with_services else ()
    services = [repository.services[name].image for name in names]
    report = lib.console.SaveReport(console)
    saved = lib.bundle.save(
        wanted,
        services,
        settings,
        lambda: lib.engine.Engine.connect(settings),
        report,
        path=_path(file) or lib.bundle.default_path(settings),
        platforms=platform or (),
        built=lib.job.built_in_registry(services, settings),
        since=_path(since),
        part_size=lib.bundle.part_size(split) if split else None,
        downloads=repository.chosen(service or ()) if downloads else None,
        dry=console.dry,
    )
    lib.console.lock.remarks(not_locked, lib.transfer.locking.drift(wanted, settings))
    report.end(saved, repository, service or ())


@task(
    help=_help("tag", "jobs", "file", "json")
    | {
        "registry": "load into this registry, not into the engine",
        "replace": "also replace images of this repository's services",
    }
)
def deps_load(
    ctx: Context,
    tag: str | None = None,
    registry: str | None = None,
    jobs: str | None = None,
    file: str | None = None,
    replace: bool = False,
    json: bool = False,
) -> None:
    """Load a bundle into the engine or a registry.

    Every byte of it is checked before anything is changed. With -r, it is loaded into that registry. Downloads that the
    bundle carries go into .build/downloads.

    Examples:
        inv deps-load -f deps.tar
        inv deps-load -f deps.tar -r harbor.example/aihpc
    """
    settings, console = _load(ctx, json=json, tag=tag, registry=registry, jobs=jobs)
    path = _path(file) or lib.bundle.default_path(settings)
    report = lib.console.LoadReport(console)
    kept = () if replace else lib.repository.discover(settings).own_images
    if registry is None:
        loaded = lib.bundle.into_engine(
            path, settings, lambda: lib.engine.Engine.connect(settings), report, kept=kept, dry=console.dry
        )
    else:
        loaded = lib.bundle.into_registry(path, settings, report, release=tag, kept=kept, dry=console.dry)
    report.end(loaded)


@task(
    help=_help("json")
    | {
        "registry": "list what this registry has, not the engine",
        "file": "the inventory (default: .build/inventory.json)",
    }
)
def deps_inventory(ctx: Context, registry: str | None = None, file: str | None = None, json: bool = False) -> None:
    """Write an inventory of an engine's or registry's blobs.

    deps-save --since leaves these blobs out, and the downloads in .build/downloads, which it lists as well.

    Examples:
        inv deps-inventory -f site.json
        inv deps-inventory -f site.json -r harbor.example/aihpc
    """
    settings, console = _load(ctx, json=json, registry=registry)
    repository = lib.repository.discover(settings, expected="images") if registry is not None else None
    if repository is None:
        base = lib.bundle.inventory.of_engine(lambda: lib.engine.Engine.connect(settings), settings)
    else:
        base = lib.bundle.inventory.of_registry(repository, settings)
    path = _path(file) or lib.bundle.inventory.default_path(settings)
    written = lib.bundle.inventory.write(base, path, settings, dry=console.dry)
    lib.console.bundle.inventory(console, base, written, repository)


@task(help=_help("tag", "jobs", "file", "json"))
def deps_verify(
    ctx: Context, tag: str | None = None, jobs: str | None = None, file: str | None = None, json: bool = False
) -> None:
    """Check every byte of a bundle, without an engine.

    Example:
        inv deps-verify -f deps.tar
    """
    settings, console = _load(ctx, json=json, tag=tag, jobs=jobs)
    path = _path(file) or lib.bundle.default_path(settings)
    lib.console.bundle.verified(console, lib.bundle.verify(path, settings, console))


@task(
    help=_help("tag", "service", "json")
    | {
        "verify": "read all content, and name what is missing or damaged",
        "export": "write the content to this directory, which any web server can serve as a mirror",
        "url": "where that directory will be served, such as http://hub.example:8080/mirror",
    },
    iterable=["service"],
)
def downloads(
    ctx: Context,
    tag: str | None = None,
    service: Sequence[str] | None = None,
    verify: bool = False,
    export: str | None = None,
    url: str | None = None,
    json: bool = False,
) -> None:
    """List what builds downloaded, besides images.

    build-all --record records it. What could not be recorded is listed, too. With --export, all is written as files.

    Examples:
        inv downloads
        inv downloads -s web --verify
        inv downloads --export .build/mirror --url http://hub.example:8080/mirror
    """
    settings, console = _load(ctx, json=json, tag=tag)
    store = lib.downloads.Store(settings)
    listing = lib.downloads.listed(store, settings.image_tag, service or (), verify=verify)
    exported = lib.downloads.export(
        listing.recordings, store, _path(export), settings.environment, base=url or "", dry=console.dry
    )
    lib.console.downloads.listed(console, listing, exported)


@task(
    help={
        "write": "write the mirrors of Docker Hub into the engine's daemon.json",
        "image": "the image to ask for, such as minio/minio:latest",
        "json": _HELP["json"],
    }
)
def mirrors(ctx: Context, write: bool = False, image: str | None = None, json: bool = False) -> None:
    """Check the mirrors, or write them into daemon.json.

    For each of REGISTRY_MIRRORS: whether it answers and serves the image, and how fast.

    Examples:
        inv mirrors
        inv mirrors --write
    """
    settings, console = _load(ctx, json=json)
    lib.console.mirrors.probed(console, lib.transfer.mirrors.probe(settings, image or ""))
    if write:
        lib.console.mirrors.written(console, lib.transfer.mirrors.write(settings, dry=console.dry))


@task(help={"password": "require a login, which is written to .build/registry/login"})
def registry_up(ctx: Context, password: bool = False) -> None:
    """Start a registry on this machine's loopback.

    It is for trying deps-push without a Harbor.

    Examples:
        inv registry-up
        inv registry-up --password
    """
    settings, console = _load(ctx)
    lib.console.machine.registry_up(
        console, lib.machine.local_registry.up(settings, password=password, dry=console.dry)
    )


@task
def registry_down(ctx: Context) -> None:
    """Stop the registry that registry-up started.

    Its images are kept in .build/registry.

    Example:
        inv registry-down
    """
    settings, console = _load(ctx)
    lib.console.machine.registry_down(console, ended=lib.machine.local_registry.down(settings, dry=console.dry))


@task(help=_help("json") | {"prune": "empty the build caches of those that BUILDERS names by their addresses"})
def builders(ctx: Context, prune: bool = False, json: bool = False) -> None:
    """Show whether each of BUILDERS answers, and its cache.

    Those that do not run are started, as builds do. With --prune, the caches of your own buildx builders are kept.

    Examples:
        inv builders
        inv --dry builders --prune
    """
    settings, console = _load(ctx, json=json)
    inspected = lib.fleet.inspect(settings)
    pruned = lib.fleet.prune(inspected, settings, dry=console.dry) if prune else None
    lib.console.builders.inspected(console, inspected, pruned, settings)


@task(help=_help("registry", "json"))
def doctor(ctx: Context, registry: str | None = None, json: bool = False) -> None:
    """Show what is missing or wrong here, and how to fix it.

    Nothing is changed. The exit code is 1 if a finding is bad.

    Examples:
        inv doctor
        inv doctor --json
    """
    settings, console = _load(ctx, json=json, registry=registry)
    lib.console.doctor.examined(console, lib.job.doctor.examine(settings))


@task(help=_help("tag", "registry", "service", "jobs"), iterable=["service"])
def watch(
    ctx: Context,
    tag: str | None = None,
    registry: str | None = None,
    service: Sequence[str] | None = None,
    jobs: str | None = None,
) -> None:
    """Build services again whenever their files are saved.

    Their dependents are built too. Without -s, all services are watched. ^C ends it.

    Examples:
        inv watch
        inv watch -s apphub
    """
    settings, console = _load(ctx, tag=tag, registry=registry, jobs=jobs)
    lib.job.watch(service or (), settings, lib.console.WatchReport(console, service or ()))


@task(
    help=_help("service", "tag") | {"follow": "also print what running builds write, until they end"},
    iterable=["service"],
)
def logs(ctx: Context, service: Sequence[str] | None = None, tag: str | None = None, follow: bool = False) -> None:
    """Print the logs of the last builds.

    Examples:
        inv logs -s apphub
        inv logs -s apphub -s slurm-build --follow
    """
    settings, console = _load(ctx, tag=tag)
    repository = lib.repository.discover(settings, expected="services")
    names = service or lib.job.logs.names(repository, settings)
    lib.console.logs.logs(console, lib.job.logs.read(repository, names, settings, follow=follow), names)


@task(
    help={
        "keep": "how many earlier releases of each service to keep in the engine (default: 1)",
        "yes": "remove without asking",
    }
)
def clean(ctx: Context, keep: int = 1, yes: bool = False) -> None:
    """Remove unused files and images that this tool created.

    These are killed runs' containers, untagged images, earlier releases, and files in .build. They are listed first,
    and removed only after confirmation.

    Examples:
        inv clean
        inv clean --keep 3 --yes
        inv --dry clean
    """
    settings, console = _load(ctx)
    repository = lib.repository.discover(settings)
    with lib.job.clean.connected(settings) as engine:
        wanted = lib.repository.dependencies.find(repository, settings)
        leftovers = lib.job.clean.find(repository, wanted, engine, settings, keep=keep)
        if lib.console.clean.may_remove(console, leftovers, engine_is_there=engine is not None, yes=yes):
            lib.console.clean.removed(console, leftovers, lib.job.clean.remove(leftovers, engine, settings))


@task(help={"path": "the repository (default: the one that this is called from)"})
def init(ctx: Context, path: str | None = None) -> None:
    """Give another repository these tasks, and settings.

    The settings fit what it has. It gets an inv of its own, tasks.py, and .env. Nothing of its own is changed; lines
    are added to .gitignore and .env.

    Examples:
        inv --dry init
        inv init --path ../other
    """
    named = _path(path)
    settings = lib.settings.Settings.load(ROOT if named else _root(ctx))
    root = named.resolve() if named else settings.project_root
    done = lib.job.init.initialize(root, settings.environment, dry=ctx.config.run.dry)
    lib.console.init.initialized(lib.console.Console(done.survey.settings, dry=ctx.config.run.dry), done)


@task(help={"report": "rewrite docs/test-report.md"}, takes_rest=True)
def test(ctx: Context, report: bool = False) -> None:  # noqa: PT028  # a task, not a test
    """Run the tests, including those with a real engine.

    Arguments after `--` are passed to pytest.

    Examples:
        inv test
        inv test --report
        inv test -- -k reference
    """
    console = _own_console(ctx)
    lib.development.test(ROOT, _after_dashes(), console.line, report=report, dry=console.dry)


@task
def lint(ctx: Context) -> None:
    """Check style and types.

    Example:
        inv lint
    """
    console = _own_console(ctx)
    lib.development.lint(ROOT, console.line, dry=console.dry)


@task(takes_rest=True)
def bench(ctx: Context) -> None:
    """Run the benchmarks, which print ratios.

    Names after `--` choose some of bench/.

    Example:
        inv bench -- extraction
    """
    console = _own_console(ctx)
    lib.development.bench(ROOT, _after_dashes(), console.line, dry=console.dry)


def _after_dashes() -> list[str]:
    """The arguments after `--`: invoke passes them on as one string, which has lost its quotes."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []


def collection(file: str, *own: InvokeTask[Callable[..., Any]]) -> Collection:
    """The tasks for the repository whose tasks.py is `file`, and its own, which replace those of the same names.

    Those for developing these tasks are left out.
    """
    left_out = (test, lint, bench)
    found = Collection(*(item for item in globals().values() if isinstance(item, Task) and item not in left_out), *own)
    found.configure({REPOSITORY_KEY: str(Path(file).resolve().parent)})
    return found


take_over()
