"""A port of a pod, here: connections to a loopback port go through the API server to the pod.

The streams are those of the WebSocket protocol `v4.channel.k8s.io`: a message begins with its channel, 0 for data
and 1 for the error text; the first message of each channel holds the port, two bytes with the lower one first.

All of it runs in one thread with a loop of its own: OpenSSL allows no connection to be read and written by two
threads at once (it hung every second `rynxs log verify`, and aborted some).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from types import TracebackType
from urllib.parse import quote

from lightkube import SingleConfig
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from rynxs.cluster.kubeconfig import tls, token_of

PROTOCOL = Subprotocol("v4.channel.k8s.io")
OPEN_TIMEOUT = 10.0
"""Seconds until the API server must have opened the stream."""

_FAREWELL = 2.0
_DATA, _ERROR = b"\x00", 1
_CHUNK = 64 * 1024


class PortForward:
    """A listener on a free loopback port; use it as a context, in which `port` is set.

    `problem` says why a connection failed, as soon as that connection has ended here.
    """

    def __init__(self, config: SingleConfig, namespace: str, pod: str, port: int) -> None:
        """Raises Unusable when the kubeconfig's credentials can't be used."""
        server = config.cluster.server.rstrip("/")
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/portforward?ports={port}"
        self._url = "ws" + server.removeprefix("http") + path
        self._tls: ssl.SSLContext | None = tls(config) if server.startswith("https:") else None
        token = token_of(config)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._thread = threading.Thread(target=self._run, name="rynxs-port-forward", daemon=True)
        self._listening = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()
        self._failed: OSError | None = None
        self.port = 0
        self.problem = ""

    def __enter__(self) -> PortForward:
        """Raises OSError when no port can be had."""
        self._thread.start()
        self._listening.wait()
        if self._failed is not None:
            self._thread.join()
            raise self._failed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._listen())

    async def _listen(self) -> None:
        """Serve until it is over; then what is open ends."""
        self._loop = asyncio.get_running_loop()
        try:
            listener = socket.create_server(("127.0.0.1", 0))
        except OSError as error:
            self._failed = error
            return
        else:
            self.port = listener.getsockname()[1]
        finally:
            self._listening.set()
        listener.setblocking(False)
        connections: dict[asyncio.Task[None], socket.socket] = {}

        def accept() -> None:
            """Not by asyncio's own ways: what they have accepted when they are ended is lost."""
            with contextlib.suppress(OSError):  # whoever came has left again
                accepted, _ = listener.accept()
                accepted.setblocking(False)
                task = asyncio.create_task(self._serve(accepted))
                connections[task] = accepted
                task.add_done_callback(connections.pop)

        with listener:
            self._loop.add_reader(listener, accept)
            await self._over.wait()
            self._loop.remove_reader(listener)
        left = dict(connections)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for accepted in left.values():
            accepted.close()

    async def _serve(self, accepted: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=accepted)
        try:
            try:
                await self._forward(reader, writer)
            except InvalidStatus as refused:
                self.problem = _refusal(refused)
            except (OSError, WebSocketException) as error:
                self.problem = str(error) or repr(error)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        except asyncio.CancelledError:
            writer.transport.abort()
            raise

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = await connect(
            self._url,
            ssl=self._tls,
            subprotocols=[PROTOCOL],
            additional_headers=self._headers,
            compression=None,
            max_size=None,
            open_timeout=OPEN_TIMEOUT,
            close_timeout=_FAREWELL,
        )
        try:
            await self._carry(stream, reader, writer)
            writer.close()
            await stream.close()
        finally:
            stream.transport.abort()

    async def _carry(
        self, stream: ClientConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry bytes both ways until one side ends."""
        ways = [asyncio.create_task(_send(reader, stream)), asyncio.create_task(self._receive(stream, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _receive(self, stream: ClientConnection, writer: asyncio.StreamWriter) -> None:
        begun: set[int] = set()
        with contextlib.suppress(ConnectionClosed, OSError):
            async for message in stream:
                if not isinstance(message, bytes) or not message:
                    continue
                channel = message[0]
                if channel not in begun:
                    begun.add(channel)  # the port
                elif channel == _ERROR:
                    self.problem = message[1:].decode(errors="replace")
                    return
                else:
                    writer.write(message[1:])
                    await writer.drain()


def _refusal(refused: InvalidStatus) -> str:
    """What the API server says, if it does."""
    try:
        return str(json.loads(refused.response.body or b"")["message"])
    except (ValueError, KeyError, TypeError):
        return str(refused)


async def _send(reader: asyncio.StreamReader, stream: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed, OSError):
        while data := await reader.read(_CHUNK):
            await stream.send(_DATA + data)
