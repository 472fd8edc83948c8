"""Records of runs, as `last-run.json` has them, for what is made from them."""

from collections.abc import Sequence
from typing import Any


def run(services: Sequence[dict[str, Any]] = (), **values: Any) -> dict[str, Any]:
    """A run that came to its end."""
    return {
        "format": 1,
        "command": "build-all",
        "began": "2026-11-25T08:12:43+00:00",
        "seconds": 60.0,
        "tag": "v0.3.6-dev",
        "commit": "3f9c2d7a41e05b86c2f1d09e7ab4c85d6e10f372",
        "uncommitted": False,
        "engine": "20.10.24",
        "platform": "linux/amd64",
        "builder": "BuildKit in docker 20.10.24",
        "jobs": 4,
        "result": "done",
        "steps": [],
        "services": list(services),
        "dependencies": [],
        "packages": None,
        "downloads": None,
        "failures": [],
        **values,
    }


def service(name: str, state: str = "built", *needs: str, **values: Any) -> dict[str, Any]:
    """A service; without a state, built."""
    return {
        "name": name,
        "image": f"ai-infra-{name}:v0.3.6-dev",
        "size": None if state in ("failed", "blocked", "not begun") else 123_456_789,
        "state": state,
        "reason": "",
        "began": None,
        "seconds": None,
        "builder": None,
        "needs": list(needs),
        "build_with": [],
        "base_images": [],
        "blocked_by": [],
        "log": None,
        "error": None,
        "hint": None,
        "tail": [],
        **values,
    }


def dependency(image: str, source: str | None = "registry-1.docker.io", **values: Any) -> dict[str, Any]:
    """A dependency image; without a source, one that is not available."""
    return {
        "image": image,
        "source": source,
        "seconds": None if source in (None, "engine") else 4.2,
        "bytes": None if source in (None, "engine") else 12_345_678,
        "tries": 1,
        "refusals": [],
        "needed_by": [
            {
                "needed_by": "apphub",
                "kind": "from",
                "path": "src/apphub/Dockerfile",
                "line": 3,
                "build": True,
                "platform": "",
            }
        ],
        **values,
    }


def built(name: str, began: float, took: float, *needs: str, **values: Any) -> dict[str, Any]:
    """A service that was built, and why."""
    given = {"reason": "context changed: nginx.conf, 2 more", "log": f"logs/{name}.log", **values}
    return service(name, "built", *needs, began=began, seconds=took, **given)


