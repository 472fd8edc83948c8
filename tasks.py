"""The commands: flags in, one call of build_lib, one report out. `inv --list` shows them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.context import Context

import build_lib as lib
from build_lib.executor import Task, task

if TYPE_CHECKING:
    from build_lib.console import Console
    from build_lib.settings import Settings

ROOT = Path(__file__).resolve().parent
_ROOT_KEY = "build_lib_root"  # in invoke's configuration: the repository that has its tasks from here
_HELP = {
    "tag": "the release, such as v0.3.6-dev (IMAGE_TAG)",
    "registry": "your own registry, host[:port]/project (PRIVATE_REGISTRY)",
    "service": "a service's name; may be given several times",
    "jobs": "how much runs at once (JOBS)",
    "file": "the bundle (default: .build/deps-TAG.tar)",
    "since": "leave out what the site has: its inventory, an earlier bundle, or the build-lib.json of one",
    "split": "write parts of at most this size, such as 650M or 4G",
    "with_services": "add the built services, from the engine",
    "json": "print JSON for programs",
    "platform": "copy images for this platform alone, such as linux/amd64; may be given several times",
    "create_project": "make the project in a Harbor that has none of that name",
    "kind": "build or runtime: only images that Dockerfiles need, or that are only run",
    "plain": "print the images' names alone, one a line",
    "no_deps": "build the named services alone, on what they stand on as it is",
    "pull": "have the builder look for newer base images at their registries",
    "force": "build also what is up to date",
    "fail_fast": "stop at the first failure",
}


def _help(*names: str) -> dict[str, str]:
    return {name: _HELP[name] for name in names}


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def _load(ctx: Context, *, json: bool = False, **flags: str | None) -> tuple["Settings", "Console"]:
    """The settings, and a console for the run."""
    settings = lib.settings.Settings.load(Path(ctx.config.get(_ROOT_KEY, ROOT)), flags)
    return settings, lib.console.Console(settings, json=json, dry=ctx.config.run.dry)


@task
def engine_up(ctx: Context) -> None:
    """Make sure that a Docker Engine answers.

    One that runs is used as it is; else the distribution's is installed (as root, by apt) and started.

    Examples:
        inv engine-up
        inv engine-up build-all
    """
    settings, console = _load(ctx)
    lib.console.machine.engine_up(console, lib.machine.daemon.up(settings, dry=console.dry))


@task
def engine_down(ctx: Context) -> None:
    """End the Docker Engine that engine-up started.

    Any other is left alone.

    Example:
        inv engine-down
    """
    settings, console = _load(ctx)
    lib.console.machine.engine_down(console, lib.machine.daemon.down(settings, dry=console.dry))


@task(help=_help("tag", "json"))
def services(ctx: Context, tag: str | None = None, json: bool = False) -> None:
    """List what there is to build, and what it stands on.

    Examples:
        inv services
        inv services --json
    """
    settings, console = _load(ctx, json=json, tag=tag)
    repository = lib.repository.discover(settings)
    lib.console.overview.services(console, repository)


@task(help=_help("tag", "service", "kind", "plain", "json"), iterable=["service"])
def deps(
    ctx: Context,
    tag: str | None = None,
    service: Sequence[str] | None = None,
    kind: str | None = None,
    plain: bool = False,
    json: bool = False,
) -> None:
    """List every dependency image: who needs it, and where.

    Examples:
        inv deps
        inv deps -s apphub --kind build
        inv deps --plain
    """
    settings, console = _load(ctx, json=json, tag=tag)
    repository = lib.repository.discover(settings)
    found = lib.repository.dependencies.find(repository, settings, service or (), kind=kind)
    lib.console.overview.deps(console, found, repository, plain=plain)


@task(help=_help("tag", "json"))
def status(ctx: Context, tag: str | None = None, json: bool = False) -> None:
    """Show what is built, and what would be rebuilt and why.

    Examples:
        inv status
        inv status -t v0.3.6-dev --json
    """
    settings, console = _load(ctx, json=json, tag=tag)
    repository = lib.repository.discover(settings)
    with lib.engine.Engine.connect(settings) as engine:
        checks = lib.build.check(repository.services, engine, settings)
    lib.console.overview.status(console, checks, repository)


@task(help=_help("service") | {"format": "text, mermaid, dot or svg (by graphviz)"}, iterable=["service"])
def graph(ctx: Context, service: Sequence[str] | None = None, format: str = "text") -> None:
    """Draw what stands on what: services and outside images.

    Examples:
        inv graph
        inv graph -s apphub --format mermaid
    """
    settings, console = _load(ctx)
    repository = lib.repository.discover(settings)
    picture = lib.repository.graph_picture.draw(repository.chosen(service or ()), format, settings)
    lib.console.overview.graph(console, picture, repository)


@task(help=_help("tag", "registry", "service", "jobs", "fail_fast", "json"), iterable=["service"])
def prefetch(
    ctx: Context,
    tag: str | None = None,
    registry: str | None = None,
    service: Sequence[str] | None = None,
    jobs: str | None = None,
    fail_fast: bool = False,
    json: bool = False,
) -> None:
    """Bring every dependency image into the engine.

    Each comes from the first source that has it: private registry, mirrors, its own registry, apt mirror.

    Examples:
        inv prefetch
        inv --dry prefetch
        inv prefetch -r harbor.example/aihpc -j 16
    """
    settings, console = _load(ctx, json=json, tag=tag, registry=registry, jobs=jobs)
    repository = lib.repository.discover(settings)
    wanted = lib.repository.dependencies.find(repository, settings, service or ())
    report = lib.console.PrefetchReport(console)
    report.begin(wanted, caller=ctx.get("caller", ""))
    with lib.engine.Engine.connect(settings) as engine:
        if console.dry:
            report.end_dry(lib.transfer.prefetch.plan(wanted, engine, settings))
        else:
            report.end(lib.transfer.prefetch.prefetch(wanted, engine, settings, report, fail_fast=fail_fast))


@task(
    pre=[prefetch],
    help=_help("tag", "registry", "service", "jobs", "force", "no_deps", "pull", "fail_fast"),
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
    fail_fast: bool = False,
) -> None:
    """Build some services, and what they stand on.

    Their images are brought in before. Without -s, all services are built.

    Examples:
        inv build -s apphub
        inv build -s a -s b -j 2 --force
    """
    settings, console = _load(ctx, tag=tag, registry=registry, jobs=jobs)
    repository = lib.repository.discover(settings)
    report = lib.console.BuildReport(console)
    with lib.engine.Engine.connect(settings) as engine:
        result = lib.job.build(
            repository,
            service or (),
            engine,
            settings,
            report,
            force=force,
            no_deps=no_deps,
            pull=pull,
            fail_fast=fail_fast,
            dry=console.dry,
        )
    report.end(result, repository)


@task(pre=[prefetch], help=_help("tag", "registry", "jobs", "force", "fail_fast"))
def build_all(
    ctx: Context,
    tag: str | None = None,
    registry: str | None = None,
    jobs: str | None = None,
    force: bool = False,
    fail_fast: bool = False,
) -> None:
    """Do the whole job, from prefetch to report.

    Steps: 0 prefetch, 1 check build state, 2 build, 3 copy Slurm packages, 4 verify, 5 report.

    Examples:
        inv build-all
        inv build-all -t v0.3.6-dev -r harbor.example/aihpc
        inv build-all push
    """
    settings, console = _load(ctx, tag=tag, registry=registry, jobs=jobs)
    repository = lib.repository.discover(settings)
    report = lib.console.BuildReport(console)
    with lib.engine.Engine.connect(settings) as engine:
        result = lib.job.build_all(
            repository, engine, settings, report, force=force, fail_fast=fail_fast, dry=console.dry
        )
    report.step(5, "report")
    report.end(result, repository)


@task(help=_help("tag"))
def copy_slurm(ctx: Context, tag: str | None = None) -> None:
    """Put slurm-build's packages into apphub.

    apphub serves them to apt. This is also a step of build-all.

    Examples:
        inv copy-slurm
        inv copy-slurm -t v0.3.6-dev
    """
    settings, console = _load(ctx, tag=tag)
    repository = lib.repository.discover(settings)
    with lib.engine.Engine.connect(settings) as engine:
        lib.console.build.copied(console, lib.hub.copy_slurm.copy(repository, engine, settings, dry=console.dry))


@task(help=_help("tag", "registry", "service", "jobs", "force", "create_project", "json"), iterable=["service"])
def push(
    ctx: Context,
    tag: str | None = None,
    registry: str | None = None,
    service: Sequence[str] | None = None,
    jobs: str | None = None,
    force: bool = False,
    create_project: bool = False,
    json: bool = False,
) -> None:
    """Push the built services into the private registry.

    What is not built as its files are now is not pushed.

    Examples:
        inv push -s apphub
        inv build-all push -r harbor.example/aihpc
    """
    settings, console = _load(ctx, json=json, tag=tag, registry=registry, jobs=jobs)
    repository = lib.repository.discover(settings)
    report = lib.console.PushReport(console)
    with lib.engine.Engine.connect(settings) as engine:
        outcomes = lib.job.push(
            repository,
            service or (),
            engine,
            settings,
            report,
            force=force,
            create_project=create_project,
            dry=console.dry,
        )
    report.end(outcomes, repository)


@task(
    help=_help("tag", "registry", "service", "jobs", "platform", "create_project", "json"),
    iterable=["service", "platform"],
)
def deps_push(
    ctx: Context,
    tag: str | None = None,
    registry: str | None = None,
    service: Sequence[str] | None = None,
    jobs: str | None = None,
    platform: Sequence[str] | None = None,
    create_project: bool = False,
    json: bool = False,
) -> None:
    """Copy the dependency images into the private registry.

    Unchanged, with all platforms, and only what is missing there.

    Examples:
        inv deps-push
        inv deps-push -r harbor.example/aihpc -t v0.3.6-dev
        inv --dry deps-push
    """
    settings, console = _load(ctx, json=json, tag=tag, registry=registry, jobs=jobs)
    repository = lib.repository.discover(settings)
    wanted = lib.repository.dependencies.find(repository, settings, service or ())
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
    report.end(outcomes, repository)


@task(
    help=_help("tag", "registry", "service", "jobs", "file", "platform", "since", "split", "with_services", "json"),
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
    json: bool = False,
) -> None:
    """Write the dependency images into one file.

    For a site with no network, where deps-load or docker load takes it in.

    Examples:
        inv deps-save -f deps.tar
        inv deps-save --split 4G
        inv deps-save --since site.json
    """
    settings, console = _load(ctx, json=json, tag=tag, registry=registry, jobs=jobs)
    repository = lib.repository.discover(settings)
    names = repository.chosen(service or ()) if with_services else ()
    report = lib.console.SaveReport(console)
    saved = lib.bundle.save(
        lib.repository.dependencies.find(repository, settings, service or ()),
        [repository.services[name].image for name in names],
        settings,
        lambda: lib.engine.Engine.connect(settings),
        report,
        path=_path(file) or lib.bundle.default_path(settings),
        platforms=platform or (),
        since=_path(since),
        part_size=lib.bundle.part_size(split) if split else None,
        dry=console.dry,
    )
    report.end(saved, repository)


@task(help=_help("tag", "jobs", "file", "json") | {"registry": "load into this registry, not into the engine"})
def deps_load(
    ctx: Context,
    tag: str | None = None,
    registry: str | None = None,
    jobs: str | None = None,
    file: str | None = None,
    json: bool = False,
) -> None:
    """Load a bundle into the engine or a registry.

    Every byte of it is checked before anything is touched. With -r, it goes into that registry.

    Examples:
        inv deps-load -f deps.tar
        inv deps-load -f deps.tar -r harbor.example/aihpc
    """
    settings, console = _load(ctx, json=json, tag=tag, registry=registry, jobs=jobs)
    path = _path(file) or lib.bundle.default_path(settings)
    report = lib.console.LoadReport(console)
    if registry is None:
        outcomes = lib.bundle.into_engine(
            path, settings, lambda: lib.engine.Engine.connect(settings), report, dry=console.dry
        )
    else:
        outcomes = lib.bundle.into_registry(path, settings, report, release=tag, dry=console.dry)
    report.end(outcomes)


@task(
    help=_help("json")
    | {
        "registry": "of what this registry has, not the engine",
        "file": "the inventory (default: .build/inventory.json)",
    }
)
def deps_inventory(ctx: Context, registry: str | None = None, file: str | None = None, json: bool = False) -> None:
    """Write down which blobs the engine or a registry has.

    deps-save --since leaves them out.

    Examples:
        inv deps-inventory -f site.json
        inv deps-inventory -f site.json -r harbor.example/aihpc
    """
    settings, console = _load(ctx, json=json, registry=registry)
    if registry is None:
        base = lib.bundle.inventory.of_engine(lambda: lib.engine.Engine.connect(settings))
    else:
        base = lib.bundle.inventory.of_registry(lib.repository.discover(settings), settings)
    path = _path(file) or lib.bundle.inventory.default_path(settings)
    lib.console.bundle.inventory(console, base, lib.bundle.inventory.write(base, path, dry=console.dry))


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
    help={
        "write": "make those of Docker Hub the engine's own, in its daemon.json",
        "image": "the image to ask for, such as minio/minio:latest",
        "json": _HELP["json"],
    }
)
def mirrors(ctx: Context, write: bool = False, image: str | None = None, json: bool = False) -> None:
    """Ask the mirrors, or write them into the engine's settings.

    Those of REGISTRY_MIRRORS: whether they answer and serve, and how fast.

    Examples:
        inv mirrors
        inv mirrors --write
    """
    settings, console = _load(ctx, json=json)
    lib.console.mirrors.probed(console, lib.transfer.mirrors.probe(settings, image or ""))
    if write:
        lib.console.mirrors.written(console, lib.transfer.mirrors.write(settings, dry=console.dry))


@task(help={"password": "let nobody in without the login that .build/registry/login then has"})
def registry_up(ctx: Context, password: bool = False) -> None:
    """Start a registry on this machine's loopback.

    To try deps-push without a Harbor.

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
    """End the registry that registry-up started.

    What it holds stays in .build/registry.

    Example:
        inv registry-down
    """
    settings, console = _load(ctx)
    lib.console.machine.registry_down(console, ended=lib.machine.local_registry.down(settings, dry=console.dry))


