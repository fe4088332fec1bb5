"""`rynxs apply`, `get` and `delete`: agents and policies."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click

from rynxs.cli.connection import check, connect, namespace_option, output_option
from rynxs.cli.main import Failure
from rynxs.cli.target import Cluster, Server, Target, target_options


@click.command("apply")
@click.option(
    "-f",
    "--filename",
    "file",
    required=True,
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Manifests (YAML; - for standard input).",
)
@target_options
@output_option
def apply_command(file: str, target: Target, output: str) -> None:
    """Create or change agents and policies. Everything in the file is applied, or nothing.

    On a cluster the API server is asked about every object before the first one is applied.

    \b
    rynxs apply -f coder.yaml
    rynxs apply -f coder.yaml --context prod
    """
    try:
        with click.open_file(file, "rb") as stream:
            text = stream.read()
    except OSError as error:
        raise Failure(f"{file} can't be read: {error.strerror}") from error
    source = "standard input" if file == "-" else file
    items = _apply_local(text, source, target) if isinstance(target, Server) else _apply_cluster(text, source, target)
    if output == "json":
        print(json.dumps({"items": items}, ensure_ascii=False, separators=(",", ":")))
        return
    for item in items:
        line = f"{item['object']} {item['result']}"
        print(f"{line:<32} {item['note']}" if item.get("note") else line)
        for note in item.get("warnings", []):
            print(f"rynxs: {item['object']}: {note}", file=sys.stderr)


def _apply_local(text: bytes, source: str, target: Server) -> list[dict[str, Any]]:
    with connect(target) as client:
        response = client.post(
            "/v1/manifests",
            params={"source": source},
            content=text,
            headers={"Content-Type": "application/yaml"},
        )
        if response.status_code == 400 and "errors" in response.text:
            raise Failure("\nrynxs: ".join(response.json()["errors"]))
        check(response)
        items: list[dict[str, Any]] = response.json()["items"]
        return items


def _apply_cluster(text: bytes, source: str, target: Cluster) -> list[dict[str, Any]]:
    import msgspec

    from rynxs.api.manifest import ManifestErrors, parse
    from rynxs.cli.cluster import ask, load
    from rynxs.cluster import manifests
    from rynxs.policy.engine import check as check_policies

    try:
        found = parse(text, source, check_policies)
    except ManifestErrors as errors:
        raise Failure("\nrynxs: ".join(map(str, errors.errors))) from errors
    try:
        applied = ask(load(target, 1), lambda client: manifests.apply(client, found))
    except manifests.NotApplied as error:
        raise Failure(f"{source}: {error}") from error
    items: list[dict[str, Any]] = msgspec.to_builtins(applied)
    return items


@click.group("get")
def get_command() -> None:
    """Show what exists."""


@get_command.command("agents")
@click.option("-n", "--namespace", help="Only those of one namespace.")
@target_options
@output_option
def get_agents(namespace: str | None, target: Target, output: str) -> None:
    """List agents; on a cluster with how they stand.

    \b
    rynxs get agents
    rynxs get agents -n team-a -o json
    rynxs get agents --context prod
    """
    if isinstance(target, Server):
        with connect(target) as client:
            response = client.get(f"/v1/namespaces/{quote(namespace, safe='')}/agents" if namespace else "/v1/agents")
            check(response)
            items: list[dict[str, Any]] = response.json()["items"]
        rows = [("NAMESPACE", "NAME", "CREATED"), *(_row(item) for item in items)]
    else:
        items = _agents(target, namespace or "")
        rows = [("NAMESPACE", "NAME", "PHASE", "COMPUTER", "POLICY", "AGE"), *(_standing(item) for item in items)]
    if output == "json":
        print(json.dumps({"items": items}, indent=2))
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _agents(target: Cluster, namespace: str) -> list[dict[str, Any]]:
    """As a server lists them, and their status."""
    from rynxs.api.resource import written
    from rynxs.cli.cluster import ask, load
    from rynxs.cluster.manifests import agents

    return [
        {
            "uid": item["metadata"]["uid"],
            "created": item["metadata"]["creationTimestamp"],
            "agent": {"spec": {}} | written(item),
            "status": item.get("status", {}),
        }
        for item in ask(load(target, 1), lambda client: agents(client, namespace))
    ]


@click.group("delete")
def delete_command() -> None:
    """Delete what exists."""


@delete_command.command("agent")
@click.argument("name")
@namespace_option
@target_options
@output_option
def delete_agent(name: str, namespace: str, target: Target, output: str) -> None:
    """Delete an agent: its running actions end, and so does its computer.

    Its workspace stays for a later agent of that name, unless it says `workspace: {retain: Delete}`.

    \b
    rynxs delete agent dev
    """
    _delete(target, "Agent", namespace, name, output)


@delete_command.command("policy")
@click.argument("name")
@namespace_option
@target_options
@output_option
def delete_policy(name: str, namespace: str, target: Target, output: str) -> None:
    """Delete a policy. Agents that no other policy selects can do nothing then.

    \b
    rynxs delete policy coder
    """
    _delete(target, "AgentPolicy", namespace, name, output)


@delete_command.command("clusterpolicy")
@click.argument("name")
@target_options
@output_option
def delete_cluster_policy(name: str, target: Target, output: str) -> None:
    """Delete a policy of the whole cluster. What only it denied is then up to the policies of the namespaces.

    \b
    rynxs delete clusterpolicy no-force-push
    """
    _delete(target, "ClusterAgentPolicy", "", name, output)


def _delete(target: Target, kind: str, namespace: str, name: str, output: str) -> None:
    if isinstance(target, Server):
        inside = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        plural = "agents" if kind == "Agent" else "policies"
        with connect(target) as client:
            response = client.delete(f"/v1{inside}/{plural}/{quote(name, safe='')}")
            check(response)
        done = response.text
    else:
        _delete_cluster(target, kind, namespace, name)
        done = json.dumps({"object": f"{kind.lower()}/{name}", "namespace": namespace, "result": "deleted"})
    print(done if output == "json" else f"{kind.lower()}/{name} deleted")


def _delete_cluster(target: Cluster, kind: str, namespace: str, name: str) -> None:
    from rynxs.cli.cluster import ask, load
    from rynxs.cluster.manifests import delete

    if not ask(load(target, 1), lambda client: delete(client, kind, namespace, name)):
        where = f" in namespace {namespace}" if namespace else ""
        raise Failure(f"there is no {kind.lower()} {name}{where}")


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    metadata = item["agent"]["metadata"]
    created = datetime.fromisoformat(item["created"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return metadata.get("namespace", "default"), metadata["name"], created


def _standing(item: dict[str, Any]) -> tuple[str, ...]:
    """An Agent of a cluster, as in the tour."""
    metadata, status = item["agent"]["metadata"], item["status"]
    said = [status.get(field) or "-" for field in ("phase", "computer", "policy")]
    return metadata["namespace"], metadata["name"], *said, _age(item["created"])


def _age(since: str) -> str:
    """In the largest unit of which there is one, as kubectl shows it."""
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"
