"""A proxy that simulates a distant host: `python -m bench._delay PORT TO_HOST TO_PORT SECONDS [RATE]`.

SECONDS is the round trip: bytes are delayed by half of it in each direction. They do not queue behind each other,
unless RATE limits each connection, in bytes per second. A new connection first waits a whole round trip, as for a
handshake.
"""

import asyncio
import sys

_CHUNK = 1 << 18


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float, rate: float) -> None:
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=1024)

    async def write() -> None:
        while True:
            due, chunk = await waiting.get()
            await asyncio.sleep(due - loop.time())
            if not chunk:
                writer.close()
                return
            writer.write(chunk)
            await writer.drain()

    async def read() -> None:
        chunk, free = b"first", 0.0
        while chunk:
            chunk = await reader.read(_CHUNK if not rate else min(_CHUNK, int(rate / 50)))
            free = max(free, loop.time()) + (len(chunk) / rate if rate else 0)
            await waiting.put((free + delay, chunk))

    try:
        await asyncio.gather(read(), write())
    except ConnectionError:
        writer.close()


async def _serve(port: int, host: str, to_port: int, seconds: float, rate: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        there_reader, there_writer = await asyncio.open_connection(host, to_port)
        await asyncio.gather(
            _pass_on(reader, there_writer, seconds / 2, rate), _pass_on(there_reader, writer, seconds / 2, rate)
        )

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    _, port, host, to_port, seconds, *rate = sys.argv
    asyncio.run(_serve(int(port), host, int(to_port), float(seconds), float(rate[0]) if rate else 0.0))