def realistic() -> dict[str, Any]:
    """A run of fifteen services in which one failed, and an image was not available."""
    debian = {"base_images": ["debian:bookworm-slim"]}
    tail = [
        "checking for munge installation... no",
        "configure: error: unable to locate munge.h",
        "make: *** [debian/rules:14: override_dh_auto_configure] Error 1",
    ]
    place = "src/slurm-exporter/Dockerfile:12"
    error = f"slurm-exporter cannot be built: {place}: RUN dpkg-buildpackage -b -uc: exit code 2"
    hint = "the whole log: /home/ci/infra/.build/logs/slurm-exporter.log"
    lacking = "vault-sync is not built: it needs hashicorp/vault:1.18 (registry-1.docker.io: it does not answer)"
    services = [
        built("base", 18.6, 44.1, size=214_000_000, reason="base image debian:bookworm-slim is newer", **debian),
        built("python-base", 62.8, 71.4, "base", size=391_000_000, reason="service base changed"),
        built("slurm-build", 62.8, 398.2, "base", size=1_240_000_000, reason="service base changed"),
        built("apphub", 461.2, 9.4, "slurm-build", size=162_000_000, reason="service slurm-build changed"),
        service("slurm-exporter", "failed", "slurm-build", began=461.3, seconds=43.0, error=error, hint=hint, tail=tail,
                log="logs/slurm-exporter.log", reason="service slurm-build changed"),
        service("dashboard", "blocked", "slurm-exporter", "frontend", blocked_by=["slurm-exporter"],
                reason="context changed: panels/jobs.json"),
        built("frontend", 18.6, 96.7, size=88_400_000, reason="context changed: src/App.tsx, 14 more",
              base_images=["node:22-slim", "nginx:1.27-alpine"]),
        built("api", 134.3, 38.8, "python-base", size=447_000_000, reason="service python-base changed"),
        built("worker", 134.3, 52.0, "python-base", size=902_000_000,
              reason="service python-base changed"),
        built("notebook", 134.3, 120.5, "python-base", size=2_730_000_000, reason="context changed: environment.yml"),
        built("ingest", 173.2, 61.2, "frontend", "python-base", size=471_000_000, reason="missing"),
        service("gateway", "up to date", size=54_100_000, base_images=["nginx:1.27-alpine"]),
        service("metrics", "up to date", size=48_700_000, base_images=["prom/prometheus:v2.55.1"]),
        service("docs", "up to date", size=31_200_000, base_images=["nginx:1.27-alpine"]),
        service("vault-sync", "failed", error=lacking, hint="./inv prefetch", began=18.6, seconds=0.1,
                reason="missing", base_images=["hashicorp/vault:1.18"]),
    ]  # fmt: skip
    refused = [
        {"source": "harbor.example/aihpc/hashicorp/vault:1.18", "reason": "there is no such image"},
        {"source": "registry-1.docker.io", "reason": "it does not answer: connection timed out after 10 s"},
    ]
    slow = [{"source": "mirror.example", "reason": "503 Service Unavailable, 3 times"}]
    dependencies = [
        dependency("debian:bookworm-slim", "harbor.example/aihpc/debian:bookworm-slim-v0.3.6-dev", bytes=28_200_000,
                   needed_by=[_need("base"), _need("notebook", 21, "copy"), _need("gateway", 9), _need("docs", 12)]),
        dependency("node:22-slim", "harbor.example/aihpc/node:22-slim", bytes=71_300_000, seconds=9.8,
                   needed_by=[_need("frontend", 1)]),
        dependency("nginx:1.27-alpine", "engine", needed_by=[_need("frontend", 14), _need("gateway", 1),
                                                               _need("docs", 1)]),
        dependency("prom/prometheus:v2.55.1", "registry-1.docker.io/prom/prometheus:v2.55.1", bytes=104_000_000,
                   seconds=12.1, tries=4, refusals=slow, needed_by=[_need("metrics", 1)]),
        dependency("redis:7-alpine", "engine", needed_by=[{"needed_by": "compose", "kind": "run",
                                                             "path": "docker-compose.yml", "line": 31,
                                                             "build": False, "platform": ""}]),
        dependency("hashicorp/vault:1.18", None, tries=5, refusals=refused, needed_by=[_need("vault-sync", 2)]),
    ]  # fmt: skip
    return run(
        services,
        seconds=507.1,
        result="failed",
        jobs=4,
        steps=[
            {"number": 0, "title": "prefetch", "began": 0.0, "seconds": 17.9},
            {"number": 1, "title": "check build state", "began": 17.9, "seconds": 0.7},
            {"number": 2, "title": "build", "began": 18.6, "seconds": 485.7},
            {"number": 3, "title": "copy Slurm packages", "began": 504.3, "seconds": 2.5},
            {"number": 4, "title": "verify", "began": 506.8, "seconds": 0.3},
        ],
        dependencies=dependencies,
        packages="57 packages copied from slurm-build to apphub",
        failures=[
            {"message": error, "hint": hint, "file": "src/slurm-exporter/Dockerfile", "line": 12},
            {"message": lacking, "hint": "./inv prefetch", "file": None, "line": None},
        ],
    )


def _need(name: str, line: int = 3, kind: str = "from") -> dict[str, Any]:
    place = {"path": f"src/{name}/Dockerfile", "line": line}
    return {"needed_by": name, "kind": kind, **place, "build": True, "platform": ""}


def large(services: int = 60, images: int = 100) -> dict[str, Any]:
    """A run of many services in five levels, with many dependency images."""
    made: list[dict[str, Any]] = []
    for number in range(services):
        level = number * 5 // services
        below = [other["name"] for other in made if int(other["name"].split("-")[1]) == level - 1]
        needs = sorted({below[number * 7 % len(below)], below[number * 3 % len(below)]}) if below else []
        if level > 1 and number % 4 == 0:
            needs.append(made[number % 12]["name"])
        name = f"service-{level}-with-a-long-name-{number}"
        made.append(built(name, level * 40 + number % 9 * 3.0, 8 + number * 13 % 20, *needs))
    places = [_need(service["name"], 2) for service in made]
    found = [
        dependency(f"quay.io/organisation/image-{number}:1.{number}", needed_by=places[number % 50 : number % 50 + 5])
        for number in range(images)
    ]
    return run(made, seconds=230.0, dependencies=found, jobs=8)
