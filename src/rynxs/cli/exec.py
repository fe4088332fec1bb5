"""`rynxs exec`: run a command in an agent's computer, as if it were here."""

from __future__ import annotations

import base64
import contextlib
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from rynxs.cli.connection import check, connect, namespace_option, output_option
from rynxs.cli.main import Failure
from rynxs.cli.target import Target, target_options

if TYPE_CHECKING:
    import httpx2

REFUSED = 125
"""Exit code of Rynxs' own refusal or failure, as `env` and container runtimes use it."""

JSON = {"Content-Type": "application/json"}


class _Exec(click.Command):
    """A wrong use must not look like a command that ended with 2."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As ever, but for the exit code."""
        with _refusing():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """As ever, but for the exit code."""
        with _refusing():
            return super().invoke(ctx)


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        raise Failure(f"{error.format_message()} (rynxs exec --help)", REFUSED) from error


@click.command("exec", cls=_Exec)
@click.argument("agent")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--cwd", default=".", help="Working directory, in the workspace.")
@click.option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="Add to the environment.")
@click.option("-i", "--stdin", is_flag=True, help="Pass standard input on (read to its end first).")
@click.option("--timeout", type=float, default=600.0, show_default=True, help="Seconds until it is killed.")
@click.option("--id", "id_", help="Action id (a UUIDv7); makes repeating this command safe.")
@namespace_option
@target_options
@output_option
def exec_command(
    agent: str,
    argv: tuple[str, ...],
    cwd: str,
    env: tuple[str, ...],
    stdin: bool,
    timeout: float,
    id_: str | None,
    namespace: str,
    target: Target,
    output: str,
) -> int:
    """Run a command in an agent's computer and return its exit code (125: Rynxs refused or failed).

    \b
    rynxs exec dev -- pytest -q
    rynxs exec dev --cwd src -e DEBUG=1 -- make all
    rynxs exec --context prod -n team-a dev -- ls
    echo hello | rynxs exec dev -i -- tee hello.txt
    """
    pairs = [pair.partition("=") for pair in env]
    if any(not sign or not name for name, sign, _ in pairs):
        raise Failure("--env takes NAME=VALUE", REFUSED)
    args: dict[str, Any] = {
        "argv": list(argv),
        "cwd": cwd,
        "env": {name: value for name, _, value in pairs},
        "timeout": timeout,
    }
    try:
        args["stdin"] = sys.stdin.buffer.read().decode() if stdin else ""
        action = {"tool": "shell_exec", "args": args} | ({"id": id_} if id_ else {})
        body = json.dumps(action, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise Failure(
            f"the command or its standard input can't be passed on, only text in UTF-8: {error}", REFUSED
        ) from error
    path = f"/v1/namespaces/{quote(namespace, safe='')}/agents/{quote(agent, safe='')}/actions"
    with connect(target, exit_code=REFUSED) as client:
        if output == "json":
            response = client.post(path, content=body, headers=JSON)
            print(response.text)
            return _exit_code(response.json()["outcome"]) if response.is_success else REFUSED
        with client.stream("POST", path, content=body, headers=JSON | {"Accept": "text/event-stream"}) as response:
            check(response, exit_code=REFUSED)
            return _show(response)


def _show(response: httpx2.Response) -> int:
    event = ""
    for line in response.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            event = value
        elif field == "data" and event == "output":
            _write(json.loads(value))
        elif field == "data" and event == "problem":
            raise Failure(json.loads(value)["detail"], REFUSED)
        elif field == "data" and event == "outcome":
            return _end(json.loads(value))
    raise Failure("the server ended the answer before the outcome; look for it with: rynxs log tail", REFUSED)


def _write(output: dict[str, str]) -> None:
    data = base64.b64decode(output["content"]) if output["encoding"] == "base64" else output["content"].encode()
    stream = sys.stdout if output["stream"] == "stdout" else sys.stderr
    stream.buffer.write(data)
    stream.buffer.flush()


def _end(answer: dict[str, Any]) -> int:
    outcome = answer["outcome"]
    for stream in ("stdout", "stderr"):
        dropped = outcome.get(stream, {}).get("dropped", 0)
        if dropped:
            print(f"rynxs: {stream} was cut: {dropped} bytes more were written", file=sys.stderr)
    if outcome["ending"] != "Finished":
        raise Failure(f"{outcome['ending']}: {outcome.get('error', '')} (action {answer['action']})", REFUSED)
    return _exit_code(outcome)


def _exit_code(outcome: dict[str, Any]) -> int:
    result = outcome.get("result") or {}
    if outcome["ending"] != "Finished":
        return REFUSED
    return 128 + int(result["signal"]) if "signal" in result else int(result["exit_code"])
