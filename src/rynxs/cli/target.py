"""The target of a command: the local server or one by its address, or an installation on a cluster."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

DEFAULT_SERVER = "http://127.0.0.1:8765"
SYSTEM_NAMESPACE = "rynxs-system"

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass(frozen=True)
class Server:
    """A server by its address."""

    url: str


@dataclass(frozen=True)
class Cluster:
    """The installation in `system` of the cluster that a kubeconfig's context names; None is what kubectl takes."""

    context: str | None
    kubeconfig: str | None
    system: str


Target = Server | Cluster


def target_options(command: Decorated) -> Decorated:
    """Give the command the options that name its target, and call it with `target`."""

    @functools.wraps(command)
    def call(
        *args: Any, server: str | None, context: str | None, kubeconfig: str | None, system_namespace: str, **more: Any
    ) -> Any:
        return command(*args, target=_target(server, context, kubeconfig, system_namespace), **more)

    options = [
        click.option(
            "--server",
            metavar="URL",
            help=f"Address of a server (RYNXS_SERVER; default: {DEFAULT_SERVER}). Its token is found by the address, "
            "or given as RYNXS_TOKEN.",
        ),
        click.option(
            "--context",
            metavar="NAME",
            help="Talk to the cluster of this context of the kubeconfig instead (RYNXS_CONTEXT).",
        ),
        click.option(
            "--kubeconfig",
            metavar="FILE",
            help="Its kubeconfig (default: KUBECONFIG, else ~/.kube/config); alone: its current context.",
        ),
        click.option(
            "--system-namespace",
            metavar="NAME",
            default=SYSTEM_NAMESPACE,
            show_default=True,
            help="Where Rynxs is installed in the cluster.",
        ),
    ]
    decorated: Any = call
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def _target(server: str | None, context: str | None, kubeconfig: str | None, system: str) -> Target:
    """What was said on the command line counts, then the environment; nothing said is the local server."""
    if server is None and context is None and kubeconfig is None:
        server = os.environ.get("RYNXS_SERVER") or None
        context = os.environ.get("RYNXS_CONTEXT") or None
    if server is not None and (context is not None or kubeconfig is not None):
        raise click.UsageError("a server and a context of a cluster were named: name one of them")
    if context is not None or kubeconfig is not None:
        return Cluster(context, kubeconfig, system)
    return Server(DEFAULT_SERVER if server is None else server)
