"""The connection to the daemon of a computer's pod: mutual TLS (1.3), made again when it is lost."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from rynxs.computer.client import Client, ConnectionLost
from rynxs.computer.frame import LIMIT
from rynxs.computer.protocol import Ended, Output, Refused, Run

CONNECT_TIMEOUT = 10.0
"""Seconds in which the daemon must have shown its certificate and said hello."""

_SILENCE = {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3, socket.TCP_USER_TIMEOUT: 25_000}
"""A peer that acknowledges nothing for about 25 s is gone (tcp(7)); the last one is in milliseconds."""


class PodConnection:
    """A claimed daemon, as the seam's Connection: it stays the same while connections come and go.

    `connect` makes one, `claim` gives our claim on it. What is to be cancelled is said again after each claim.
    """

    def __init__(self, connect: Callable[[], Awaitable[Client]], claim: Callable[[Client], Awaitable[None]]) -> None:
        self._connect = connect
        self._claim = claim
        self._client: Client | None = None
        self._cancelled: set[str] = set()
        self._turn = asyncio.Lock()
        self._closed = False

    async def client(self) -> Client:
        """The connection that is up, made and claimed if need be. Raises ConnectionLost."""
        async with self._turn:
            if self._client is None or not self._client.alive:
                self._check()
                self._client = await self._claimed()
            return self._client

    def run(self, run: Run) -> AsyncIterator[Output | Ended | Refused]:
        """See Connection. It does not connect: what is lost is asked for, not sent again."""
        return self._up().run(run)

    async def cancel(self, action: str) -> None:
        """See Connection: now, and after each later claim until `settle`."""
        self._cancelled.add(action)
        await self._up().cancel(action)

    async def settle(self, action: str) -> None:
        """The outcome is durable: the daemon may forget it. Raises ConnectionLost."""
        self._cancelled.discard(action)
        await self._up().settle(action)

    async def close(self) -> None:
        """End the connection for good. What runs in the computer goes on."""
        self._closed = True
        if self._client is not None:
            await self._client.close()

    async def _claimed(self) -> Client:
        client = await self._connect()
        try:
            self._check()
            await self._claim(client)
            for action in self._cancelled:
                await client.cancel(action)
        except BaseException:
            await client.close()
            raise
        return client

    def _check(self) -> None:
        if self._closed:
            raise ConnectionLost("the computer is gone, or this gateway is stopping")

    def _up(self) -> Client:
        if self._client is None:
            raise ConnectionLost("there is no connection")
        return self._client


async def connect(host: str, port: int, name: str, folder: Path) -> Client:
    """Connect to the daemon at that IP address whose certificate is for `name`; the folder has ours, and the CA's.

    Raises ConnectionLost.
    """
    where = f"{host} port {port}"
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            with _socket(host) as made:
                await asyncio.get_running_loop().sock_connect(made, (host, port))
                reader, writer = await asyncio.open_connection(
                    sock=made.dup(), ssl=_context(folder), server_hostname=name, limit=LIMIT
                )
            try:
                return await Client.connect(reader, writer)
            except BaseException:
                writer.transport.abort()
                raise
    except TimeoutError as error:
        raise ConnectionLost(f"{where} has not answered for {CONNECT_TIMEOUT:.0f} s") from error
    except (OSError, ValueError) as error:
        raise ConnectionLost(f"{where}: {error}") from error


def _socket(host: str) -> socket.socket:
    """Raises ValueError for what is no address."""
    version = ipaddress.ip_address(host).version
    made = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _SILENCE.items():
        made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


def _context(folder: Path) -> ssl.SSLContext:
    """Read each time: the files are renewed. Raises OSError."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_verify_locations(folder / "ca.crt")
    made.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return made
