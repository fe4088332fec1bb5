"""A port of a pod, here: connections to a loopback port go through the API server to the pod.

The streams are those of the WebSocket protocol `v4.channel.k8s.io`: a message begins with its channel, 0 for data
and 1 for the error text; the first message of each channel holds the port, two bytes with the lower one first.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from types import TracebackType
from urllib.parse import quote

from lightkube import SingleConfig
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from rynxs.cluster.kubeconfig import tls, token_of

PROTOCOL = Subprotocol("v4.channel.k8s.io")
OPEN_TIMEOUT = 10.0
"""Seconds until the API server must have opened the stream."""

_DATA, _ERROR = b"\x00", 1
_CHUNK = 64 * 1024


class PortForward:
    """A listener on a free loopback port, `port`; use it as a context. `problem` says why a connection failed."""

    def __init__(self, config: SingleConfig, namespace: str, pod: str, port: int) -> None:
        """Raises Unusable when the kubeconfig's credentials can't be used."""
        server = config.cluster.server.rstrip("/")
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/portforward?ports={port}"
        self._url = "ws" + server.removeprefix("http") + path
        self._tls: ssl.SSLContext | None = tls(config) if server.startswith("https:") else None
        token = token_of(config)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self.port: int = self._listener.getsockname()[1]
        self.problem = ""

    def __enter__(self) -> PortForward:
        threading.Thread(target=self._accept, name="rynxs-port-forward", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connect(
                self._url,
                ssl=self._tls,
                subprotocols=[PROTOCOL],
                additional_headers=self._headers,
                compression=None,
                max_size=None,
                open_timeout=OPEN_TIMEOUT,
            ) as stream:
                sender = threading.Thread(target=_send, args=(connection, stream), daemon=True)
                sender.start()
                self._receive(stream, connection)
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                sender.join()
        except InvalidStatus as refused:
            self.problem = _refusal(refused)
        except (OSError, WebSocketException) as error:
            self.problem = str(error)
        finally:
            self._open.discard(connection)
            connection.close()

    def _receive(self, stream: ClientConnection, connection: socket.socket) -> None:
        begun: set[int] = set()
        with contextlib.suppress(ConnectionClosed, OSError):
            for message in stream:
                if not isinstance(message, bytes) or not message:
                    continue
                channel = message[0]
                if channel not in begun:
                    begun.add(channel)  # the port
                elif channel == _ERROR:
                    self.problem = message[1:].decode(errors="replace")
                    return
                else:
                    connection.sendall(message[1:])


def _refusal(refused: InvalidStatus) -> str:
    """What the API server says, if it does."""
    try:
        return str(json.loads(refused.response.body or b"")["message"])
    except (ValueError, KeyError, TypeError):
        return str(refused)


def _send(connection: socket.socket, stream: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed, OSError):
        while data := connection.recv(_CHUNK):
            stream.send(_DATA + data)
    stream.close()