@task(help=_help("registry", "json"))
def doctor(ctx: Context, registry: str | None = None, json: bool = False) -> None:
    """Say what is missing or wrong here, and what mends it.

    Nothing is changed. The exit code is 1 if something is bad.

    Examples:
        inv doctor
        inv doctor --json
    """
    settings, console = _load(ctx, json=json, registry=registry)
    lib.console.doctor.examined(console, lib.job.doctor.examine(settings))


@task(
    help={
        "keep": "how many earlier releases of each service stay in the engine; 1 unless told",
        "yes": "remove without asking",
    }
)
def clean(ctx: Context, keep: int = 1, yes: bool = False) -> None:
    """Remove what the tool made and nobody needs any more.

    Killed runs' containers, images without a name, earlier releases, .build; shown before, and asked for.

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


@task(help={"path": "the repository; the current directory unless told"})
def init(ctx: Context, path: str = ".") -> None:
    """Give another repository these tasks.

    Writes its tasks.py, invoke.yaml and .env.example; nothing that is there is overwritten.

    Example:
        inv init --path ../other
    """
    _, console = _load(ctx)
    lib.console.init.initialized(console, lib.job.init.initialize(Path(path).resolve(), dry=console.dry))


@task(help={"report": "write docs/test-report.md anew"})
def test(ctx: Context, report: bool = False) -> None:  # noqa: PT028  # a task, and no test
    """Run the tests, those with a real engine too.

    What follows `--` goes to pytest.

    Examples:
        inv test
        inv test --report
        inv test -- -k reference
    """
    _, console = _load(ctx)
    lib.development.test(ROOT, _behind_dashes(), console.line, report=report, dry=console.dry)


@task
def lint(ctx: Context) -> None:
    """Check style and types.

    Example:
        inv lint
    """
    _, console = _load(ctx)
    lib.development.lint(ROOT, console.line, dry=console.dry)


@task
def bench(ctx: Context) -> None:
    """Run the benchmarks, which print ratios.

    Names of bench/ behind `--` choose some.

    Example:
        inv bench -- extraction
    """
    _, console = _load(ctx)
    lib.development.bench(ROOT, _behind_dashes(), console.line, dry=console.dry)


def _behind_dashes() -> list[str]:
    """The words behind `--`: invoke hands them on as one text, which has lost what was quoted."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []


def collection(file: str) -> Collection:
    """The tasks for the repository whose tasks.py is `file`; without those for work on these tasks themselves."""
    own = (test, lint, bench)
    found = Collection(*(item for item in globals().values() if isinstance(item, Task) and item not in own))
    found.configure({_ROOT_KEY: str(Path(file).resolve().parent)})
    return found
