"""PyPI `websockets` behind the line protocol of tests/src/foreign.rs."""

import asyncio
import base64
import json
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


def say(event):
    print(json.dumps(event), flush=True)


async def receive(socket):
    try:
        async for message in socket:
            if isinstance(message, bytes):
                say({"event": "failed", "message": "a binary frame came"})
            else:
                say({"event": "frame", "text": message})
    except ConnectionClosed:
        pass
    say({"event": "closed", "code": socket.close_code, "reason": socket.close_reason})


async def main():
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=16 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    socket, reader = None, None
    while line := await orders.readline():
        order = json.loads(line)
        what = order["do"]
        if what == "open":
            socket = await connect(order["url"], max_size=4 << 20, ping_interval=None)
            say({"event": "open"})
            reader = asyncio.create_task(receive(socket))
        elif what == "quit":
            break
        else:
            try:
                if what == "send":
                    await socket.send(order["text"])
                elif what == "sendBinary":
                    await socket.send(base64.b64decode(order["base64"]))
                elif what == "close":
                    await socket.close(1000)
            except ConnectionClosed:
                pass  # `receive` reports the end.
    if reader:
        reader.cancel()


asyncio.run(main())
