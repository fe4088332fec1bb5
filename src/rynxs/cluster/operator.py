"""The operator as a process: from its configuration to a clean end on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from rynxs import __version__
from rynxs.cluster.anchors import ConfigMapAnchors
from rynxs.cluster.health import Health
from rynxs.cluster.store import open_log
from rynxs.eventlog import Event, LogError, LogStopped, Signer, StoreError, Trust, Writer
from rynxs.kube.client import Client, ConfigError
from rynxs.operator.certificate import Authority
from rynxs.operator.config import BadConfig, Config
from rynxs.operator.reconcile import Operator
from rynxs.operator.steps import Steps
from rynxs.operator.walls import HEALTH, targets

STREAM = "operator"

MOUNTED = Path("/etc/rynxs")
"""Where the chart mounts `ca` (the authority), `key` (the stream's signing key) and `trust`."""

SILENCE = 30.0
"""Seconds without a word of the API server after which the operator is not ready."""

_TICK = 1.0
_NEEDED = ("POD_NAME", "POD_IP", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")
_logger = logging.getLogger(__name__)


class CannotOperate(Exception):
    """The operator can't start, or can't go on; the message says why. Kubernetes starts it again."""


def run(config: Path, mounted: Path = MOUNTED) -> None:
    """Operate until SIGTERM or SIGINT. Raises CannotOperate."""
    try:
        asyncio.run(_until_signal(Config.load(config), mounted))
    except* (BadConfig, ConfigError, LogError, StoreError, OSError, ValueError, httpx2.HTTPError) as group:
        raise CannotOperate(f"the operator stops: {'; '.join(dict.fromkeys(_said(group)))}") from group


async def _until_signal(config: Config, mounted: Path) -> None:
    stop = asyncio.Event()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_, stop.set)
    if missing := [name for name in _NEEDED if not os.environ.get(name)]:
        raise ValueError(f"{', '.join(missing)} is not in the environment: the operator runs in a pod of the chart")
    async with Client(manager="rynxs-operator") as client:
        process = Process(client, config, mounted, os.environ)
        working = asyncio.create_task(process.run())
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not working.done():
            working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


class Process:
    """One operator: its log, its health, and its loop."""

    def __init__(self, client: Client, config: Config, mounted: Path, environment: Mapping[str, str]) -> None:
        """`environment` has POD_NAME and POD_IP, and where Kubernetes says that the API server is."""
        self._client = client
        self._config = config
        self._mounted = mounted
        self._environment = environment
        self._why_not = "starting"
        self._operator: Operator | None = None

    async def run(self, port: int = HEALTH) -> None:
        """Operate for ever. Cancelling it releases the log. Raises LogError, OSError, ValueError, also in groups."""
        authority = Authority.load(self._mounted / "ca")
        async with Health(self.why_not_ready).listening(port):
            writer = await self._claim()
            try:
                await self._operate(authority, writer)
            finally:
                await writer.close()

    def why_not_ready(self) -> str:
        """Why it is not ready, or empty."""
        if self._operator is None:
            return self._why_not
        age = self._operator.age
        if age == float("inf"):
            return "reading the cluster"
        return f"the API server has not answered for {age:.0f} s" if age > SILENCE else ""

    async def _claim(self) -> Writer:
        trust, key = Trust.load(self._mounted / "trust" / "trust.json"), self._mounted / "key" / "signing.key"
        signer = Signer.parse(key.read_bytes(), str(key))
        log = await open_log(self._config.log, trust.log, self._wait)
        return await log.claim(
            STREAM,
            writer=f"{self._environment['POD_NAME']}/{uuid.uuid4().hex[:4]}",
            signer=signer,
            trust=trust,
            anchor=ConfigMapAnchors(self._client, self._config.namespace),
            observe=_ignore,
            now=_now,
        )

    async def _operate(self, authority: Authority, writer: Writer) -> None:
        steps = Steps(
            self._client,
            authority,
            self._config.computers,
            self._config.namespace,
            lambda: targets(self._client, self._environment),
        )
        _logger.info("rynxs %s  operator  log %s  epoch %d", __version__, self._config.log.url, writer.epoch)
        self._operator = Operator(self._client, steps, writer.append, _now)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._operator.run())
            group.create_task(_watch(writer))

    def _wait(self, reason: str) -> None:
        self._why_not = reason


async def _watch(writer: Writer) -> None:
    """Ends with the writer, which may end while nothing is to be recorded: when its anchor can't be written."""
    while True:
        await asyncio.sleep(_TICK)
        if writer.closed:
            why = writer.anchor_error or "another operator has taken it"
            raise LogStopped(f"stream {writer.stream} can't be written any more: {why}")


def _ignore(_: Sequence[Event]) -> None:
    """Nothing of the stream is folded: plans depend on the cluster alone."""


def _said(error: BaseException) -> list[str]:
    if isinstance(error, BaseExceptionGroup):
        return [said for each in error.exceptions for said in _said(each)]
    return [str(error) or repr(error)]


def _now() -> datetime:
    return datetime.now(UTC)
