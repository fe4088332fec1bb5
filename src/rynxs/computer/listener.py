"""The listener of a computer in a pod: gateways connect by mutual TLS, and none of their ends ends the daemon.

The certificates are read once and their files deleted: programs in the computer run as the same user, and must
not be able to speak as its daemon.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import sys
from pathlib import Path

from rynxs.computer import daemon
from rynxs.computer.fence import Fenced
from rynxs.computer.frame import LIMIT
from rynxs.computer.limits import Limits
from rynxs.computer.protocol import GATEWAY, ProtocolError

HANDSHAKE = 5.0
"""Seconds in which a peer must have shown its certificate."""


def context(folder: Path) -> ssl.SSLContext:
    """The TLS context of `tls.crt`, `tls.key` and `ca.crt` in the folder. Raises OSError, ssl.SSLError."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    made.load_verify_locations(folder / "ca.crt")
    made.verify_mode = ssl.CERT_REQUIRED
    return made


async def serve(
    port: int, tls: ssl.SSLContext, zygote_pid: int, orders: socket.socket, limits: Limits, found: dict[str, str]
) -> None:
    """Serve gateways on all addresses until SIGTERM. `found` is what `walls.probe` gave. Raises OSError."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with daemon.start(zygote_pid, orders, limits) as computer:

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                _check_peer(writer)
                await computer.serve(reader, writer, found)
            except (ProtocolError, Fenced, OSError) as error:
                print(f"a connection ended: {error}", file=sys.stderr, flush=True)  # noqa: T201 - the pod's log
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(connected, port=port, ssl=tls, limit=LIMIT, ssl_handshake_timeout=HANDSHAKE)
        await over.wait()
        server.close()
        computer.cancel("the computer is stopped")


def _check_peer(writer: asyncio.StreamWriter) -> None:
    """Only a gateway may come in: certificates of other computers are of the same authority."""
    certificate = writer.get_extra_info("peercert") or {}
    names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    if names != [GATEWAY]:
        raise ProtocolError(f"the peer's certificate is for {names}, not for {GATEWAY}")
