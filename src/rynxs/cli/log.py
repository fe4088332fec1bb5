"""`rynxs log`: read the log, and verify it."""

from __future__ import annotations

import json
import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from rynxs.cli.connection import check, connect, output_option
from rynxs.cli.main import Failure
from rynxs.cli.target import DEFAULT_SERVER, Cluster, Server, Target, target_options
from rynxs.cli.terminal import one_line

STREAM = "shard-0"


@click.group("log")
def log_command() -> None:
    """Read the log, and find out whether it was changed."""


@log_command.command("tail")
@click.option("-f", "--follow", is_flag=True, help="Stay, and show events as they come.")
@click.option("-l", "--lines", default=20, show_default=True, type=click.IntRange(min=0), help="How many of the last.")
@target_options
@output_option
def tail(follow: bool, lines: int, target: Target, output: str) -> None:
    """Show the last events.

    \b
    rynxs log tail
    rynxs log tail --context prod
    rynxs log tail -f -o json | jq .data
    """
    with connect(target) as client:
        query = {"last": str(lines), "follow": "true" if follow else "false"}
        with client.stream("GET", f"/v1/log/{STREAM}/events", params=query) as response:
            check(response)
            for line in response.iter_lines():
                print(line if output == "json" else shown(STREAM, json.loads(line)), flush=True)


def shown(stream: str, event: dict[str, Any]) -> str:
    """One event as a line for people."""
    time = datetime.fromisoformat(event["time"]).astimezone().strftime("%H:%M:%S.%f")[:-3]
    name = event["subject"].rpartition("/")[2]
    line = f"{time} {stream} {event['seq']:<5} {event['type']:<16} {name} {_details(event)}".rstrip()
    return one_line(line)  # an agent wrote into it


def _details(event: dict[str, Any]) -> str:
    data = event["data"]
    if event["type"] == "action.decided":
        args = data["action"]["args"]
        short = args.get("argv", args.get("path", args)) if isinstance(args, dict) else args
        text = json.dumps(short, ensure_ascii=False, separators=(",", ":"))
        text = text if len(text) <= 160 else text[:157] + "..."
        return f"{data['action']['tool']} {data['effect']} {data['rule'] or '-'}  {text}  by {event['actor']}"
    if event["type"] == "action.finished":
        ended = data["outcome"]
        if "exit_code" in data:
            ended += f" exit {data['exit_code']}"
        parts = [f"{ended}  {data.get('seconds', 0):.1f} s"]
        for label, stream in (("out", "stdout"), ("err", "stderr")):
            captured = data.get(stream)
            if captured and captured["bytes"]:
                parts.append(f"{label} {captured['bytes']} B sha256:{captured['sha256'][:8]}...")
        if data.get("error"):
            parts.append(data["error"])
        return "  ".join(parts)
    return " ".join(
        f"{key}={shlex.quote(str(data[key]))}" for key in ("operation", "writer", "epoch", "hash") if key in data
    )


@log_command.command("verify")
@click.argument("url", required=False)
@click.option("--stream", help="Only this stream (default: all).")
@click.option(
    "--trust",
    type=click.Path(path_type=Path),
    help="Trust file (default: the one in the user's state folder).",
)
@click.option(
    "--anchor",
    type=click.Path(path_type=Path),
    help="Folder with anchors (default: in the user's state folder).",
)
@click.option("--endpoint", metavar="URL", help="The server of a bucket (default: AWS in AWS_REGION).")
@target_options
@output_option
def verify(
    url: str | None,
    stream: str | None,
    trust: Path | None,
    anchor: Path | None,
    endpoint: str | None,
    target: Target,
    output: str,
) -> int:
    """Find out whether anything was changed, from the log's bytes and the trust file alone.

    URL is the log's folder (file:///...) or bucket (s3://bucket/prefix, with the keys of the environment's
    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY); by default the log of the local server. With --context it is
    that of the cluster, whose trust file and anchors are read there; the bucket's keys are those of the
    environment, else of the Secret that the installation uses. Exit code 0: complete and unchanged; 1: tampered;
    2: could not check.

    \b
    rynxs log verify
    rynxs log verify --context prod
    rynxs log verify file:///backup/rynxs/log --trust trust.json
    rynxs log verify s3://audit/prod --trust trust.json --anchor anchors
    """
    from rynxs.cli import verification

    if isinstance(target, Cluster) and url is None:
        if trust or anchor or endpoint:
            raise click.UsageError("--trust, --anchor and --endpoint go with a URL, not with the log of a cluster")
        reports = verification.of_cluster(target, stream)
    else:
        reports = verification.of_url(url or _log_of(target), stream, trust, anchor, endpoint)
    return verification.show(reports, as_json=output == "json")


def _log_of(target: Target) -> str:
    from rynxs.local.state import find_server

    assert isinstance(target, Server)
    found = find_server(target.url)
    if found is None:
        known = "" if target.url == DEFAULT_SERVER else " there"
        raise Failure(
            f"no server was started at {target.url}{known} by this user: give the log's URL, "
            "or name a cluster with --context",
            2,
        )
    return found.log_url
