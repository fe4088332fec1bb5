"""`rynxs apply`, `get` and `delete`: agents and policies."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any
from urllib.parse import quote

import click

from rynxs.cli.connection import check, connect, namespace_option, output_option, server_option
from rynxs.cli.main import Failure


@click.command("apply")
@click.option(
    "-f",
    "--filename",
    "file",
    required=True,
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Manifests (YAML; - for standard input).",
)
@server_option
@output_option
def apply_command(file: str, server: str, output: str) -> None:
    """Create or change agents and policies. Everything in the file is applied, or nothing.

    \b
    rynxs apply -f coder.yaml
    """
    try:
        with click.open_file(file, "rb") as stream:
            text = stream.read()
    except OSError as error:
        raise Failure(f"{file} can't be read: {error.strerror}") from error
    source = "standard input" if file == "-" else file
    with connect(server) as client:
        response = client.post(
            "/v1/manifests",
            params={"source": source},
            content=text,
            headers={"Content-Type": "application/yaml"},
        )
        if response.status_code == 400 and "errors" in response.text:
            raise Failure("\nrynxs: ".join(response.json()["errors"]))
        check(response)
    if output == "json":
        print(response.text)
        return
    for item in response.json()["items"]:
        line = f"{item['object']} {item['result']}"
        print(f"{line:<32} {item['note']}" if item.get("note") else line)
        for note in item.get("warnings", []):
            print(f"rynxs: {item['object']}: {note}", file=sys.stderr)


@click.group("get")
def get_command() -> None:
    """Show what exists."""


@get_command.command("agents")
@click.option("-n", "--namespace", help="Only those of one namespace.")
@server_option
@output_option
def get_agents(namespace: str | None, server: str, output: str) -> None:
    """List agents.

    \b
    rynxs get agents
    rynxs get agents -n team-a -o json
    """
    with connect(server) as client:
        response = client.get(f"/v1/namespaces/{quote(namespace, safe='')}/agents" if namespace else "/v1/agents")
        check(response)
    if output == "json":
        print(json.dumps(response.json(), indent=2))
        return
    rows = [("NAMESPACE", "NAME", "CREATED")]
    rows += [_row(item) for item in response.json()["items"]]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@click.group("delete")
def delete_command() -> None:
    """Delete what exists."""


@delete_command.command("agent")
@click.argument("name")
@namespace_option
@server_option
@output_option
def delete_agent(name: str, namespace: str, server: str, output: str) -> None:
    """Delete an agent: its running actions are cancelled, and its computer ends.

    Its workspace stays for a later agent of that name, unless it says `workspace: {retain: Delete}`.

    \b
    rynxs delete agent dev
    """
    _delete(server, namespace, "agents", name, f"agent/{name}", output)


@delete_command.command("policy")
@click.argument("name")
@namespace_option
@server_option
@output_option
def delete_policy(name: str, namespace: str, server: str, output: str) -> None:
    """Delete a policy. Agents that no other policy selects can do nothing then.

    \b
    rynxs delete policy coder
    """
    _delete(server, namespace, "policies", name, f"agentpolicy/{name}", output)


def _delete(server: str, namespace: str, kind: str, name: str, shown: str, output: str) -> None:
    with connect(server) as client:
        response = client.delete(f"/v1/namespaces/{quote(namespace, safe='')}/{kind}/{quote(name, safe='')}")
        check(response)
    print(response.text if output == "json" else f"{shown} deleted")


def _row(item: dict[str, Any]) -> tuple[str, str, str]:
    metadata = item["agent"]["metadata"]
    created = datetime.fromisoformat(item["created"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return metadata.get("namespace", "default"), metadata["name"], created
