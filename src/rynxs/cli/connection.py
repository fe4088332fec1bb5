"""The connection of commands to a server: its address, the token, and its refusals as errors for people."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rynxs.cli.main import Failure
from rynxs.cli.target import Server, Target

if TYPE_CHECKING:
    import httpx2

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

namespace_option: Callable[[Decorated], Decorated] = click.option(
    "-n", "--namespace", default="default", show_default=True, help="The agent's namespace."
)
output_option: Callable[[Decorated], Decorated] = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people or programs.",
)


@contextlib.contextmanager
def connect(target: Target, *, exit_code: int = 1) -> Iterator[httpx2.Client]:
    """A client of the target with the caller's token. What goes wrong in the block becomes a Failure with that code."""
    if isinstance(target, Server):
        with _server(target.url, exit_code) as client:
            yield client
        return
    import httpx2

    from rynxs.cli import cluster

    try:
        with cluster.gateway(target, exit_code) as client:
            yield client
    except httpx2.HTTPError as error:
        raise Failure(f"the gateway: {str(error) or type(error).__name__}", exit_code) from error


@contextlib.contextmanager
def _server(server: str, exit_code: int) -> Iterator[httpx2.Client]:
    import httpx2

    headers = {"Authorization": f"Bearer {_token(server, exit_code)}"}
    timeout = httpx2.Timeout(10.0, read=None)  # a command may be silent for long; its own deadline ends it
    try:
        with httpx2.Client(base_url=server, headers=headers, timeout=timeout, trust_env=False) as client:
            yield client
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise Failure(
            f"no server answers at {server}: {error}. Start one: rynxs serve --data DIR; "
            "or name a cluster with --context",
            exit_code,
        ) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise Failure(f"{server}: {str(error) or type(error).__name__}", exit_code) from error


def check(response: httpx2.Response, *, exit_code: int = 1) -> None:
    """Raise a Failure for anything but success, in the words of the server's problem document."""
    if response.is_success:
        return
    response.read()
    raise Failure(detail_of(response), exit_code)


def detail_of(response: httpx2.Response) -> str:
    """What the server says went wrong; the body must have been read."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered {response.status_code} {response.text[:200]}".strip()


def _token(server: str, exit_code: int) -> str:
    token = os.environ.get("RYNXS_TOKEN", "").strip()
    if token:
        return plain(token, "RYNXS_TOKEN", exit_code)
    from rynxs.local.state import find_server

    found = find_server(server)
    if found is None:
        raise Failure(
            f"no server was started at {server} by this user: give its token as RYNXS_TOKEN, "
            "or name a cluster with --context",
            exit_code,
        )
    try:
        token = found.token_file.read_text().strip()
    except (OSError, ValueError) as error:
        raise Failure(f"the token of {server} can't be read: {error}", exit_code) from error
    return plain(token, str(found.token_file), exit_code)


def plain(token: str, place: str, exit_code: int) -> str:
    """A token that may become a header; the HTTP client would print another one in its error."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Failure(f"{place} holds no token: a token is one word of ASCII", exit_code)
    return token
