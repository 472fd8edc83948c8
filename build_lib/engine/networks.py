"""The engine's networks: where builds reach this machine, and one from which nothing else is reached."""

import ipaddress
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from docker.errors import NotFound

from build_lib.engine.containers import TEMPORARY_LABEL
from build_lib.engine.sdk_errors import translated

_DEFAULT = "bridge"


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A network of the engine: its name, and the address at which its containers reach the engine's machine."""

    name: str
    gateway: str


class Networks:
    """The networks of an engine."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def default(self) -> Network | None:
        """The network in which builds run; None if the engine has none."""
        with translated("cannot look at the engine's network"):
            try:
                found = self._api.inspect_network(_DEFAULT)
            except NotFound:
                return None
        return _network(found)

    @contextmanager
    def internal(self, owner: str) -> Iterator[Network]:
        """A network without a way out, that is removed on every way out of the block.

        Networks of this owner that a killed run left are removed first.
        """
        name = f"build-lib-{uuid.uuid4().hex[:12]}"
        with translated("cannot create a network"):
            for left in self._api.networks(filters={"label": f"{TEMPORARY_LABEL}={owner}"}):
                self._api.remove_network(left["Id"])
            id = self._api.create_network(name, internal=True, labels={TEMPORARY_LABEL: owner})["Id"]
        try:
            with translated("cannot look at a network"):
                found = _network(self._api.inspect_network(id))
            assert found is not None
            yield found
        finally:
            with translated(f"cannot remove the network {name}"):
                self._api.remove_network(id)


def _network(found: Any) -> Network | None:
    """The network as the engine describes it. It may leave out the gateway, which is then the first address."""
    for each in (found.get("IPAM") or {}).get("Config") or ():
        subnet = ipaddress.ip_network(each.get("Subnet", ""), strict=False)
        if subnet.version == 4:
            return Network(name=found["Name"], gateway=each.get("Gateway") or str(next(subnet.hosts())))
    return None
