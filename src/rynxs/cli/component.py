"""`rynxs operator`, `rynxs gateway`, `rynxs install`: what runs in a cluster's pods, started by the chart."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from rynxs.cli.main import Failure

_config = click.option(
    "--config",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The installation's configuration, as the chart writes it.",
)


@click.command("operator")
@_config
def operator_command(config: Path) -> None:
    """Turn Agents into computers, in the cluster that this pod is in.

    \b
    rynxs operator --config /etc/rynxs/config.yaml
    """
    from rynxs.cluster.operator import CannotOperate, run

    _log()
    try:
        run(config)
    except CannotOperate as error:
        raise Failure(str(error)) from error


@click.command("gateway")
@_config
def gateway_command(config: Path) -> None:
    """Decide, record and run the actions of a cluster's agents.

    \b
    rynxs gateway --config /etc/rynxs/config.yaml
    """
    from rynxs.cluster.gateway import run
    from rynxs.gateway.server import CannotServe

    _log()
    try:
        run(config)
    except CannotServe as error:
        raise Failure(str(error)) from error


@click.command("install")
@_config
@click.option("--first", is_flag=True, help="This is the first installation: make the log's trust file and anchors.")
def install_command(config: Path, first: bool) -> None:
    """Make what an installation needs and does not have yet: keys, certificates, the log's trust file.

    \b
    rynxs install --config /etc/rynxs/config.yaml --first
    """
    from rynxs.cluster.install import CannotInstall, install

    try:
        install(config, first=first, say=print)
    except CannotInstall as error:
        raise Failure(str(error)) from error


def _log() -> None:
    """Log in plain lines on standard error; libraries only what is wrong."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("rynxs").setLevel(logging.INFO)
