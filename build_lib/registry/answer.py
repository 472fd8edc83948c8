"""The answers of registries. Their bodies are read here and nowhere else: in time, with a limit, as they were sent."""

import json
import time
from collections.abc import Iterator, Mapping
from io import BytesIO
from types import TracebackType
from typing import Any, Self

import requests

from build_lib.errors import RegistryError
from build_lib.registry.network import translated
from build_lib.registry.wire import BadAnswer
from build_lib.units import shortened

CHUNK = 1 << 16  # bytes read and sent at once, and the most that a broken connection loses
SMALL = 1 << 16  # bytes of a body that says little: an error, an acknowledgement, a token


class Answer:
    """The answer to a request, of which only the head has been received at first.

    `body` is what has been read of the body so far: of an error, its beginning.
    """

    def __init__(self, response: requests.Response, host: str, seconds: float) -> None:
        self.host = host  # that sent it
        self.url = str(response.url)
        self.status = response.status_code
        self.reason = shortened(response.reason or "")
        self.headers: Mapping[str, str] = response.headers
        self.body = b""
        self._response = response
        self._seconds = seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()

    def read(self, limit: int = SMALL) -> None:
        """Read the whole body.

        Raises:
            RegistryError: it has more than `limit` bytes, is compressed, took too long, or the connection broke.
        """
        self._begin(limit + 1)
        if self.body:
            self._check_plain()
        if len(self.body) > limit:
            raise RegistryError(f"{self.host} sent an answer of more than {limit} bytes")

    def skim(self) -> None:
        """Read the beginning of the body. If that is all, the connection can be used again.

        Raises:
            RegistryError: it took too long, or the connection broke.
        """
        self._begin(SMALL)

    @property
    def text(self) -> str:
        """What has been read of the body; "" if it is compressed."""
        return "" if self._coding else self.body.decode(errors="replace")

    def json(self) -> Any:
        """The value of the body that was read.

        Raises:
            ValueError: the body is not JSON.
        """
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def chunks(self) -> Iterator[bytes]:
        """The body as it arrives. The caller limits its size.

        Raises:
            RegistryError: it is compressed, too slow, or the connection broke.
        """
        self._check_plain()
        with translated(self.host), self:
            while chunk := self._piece(CHUNK):
                yield chunk

    @property
    def _coding(self) -> str:
        coding = self.headers.get("Content-Encoding", "").strip().lower()
        return "" if coding == "identity" else coding

    def _check_plain(self) -> None:
        """Refuse a coding that was not asked for: a small body could unpack to any size."""
        if self._coding:
            coding = shortened(self._coding)
            raise RegistryError(f"{self.host} compressed its answer ({coding}), which was not asked for")

    def _begin(self, size: int) -> None:
        end = time.monotonic() + self._seconds
        body = BytesIO()  # which gives its content without a copy
        with translated(self.host), self:
            while (left := size - body.tell()) and (piece := self._piece(min(CHUNK, left))):
                body.write(piece)
                if time.monotonic() > end:
                    raise BadAnswer(f"timed out: no complete answer after {self._seconds:g}s")
        self.body = body.getvalue()

    def _piece(self, size: int) -> bytes:
        return self._response.raw.read(size, decode_content=False) or b""
