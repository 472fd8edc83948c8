"""Looks at the build registry while builders use it, which wait without a limit for one that does not answer."""

import threading
import time
from types import TracebackType
from typing import Self

from build_lib.errors import RegistryError
from build_lib.fleet.members import Members
from build_lib.registry import Registries

_PULSE_SECONDS = 5  # between two looks


class RegistryPulse:
    """Within the `with` block, builds are stopped whenever the registry leaves a request without an answer."""

    def __init__(self, host: str, registries: Registries, members: Members, stall_seconds: int) -> None:
        self._host = host
        self._registries = registries
        self._members = members
        self._stall_seconds = stall_seconds
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, name="pulse-registry", daemon=True).start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(min(_PULSE_SECONDS, self._stall_seconds)):
            began = time.monotonic()
            try:
                self._registries.session.send("GET", self._host, "/v2/", expect=(200, 401))
            except RegistryError:  # one that is away fails at once, for builders too, which then try again
                if time.monotonic() - began >= self._stall_seconds and not self._ended.is_set():
                    self._members.stop_builds(f"{self._host} did not answer for {self._stall_seconds} s")
