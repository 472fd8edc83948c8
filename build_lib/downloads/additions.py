"""ADDs of URLs and repositories: the builder fetches them itself, from the recorder instead."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from build_lib.dockerfile import additions, with_prefix
from build_lib.downloads.recording import Passed
from build_lib.downloads.routes import ADDED
from build_lib.repository import Service


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

    def passed(self) -> Iterator[Passed]:
        """What is not fetched by http."""
        for each in self._found:
            if not each.is_http:
                yield Passed(what=each.url, why="only http and https can be recorded", lines=(each.line,))
