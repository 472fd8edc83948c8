"""A far-away host: `python -m bench._delay PORT TO_HOST TO_PORT SECONDS` passes bytes on, each half a round trip late.

Bytes wait, they do not queue up behind each other: the delay says nothing about bandwidth. A new connection waits a
whole round trip first, as its handshake would.
"""

import asyncio
import sys

_CHUNK = 1 << 18


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=256)

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
        chunk = b"first"
        while chunk:
            chunk = await reader.read(_CHUNK)
            await waiting.put((loop.time() + delay, chunk))

    try:
        await asyncio.gather(read(), write())
    except ConnectionError:
        writer.close()


async def _serve(port: int, host: str, to_port: int, seconds: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        there_reader, there_writer = await asyncio.open_connection(host, to_port)
        await asyncio.gather(_pass_on(reader, there_writer, seconds / 2), _pass_on(there_reader, writer, seconds / 2))

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
