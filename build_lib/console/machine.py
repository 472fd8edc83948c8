"""Output of `engine-up`, `engine-down`, `registry-up` and `registry-down`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from build_lib.invocation import as_typed

if TYPE_CHECKING:  # as in output
    from build_lib.console.output import Console
    from build_lib.machine import LocalRegistry, Started, Up


def engine_up(console: Console, up: Up) -> None:
    """Print which engine is running, and whether it was started by this command."""
    if console.dry and up.started:
        console.line(f"would {'install and ' if up.installed else ''}start a Docker Engine at {up.address}")
        return
    done = "installed and started" if up.installed else "started" if up.started else "already running"
    console.line(f"Docker Engine {up.version} at {up.address}: ", console.good(done))


def engine_down(console: Console, ended: Started | None) -> None:
    """Print whether an engine was stopped."""
    console.line(
        f"Docker Engine {'would be ' if console.dry else ''}stopped"
        if ended
        else "engine-up started no engine that still runs: nothing to stop"
    )


def registry_up(console: Console, up: LocalRegistry) -> None:
    """Print the address of the local registry, and how to use it."""
    done = "would be started" if console.dry else "started" if up.started else "already running"
    console.line(f"registry at {up.host}: ", console.good(done))
    if up.login_file is not None:
        console.line(f"  login: PRIVATE_REGISTRY_USERNAME and PRIVATE_REGISTRY_PASSWORD are in {up.login_file}")
    console.line(as_typed(f"  try it: ./inv deps-push -r {up.host}/aihpc"))


def registry_down(console: Console, *, ended: bool) -> None:
    """Print whether the local registry was stopped."""
    if not ended:
        console.line("registry-up started no registry that still runs: nothing to stop")
    else:
        console.line("registry would be stopped" if console.dry else "registry stopped")
