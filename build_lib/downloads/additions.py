"""ADDs of URLs and repositories: the builder fetches them itself, from the recorder instead."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from build_lib.dockerfile import additions, with_prefix
from build_lib.downloads.recording import Passed
from build_lib.downloads.routes import ADDED
from build_lib.downloads.steps import Step
from build_lib.repository import Service

_STEP = re.compile(r"(?:\] |: )ADD (.+)")


class Additions:
    """What the ADDs of a service take from elsewhere."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._values = {**service.reading.defaults, **service.args}
        self._found = list(additions(service.text, self._values))

    def through(self, mirror: str, arguments: Mapping[str, str]) -> Service:
        """The service with these URLs by way of a mirror, in a copy of its Dockerfile.

        URLs that its `arguments` lead there stay as they are. Every builder fetches a URL the same way, so this needs
        nothing that only some of them have.
        """
        text = self._service.text
        led = {each.written for each in additions(text, {**self._values, **arguments}) if each.url.startswith(mirror)}
        mirrored = [each for each in self._found if each.is_http and each.written not in led]
        if not mirrored:
            return self._service
        return replace(self._service, text=with_prefix(text, mirrored, f"{mirror}{ADDED}"), inline=True)

    def lines(self, url: str) -> tuple[int, ...]:
        """The lines that ADD this URL, also after the address of a mirror."""
        return tuple(sorted({each.line for each in self._found if each.url.partition("#")[0].endswith(url)}))

    def passed(self, steps: Iterable[Step], recorder: str) -> Iterator[Passed]:
        """What its ADDs took past the recorder at this host: not by http, or for an ONBUILD of a base image."""
        for each in self._found:
            if not each.is_http:
                yield Passed(what=each.url, why="only http and https can be recorded", lines=(each.line,))
        for url in dict.fromkeys(url for step in steps for url in _urls(step.name)):
            if not url.startswith(f"http://{recorder}/"):
                yield Passed(what=url, why="it is in an ONBUILD of a base image", lines=())


def _urls(step: str) -> list[str]:
    """The URLs of an ADD, as its builder names its step."""
    found = _STEP.search(step)
    return [word for word in (found[1].split() if found else ()) if word.startswith(("http://", "https://"))]
