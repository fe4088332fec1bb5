"""S3 servers on loopback, for tests: versitygw and MinIO, built once into the cache."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cluster.controlplane import free_port
from cluster.programs import program

ACCESS_KEY, SECRET_KEY, BUCKET = "rynxs-test", "rynxs-test-secret", "rynxs"


@dataclass
class Server:
    """A running server with an empty bucket. `process` may be stopped, killed and started again."""

    command: list[str]
    environment: dict[str, str]
    port: int
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    bucket: str = BUCKET
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, or start it again; returns when it listens. Raises RuntimeError."""
        self.process = subprocess.Popen(self.command, env=self.environment, stdout=subprocess.DEVNULL, stderr=None)
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.command[0]} did not start")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def versitygw(*options: str) -> Iterator[Server]:
    """A versitygw over a temporary folder, with options of its posix backend."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / BUCKET).mkdir()
        port = free_port()
        command = [str(program("versitygw")), "-p", f"127.0.0.1:{port}", "-q", "posix", *options, folder]
        keys = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
        with _running(Server(command, {**os.environ, **keys}, port)) as server:
            yield server


@contextlib.contextmanager
def minio() -> Iterator[Server]:
    """A MinIO over a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / BUCKET).mkdir()
        port = free_port()
        command = [str(program("minio")), "server", "--quiet", "--address", f"127.0.0.1:{port}", folder]
        keys = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY}
        with _running(Server(command, {**os.environ, **keys}, port)) as server:
            yield server


@contextlib.contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.kill()
