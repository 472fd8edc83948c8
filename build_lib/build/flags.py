"""The flags of docker's build commands."""

from collections.abc import Iterator, Mapping, Sequence

from build_lib.build.running import Host
from build_lib.repository import Service


def options(service: Service, labels: Mapping[str, str]) -> Iterator[str]:
    """What to build, and how the image is labelled."""
    if service.platform:
        yield from ("--platform", service.platform)
    if service.target:
        yield from ("--target", service.target)
    for name, value in service.args.items():
        yield from ("--build-arg", f"{name}={value}")
    for name, value in labels.items():
        yield from ("--label", f"{name}={value}")
    for name, value in service.additional_contexts:
        yield from ("--build-context", f"{name}={value}")


def secrets(secrets: Mapping[str, str]) -> Iterator[str]:
    """Where each secret is, never the secret itself."""
    for name, place in secrets.items():
        yield from ("--secret", f"id={name},{place}")


def by_name(arguments: Mapping[str, str]) -> Iterator[str]:
    """Build arguments whose values are in the environment, because they may contain a token."""
    proxies = proxy_names(arguments)
    for name in arguments:
        if name not in proxies:
            yield from ("--build-arg", name)


def proxies(environment: Mapping[str, str]) -> Iterator[str]:
    """Build arguments for proxies, which need no ARG; by name, because a proxy's address may contain a password."""
    for name in proxy_names(environment):
        yield from ("--build-arg", name)


def hosts(hosts: Sequence[Host]) -> Iterator[str]:
    """The hosts, each under a second name too.

    To BuildKit's cache, a RUN has the names of its hosts, but not their addresses (solver/llbsolver/ops/exec.go). The
    second name changes with the content, so that RUN is repeated when there may be something else to download.
    """
    for host in hosts:
        for name in (host.name, host.content):
            yield from ("--add-host", f"{name}:{host.address}")


def past_proxies(environment: Mapping[str, str], hosts: Sequence[Host]) -> Mapping[str, str]:
    """Return the variables with the hosts added to those that are reached without a proxy, if there is one."""
    if not hosts or not proxy_names(environment):
        return environment
    known = environment.get("no_proxy") or environment.get("NO_PROXY")
    direct = ",".join(filter(None, (known, *(host.name for host in hosts))))
    return {**environment, "NO_PROXY": direct, "no_proxy": direct}


def proxy_names(environment: Mapping[str, str]) -> list[str]:
    """The variables that name proxies and are set, in upper and lower case."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    return [name for upper in names for name in (upper, upper.lower()) if environment.get(name)]
