"""`rynxs serve`: local mode."""

from __future__ import annotations

import re
from pathlib import Path

import click

from rynxs.cli.main import Failure

LISTEN = re.compile(r"^(?:\[([0-9a-f:]+)\]|([^:\s]+)):(\d{1,5})$")


@click.command("serve")
@click.option(
    "--data",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for log, workspaces, keys.",
)
@click.option(
    "--listen",
    default="127.0.0.1:8765",
    show_default=True,
    metavar="ADDRESS:PORT",
    help="A loopback address; port 0 picks one.",
)
@click.option(
    "--mount",
    "mounts",
    multiple=True,
    metavar="FOLDER:PATH",
    help="Show a folder, read-only, at PATH in every computer.",
)
def serve_command(data: Path, listen: str, mounts: tuple[str, ...]) -> None:
    """Run everything in this process: gateway, log on disk, bubblewrap computers.

    \b
    rynxs serve --data ./rynxs
    rynxs serve --data ./rynxs --listen 127.0.0.1:0 --mount ./wheels:/opt/wheels
    """
    match = LISTEN.match(listen)
    if match is None or int(match[3]) > 65535:
        raise Failure(f"--listen {listen!r} is not ADDRESS:PORT, such as 127.0.0.1:8765", 2)
    bound = [_mount(mount) for mount in mounts]

    from rynxs.gateway.server import CannotServe
    from rynxs.local.server import Options, run

    try:
        run(Options(data=data.absolute(), host=match[1] or match[2], port=int(match[3]), mounts=bound))
    except CannotServe as error:
        raise Failure(str(error)) from error


def _mount(text: str) -> tuple[Path, str]:
    folder, _, path = text.rpartition(":")
    if not folder or not path.startswith("/") or ".." in Path(path).parts:
        raise Failure(f"--mount {text!r} is not FOLDER:PATH with an absolute PATH", 2)
    if not Path(folder).is_dir():
        raise Failure(f"--mount: {folder} is not a folder", 2)
    return Path(folder).resolve(), path
