"""A real WebSocket peer of the end-to-end tests.

    ws_peer.py serve             echoes on 127.0.0.1:$PORT
    ws_peer.py call URL COUNT    sends COUNT messages and prints how many came back
"""

import asyncio
import os
import sys

import websockets


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def serve():
    async with websockets.serve(echo, "127.0.0.1", int(os.environ.get("PORT", "8080"))):
        await asyncio.get_running_loop().create_future()


async def call(url, count):
    back = 0
    async with websockets.connect(url, proxy=None, open_timeout=10) as connection:
        for number in range(count):
            await connection.send("message %d" % number)
            back += await connection.recv() == "message %d" % number
    print(back)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    elif len(sys.argv) == 4 and sys.argv[1] == "call":
        asyncio.run(call(sys.argv[2], int(sys.argv[3])))
    else:
        sys.exit(__doc__)
