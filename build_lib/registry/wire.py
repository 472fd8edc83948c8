"""The bytes of answers as they are received: in time, and in lines of limited length.

urllib3 and http.client apply the socket's timeout to each piece that is received, so a server that sends a byte now and
then keeps them waiting for as long as it likes. Here the timeout applies to the head of an answer as a whole, and to
each portion of its body, whose size follows from the least rate. Only the time spent waiting for the server counts.
"""

import http.client
import io
import socket
import time
from collections.abc import Mapping
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

LEAST_RATE = 1024  # bytes per second, below which a transfer fails
_LONGEST_LINE = 1 << 16  # bytes, as http.client limits those of a head
_MOST_LINES = 256  # in a row: a head has up to 100, but http.client reads any number of trailers and interim answers


class BadAnswer(OSError):
    """A server's bytes are too slow, or no answer of HTTP. An OSError, so that it passes through urllib3."""


class _Timed(io.RawIOBase):
    """The bytes of one answer. Its head has to be complete after the socket's timeout."""

    def __init__(self, sock: socket.socket) -> None:
        seconds = sock.gettimeout()
        assert seconds is not None  # every request has a timeout
        self._socket = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._seconds = seconds
        self._in_body = False
        self._left = seconds  # of waiting
        self._missing = 0  # bytes of the portion

    def body_begins(self) -> None:
        """The head is complete; from now on, each portion has its own time."""
        self._in_body = True
        self._begin_portion()

    def readable(self) -> bool:
        """See RawIOBase."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See RawIOBase.

        Raises:
            BadAnswer: the head or the portion did not arrive in time.
        """
        if self._left <= 0:
            raise self._too_slow()
        began = time.monotonic()
        try:
            self._socket.settimeout(self._left)
            count = self._raw.readinto(buffer) or 0
        except TimeoutError:
            raise self._too_slow() from None
        self._left -= time.monotonic() - began
        self._missing -= count
        if self._in_body and self._missing <= 0:
            self._begin_portion()
        return count

    def close(self) -> None:
        """See RawIOBase."""
        self._raw.close()
        super().close()

    def _begin_portion(self) -> None:
        self._left = self._seconds
        self._missing = round(self._seconds * LEAST_RATE)

    def _too_slow(self) -> BadAnswer:
        if self._in_body:
            return BadAnswer(f"timed out: less than {LEAST_RATE}B/s arrived for {self._seconds:g}s")
        return BadAnswer(f"timed out: no complete answer after {self._seconds:g}s")


class _Lines(io.BufferedReader):
    """An answer that is read by lines and by numbers of bytes, none of them unlimited."""

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__(raw)
        self._in_a_row = 0

    def readline(self, _size: int | None = -1, /) -> bytes:
        """See BufferedReader. urllib3 reads lines without a limit, http.client any number of them."""
        self._in_a_row += 1
        line = super().readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE or self._in_a_row > _MOST_LINES:
            raise BadAnswer("its head, or what is between the chunks of its body, is too long")
        return line

    def read(self, size: int | None = -1, /) -> bytes:
        """See BufferedReader. A chunk of the size -1 would be all that the server ever sends."""
        if size is None or size < 0:
            raise BadAnswer("a chunk has a negative size")
        self._in_a_row = 0
        return super().read(size)


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp.close()  # nothing was read through it
        self._timed = _Timed(sock)
        self.fp = _Lines(self._timed)

    def begin(self) -> None:
        super().begin()
        self._timed.body_begins()


class _Connection(HTTPConnection):
    response_class = _Response


class _EncryptedConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _EncryptedPool(HTTPSConnectionPool):
    ConnectionCls = _EncryptedConnection


POOLS: Mapping[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _EncryptedPool}  # for a PoolManager
