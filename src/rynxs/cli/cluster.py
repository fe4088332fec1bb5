"""Commands against a cluster: the Kubernetes API with the caller's own rights, and the gateway behind it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import httpx2

from rynxs.cli.main import Failure
from rynxs.cli.target import Cluster
from rynxs.cluster import kubeconfig
from rynxs.cluster.installation import Installation, NotThere
from rynxs.cluster.portforward import PortForward
from rynxs.computer.protocol import GATEWAY
from rynxs.eventlog import LogError, StoreError
from rynxs.kube.client import Client, ConfigError, SingleConfig
from rynxs.operator.config import BadConfig

PORT = 8443

T = TypeVar("T")


def load(target: Cluster, exit_code: int) -> SingleConfig:
    """The context's configuration. Raises Failure."""
    try:
        config = kubeconfig.load(target.kubeconfig, target.context)
        kubeconfig.tls(config)  # so that bad certificates are found here, and not in the middle
        return config
    except kubeconfig.Unusable as error:
        raise Failure(str(error), exit_code) from error


def ask(config: SingleConfig, question: Callable[[Client], Awaitable[T]], exit_code: int = 1) -> T:
    """Ask the Kubernetes API; what goes wrong becomes a Failure."""

    async def asked() -> T:
        async with Client(config, manager="rynxs-cli") as client:
            return await question(client)

    try:
        return asyncio.run(asked())
    except httpx2.HTTPError as error:
        raise Failure(f"context {config.context_name}: {str(error) or type(error).__name__}", exit_code) from error
    except (NotThere, BadConfig, ConfigError, LogError, ValueError, OSError) as error:
        raise Failure(f"context {config.context_name}: {error}", exit_code) from error


@contextlib.contextmanager
def gateway(target: Cluster, exit_code: int) -> Iterator[httpx2.Client]:
    """A client of the gateway, by a port of its pod; requests fail with httpx2.HTTPError. Raises Failure."""
    config = load(target, exit_code)
    token = _token(config, exit_code)

    async def look(client: Client) -> tuple[str, str]:
        installation = Installation(client, target.system)
        return await installation.gateway(), await installation.authority()

    pod, authority = ask(config, look, exit_code)
    try:
        trusted = ssl.create_default_context(cadata=authority)
    except (ssl.SSLError, ValueError) as error:
        raise Failure(f"configmap {target.system}/rynxs-trust: ca.crt is no certificate: {error}", exit_code) from error
    with (
        forwarded(config, target.system, pod, PORT, exit_code) as port,
        httpx2.Client(
            base_url=f"https://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {token}", "Host": GATEWAY},
            event_hooks={"request": [_name_gateway]},
            verify=trusted,
            timeout=httpx2.Timeout(10.0, read=None),
            trust_env=False,
        ) as client,
    ):
        yield client


@contextlib.contextmanager
def forwarded(config: SingleConfig, namespace: str, pod: str, port: int, exit_code: int) -> Iterator[int]:
    """The pod's port as a port here. When the block fails for the forward's sake, the Failure says why."""
    try:
        with PortForward(config, namespace, pod, port) as forward:
            try:
                yield forward.port
            except (httpx2.HTTPError, StoreError, OSError) as error:
                if forward.problem:
                    raise Failure(
                        f"context {config.context_name}: no way to port {port} of pod {namespace}/{pod}: "
                        f"{forward.problem}",
                        exit_code,
                    ) from error
                raise
    except kubeconfig.Unusable as error:
        raise Failure(str(error), exit_code) from error


def _name_gateway(request: httpx2.Request) -> None:
    """The address is ours, the certificate the gateway's."""
    request.extensions = {**request.extensions, "sni_hostname": GATEWAY}


def _token(config: SingleConfig, exit_code: int) -> str:
    from rynxs.cli.connection import plain

    if given := os.environ.get("RYNXS_TOKEN", "").strip():
        return plain(given, "RYNXS_TOKEN", exit_code)
    try:
        token = kubeconfig.token_of(config)
    except kubeconfig.Unusable as error:
        raise Failure(str(error), exit_code) from error
    if not token:
        raise Failure(
            f"context {config.context_name} has no token, and gateways take nothing else (no client certificate): "
            "RYNXS_TOKEN=$(kubectl create token SERVICEACCOUNT -n NAMESPACE) rynxs ...",
            exit_code,
        )
    return plain(token, f"the token of context {config.context_name}", exit_code)
