"""What the Docker SDK raises, as `EngineError` with the engine's own words."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager

from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError  # of an answer that ends in its middle

from build_lib.errors import EngineError


@contextmanager
def translated(what: str, *, missing: bool = False) -> Iterator[None]:
    """Raise errors of the SDK as EngineError: `what`, then the reason; with `missing`, "not found" gives no reason."""
    try:
        yield
    except NotFound as error:
        raise EngineError(what if missing else _joined(what, reason(error))) from error
    except (DockerException, RequestException, HTTPError, OSError, tarfile.TarError) as error:
        raise EngineError(_joined(what, reason(error))) from error


def reason(error: Exception) -> str:
    """The engine's own words, on one line."""
    text = str(error.explanation) if isinstance(error, APIError) and error.explanation else str(error)
    return " ".join(text.split())


def _joined(*parts: str) -> str:
    return ": ".join(filter(None, parts))
