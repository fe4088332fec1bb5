"""`rynxs`: the entry point, and how errors read."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

import click

from rynxs import __version__

COMMANDS = {
    "serve": "serve",
    "apply": "manifests",
    "get": "manifests",
    "delete": "manifests",
    "exec": "exec",
    "log": "log",
    "image": "image",
}
"""Each command's module in this package."""

COMPONENTS = {"operator": "component", "gateway": "component", "install": "component"}
"""Commands that the chart runs in a cluster's pods; no help lists them."""


class Commands(click.Group):
    """Loads a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order one meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        name = (COMMANDS | COMPONENTS).get(cmd_name)
        if name is None:
            return None
        module = importlib.import_module(f"rynxs.cli.{name}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command


class Failure(click.ClickException):
    """What went wrong, for a person; `code` is the process's exit code."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.code = exit_code


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rynxs", message="%(prog)s %(version)s")
def rynxs() -> None:
    """Computers for AI agents: every action decided by policy before it runs, and recorded.

    \b
    rynxs serve --data ./rynxs         start local mode
    rynxs apply -f coder.yaml          create agents and policies
    rynxs exec dev -- pytest -q        run a command in an agent's computer
    rynxs log tail                     see what was decided and done
    rynxs log verify                   find out whether the log was changed
    """


def main() -> NoReturn:
    """Run the command line; errors are one line on standard error, never a traceback."""
    try:
        code = rynxs.main(standalone_mode=False)
    except click.UsageError as error:
        usage = error.ctx.get_usage() + "\n" if error.ctx else ""
        fail(f"{usage}rynxs: {error.format_message()}", 2)
    except Failure as error:
        fail(f"rynxs: {error.format_message()}", error.code)
    except click.ClickException as error:
        fail(f"rynxs: {error.format_message()}", error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        fail("", 130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    sys.exit(code if isinstance(code, int) else 0)


def fail(message: str, code: int) -> NoReturn:
    """Say it on standard error and exit."""
    if message:
        print(message, file=sys.stderr)
    sys.exit(code)
