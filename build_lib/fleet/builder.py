"""Builds services on the builders of a fleet, each on the one that the schedule chooses for it."""

import json
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from build_lib.build import Check, Form, Output, Records, builders, flags
from build_lib.errors import BuildError, BuildFailed
from build_lib.fleet.member import Member
from build_lib.fleet.members import Members
from build_lib.fleet.registry_store import RegistryStore
from build_lib.fleet.schedule import Schedule, Task
from build_lib.graph import Again, Cancel
from build_lib.process import read_all
from build_lib.reference import Reference
from build_lib.registry import is_sha256, retry
from build_lib.repository import IMAGE, Service, as_image_name
from build_lib.settings import Settings

_INSTRUCTION_FAILED = "did not complete successfully"  # solver/llbsolver/ops: a process of RUN
_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_BROKEN = re.compile(
    r"failed to receive status|code = Unavailable|\bUnavailable: |DeadlineExceeded|waiting for connection"
    r"|Cannot connect to the Docker daemon|error during connect"
)
_ANSWER_SECONDS = 10  # for a builder whose connection broke, to show that it is there again
_FIRST_WAIT_SECONDS = 3  # before another try on the same builder, doubled each time


class FleetBuilder:
    """See builders.Builder and build.Placement, of which it is both. `tell` gets remarks, in the thread of the run."""

    def __init__(
        self,
        members: Members,
        checks: Mapping[str, Check],
        store: RegistryStore,
        settings: Settings,
        tell: Callable[[str], None],
        *,
        form: Form,
        no_cache: bool,
    ) -> None:
        self.name = members.words
        self.form = form
        self._members = members
        self._checks = checks
        self._store = store
        self._settings = settings
        self._tell = tell
        self._no_cache = no_cache
        self._secrets = builders.secret_sources(settings)
        tasks = [task for check in checks.values() if check.reason for task in self._tasks(check)]
        self._schedule = Schedule(tasks, members.capacities)
        self._most = settings.jobs or settings.build_jobs or members.places  # at once, in the whole run
        self._deciding = threading.Lock()  # held to use the schedule
        self._placed: dict[str, str] = {}  # services that occupy a place, and their tasks in the schedule
        self._where: dict[str, str] = {}  # services that are built, or were, and their builders
        self._parts: dict[str, dict[str, str]] = {}  # digests of services that are built, by platform
        self._moved: set[str] = set()  # services that have left a full builder

    def next(self, ready: Sequence[str]) -> str | None:
        """See build.Placement. Without any builder left, the next service is chosen to fail."""
        self.tell_remarks()
        with self._deciding:
            for name in tuple(self._members.lost):  # another thread may add to it
                self._schedule.lost(name)
            if not self._schedule.left:
                return ready[0]
            if len(self._placed) >= self._most:
                return None
            names = {_task_name(name, self._platforms_left(self._checks[name].service)[0]): name for name in ready}
            chosen = self._schedule.next(names)
            if chosen is None:
                return None
            task, builder = chosen
            name = names[task]
            self._placed[name], self._where[name] = task, builder
            return name

    def ended(self, name: str, *, done: bool) -> None:
        """See build.Placement."""
        self._free_place(name, done=done)
        self.tell_remarks()

    def place(self, name: str) -> str:
        """See builders.Builder."""
        return self._where.get(name, "")

    def tell_remarks(self) -> None:
        """Tell which builders were left out since the last call."""
        for remark in self._members.remarks():
            self._tell(f"  {remark}")

    def build(self, request: builders.Request, output: Output, cancel: Cancel) -> bool:
        """See builders.Builder. A failed instruction is final; other failures are tried again, here or elsewhere."""
        service = request.service
        name, platforms = service.name, self._platforms_left(service)
        if name not in self._placed:
            raise BuildFailed(f"{name} is not built: no builder is left: {self._members.why_lost}")
        member = self._members.by_name[self._where[name]]
        if not self._members.able(platforms[0]):
            raise BuildFailed(
                f"{name} is not built: no builder has the platform {platforms[0]}",
                hint="./inv builders shows their platforms; a daemon emulates what its machine's binfmt_misc knows",
            )
        for tried in range(self._settings.tries):
            if tried:
                cancel.sleep_quietly(_FIRST_WAIT_SECONDS * 2 ** (tried - 1))
                output.again(f"another try on {member.name}, because that may pass")
            with self._members.ending(member, cancel) as ending:
                digest = self._run(request, platforms[0], member, output, ending)
            if digest:
                self._parts.setdefault(name, {})[platforms[0]] = digest
                return self._built(service, platforms[1:])
            if cancel.requested() or not (ending.requested() or self._may_pass(member, output, name)):
                return False
            if member.name in self._members.lost:
                break
        if member.name in self._members.lost:
            self._free_place(name, done=False)
            raise Again
        if ending.requested():
            raise BuildFailed(f"{name} is not built: {self._members.why_stopped}")
        return False

    def _free_place(self, name: str, *, done: bool) -> None:
        with self._deciding:
            task = self._placed.pop(name, None)
            if task:
                self._schedule.ended(task, done=done)

    def _built(self, service: Service, left: Sequence[str]) -> bool:
        """The service is built for one more platform; those that are left are built next.

        Raises:
            Again: some are left.
        """
        if left:
            self._free_place(service.name, done=True)
            raise Again
        parts = self._parts.pop(service.name)
        if len(parts) > 1:
            self._store.put_index(service.image, parts)
        else:
            [digest] = parts.values()
            self._store.put(service.image, digest)
        return True

    def _may_pass(self, member: Member, output: Output, name: str) -> bool:
        """Whether another try may succeed, here or, if the builder is found to be lost, elsewhere."""
        step = output.failed
        said = "\n".join([step.error, *step.lines] if step else [output.error])
        if member.name in self._members.lost:
            return True
        if _FULL.search(said):
            if name in self._moved or not self._members.others(member):
                return False
            self._moved.add(name)
            self._members.lose(member, "its disk is full")
            return True
        if step and _INSTRUCTION_FAILED in step.error:
            return False
        if _BROKEN.search(said) or _BROKEN.search(output.error):
            self._members.check(member, min(_ANSWER_SECONDS, self._settings.stall_seconds))
            return True
        return retry.classify(BuildError(step.error if step else output.error)) is not retry.Kind.FINAL

    def _run(self, request: builders.Request, platform: str, member: Member, output: Output, ending: Cancel) -> str:
        """Run buildx, and return the digest of the image that it pushed; "" if it failed."""
        service = request.service
        with (
            tempfile.TemporaryDirectory(prefix="build-lib-") as directory,
            builders.dockerfile(service, output.path) as path,
        ):
            metadata = Path(directory) / "metadata.json"
            is_engine = self._members.seen[member.name].is_engine
            given = request.outside.arguments
            environment = flags.past_proxies({**member.environment, **given}, request.hosts)
            command = [
                *member.command,
                "build",
                f"--progress={self.form}",
                *flags.options(self._with_contexts(service, platform), request.labels),
                *flags.secrets(self._secrets),
                *flags.proxies(environment),
                *flags.by_name(given),
                *("--output", self._store.output(service.image, by_digest=not is_engine)),
                *self._cache(service, export=not is_engine),
                *(["--no-cache"] if self._no_cache else []),
                *("--metadata-file", str(metadata), "--file", str(path), str(service.context)),
            ]
            code = read_all(command, output, cancel=ending, env=environment)
            output.flush()
            return _digest(metadata) if code == 0 else ""

    def _with_contexts(self, service: Service, platform: str) -> Service:
        """The service for one platform, with the image for each name that its build uses, by digest."""
        found = dict(service.additional_contexts)
        locked = {use.written: use.image for use in service.external if use.kind == "context"}
        for name, place in found.items():
            if place.startswith(IMAGE):
                found[name] = self._store.context(locked.get(name) or Reference.parse(place.removeprefix(IMAGE)))
        for use in service.external:
            if use.reached:
                found[str(Reference.parse(use.name))] = self._store.context(use.image)
        for image in self._siblings(service):
            found[str(image)] = self._store.context(image)
        return replace(
            service,
            additional_contexts=tuple(found.items()),
            platform=platform,
            args={**service.args, **self._front_end(service)},
        )

    def _front_end(self, service: Service) -> dict[str, str]:
        """The build argument that replaces the image of a syntax directive; no other context can."""
        image = next((use.image for use in service.external if use.kind == "syntax"), None)
        if image is None or not self._store.is_registry:
            return {}
        return {"BUILDKIT_SYNTAX": str(self._store.by_digest(image))}

    def _siblings(self, service: Service) -> Iterator[Reference]:
        """The images of the services that it depends on, by all names that a Dockerfile may use."""
        for name, image in self._checks[service.name].siblings.items():
            yield image
            in_compose = self._checks[name].service.in_compose if name in self._checks else None
            if in_compose is not None:
                self._store.hold(in_compose, self._store.digest(image) or "")
                yield in_compose

    def _cache(self, service: Service, *, export: bool) -> Iterator[str]:
        """Where the service's cache is kept and taken from; a release without one begins with another release's."""
        registry = self._settings.cache_registry
        if registry is None:
            return
        repository = f"{registry}/build-cache/{as_image_name(service.name)}"
        own = f"{repository}:{self._settings.image_tag}"
        insecure = ",registry.insecure=true" if registry.host in self._settings.insecure_registries else ""
        if export:
            to = f"type=registry,ref={own},mode=max,image-manifest=true,ignore-error=true{insecure}"
            yield from ("--cache-to", to)
        yield from ("--cache-from", f"type=registry,ref={own}{insecure}")
        if self._settings.cache_release:
            other = f"{repository}:{self._settings.cache_release}"
            yield from ("--cache-from", f"type=registry,ref={other}{insecure}")

    def _platforms(self, service: Service) -> list[str]:
        return (service.platform or self._store.platform).split(",")

    def _platforms_left(self, service: Service) -> list[str]:
        """The platforms that the service is still to be built for: one after the other, each where it is native."""
        return [name for name in self._platforms(service) if name not in self._parts.get(service.name, {})]

    def _tasks(self, check: Check) -> Iterator[Task]:
        """What the schedule is to place: the service for each platform, after all that it depends on."""
        records = Records(check.service, self._settings)
        parents = [self._checks[name].service for name in check.service.needs if name in self._checks]
        needs = tuple(_task_name(each.name, platform) for each in parents for platform in self._platforms(each))
        platforms = self._platforms(check.service)
        for platform in platforms:
            yield Task(
                name=_task_name(check.service.name, platform),
                needs=needs,
                seconds=records.seconds(),
                builder=records.place() if len(platforms) == 1 else "",
                platform=platform,
            )


def _task_name(service: str, platform: str) -> str:
    return f"{service} {platform}"


def _digest(metadata: Path) -> str:
    """The digest of the pushed image, as buildx writes it; "" if it wrote none."""
    try:
        found = json.loads(metadata.read_bytes()).get("containerimage.digest", "")
    except (OSError, ValueError, AttributeError):
        return ""
    return found if isinstance(found, str) and is_sha256(found) else ""
