"""The entry point: commands, help, and errors in one line."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from rynxs import __version__
from rynxs.cli import main as main_module
from rynxs.cli.main import COMMANDS, Failure


def test_help_lists_every_command(rynxs) -> None:
    done = rynxs("--help")
    assert done.code == 0
    assert all(f"\n  {name}" in done.out for name in COMMANDS)


@pytest.mark.parametrize(
    "command",
    [
        *([name] for name in COMMANDS),
        ["get", "agents"],
        ["delete", "agent"],
        ["delete", "policy"],
        ["log", "tail"],
        ["log", "verify"],
    ],
)
def test_every_command_has_help(rynxs, command) -> None:
    done = rynxs(*command, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: rynxs {' '.join(command)}")
    assert rynxs(*command, "-h").out == done.out


def test_version(rynxs) -> None:
    assert rynxs("--version").out == f"rynxs {__version__}\n"


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["nothing"], "No such command 'nothing'"),
        (["get"], ""),
        (["apply"], "Missing option '-f'"),
        (["get", "agents", "-o", "yaml"], "'yaml' is not one of 'text', 'json'"),
        (["log", "tail", "-l", "-1"], "-1 is not in the range x>=0"),
        (["serve", "--data", "x", "--listen", "8765"], "--listen '8765' is not ADDRESS:PORT"),
        (["serve", "--data", "x", "--listen", "127.0.0.1:65536"], "is not ADDRESS:PORT"),
        (["serve", "--data", "x", "--mount", "wheels"], "--mount 'wheels' is not FOLDER:PATH"),
        (["serve", "--data", "x", "--mount", ".:/opt/../etc"], "is not FOLDER:PATH"),
        (["serve", "--data", "x", "--mount", "no-such-folder:/opt"], "no-such-folder is not a folder"),
    ],
)
def test_a_wrong_use_ends_with_2(rynxs, args, reason) -> None:
    done = rynxs(*args)
    assert done.code == 2
    assert reason in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (Failure("it failed"), 1, "rynxs: it failed\n"),
        (Failure("it failed", 125), 125, "rynxs: it failed\n"),
        (click.ClickException("no"), 1, "rynxs: no\n"),
        (click.Abort(), 130, ""),
        (KeyboardInterrupt(), 130, "\n"),
    ],
)
def test_errors_are_one_line(rynxs, monkeypatch, error, code, text) -> None:
    @click.command("apply")
    def fail() -> None:
        raise error

    monkeypatch.setattr(main_module.Commands, "get_command", lambda self, context, name: fail)
    done = rynxs("apply")
    assert (done.code, done.err) == (code, text)


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, rynxs.cli.main as m; sys.argv = ['rynxs', '--help']\ntry: m.main()\nexcept SystemExit: pass\n"
    code += "print([n for n in ('httpx2', 'starlette', 'mcp', 'asyncio', 'cryptography') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
