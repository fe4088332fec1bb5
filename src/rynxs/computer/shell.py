"""The tool `shell_exec`: one program, its output streamed, its whole tree ended with it."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable

import msgspec

from rynxs.action.outcome import Ending, Outcome
from rynxs.action.tool import ShellExec, ShellResult
from rynxs.computer.files import FileError, Workspace
from rynxs.computer.output import Capture, Stream
from rynxs.computer.process import Launcher, Pump, Status
from rynxs.computer.stop import Stop


async def shell_exec(
    args: ShellExec,
    *,
    launcher: Launcher,
    workspace: Workspace,
    env: dict[str, str],
    capture: Capture,
    emit: Callable[[Stream, bytes], None],
    stop: Stop,
    started: Callable[[int], None],
) -> Outcome:
    """Run the program until it ends or `stop` is set; then nothing that it started is alive.

    `emit` gets the kept output as it comes, `started` the pid of the tree's head. Raises process.ZygoteLost.
    """
    try:
        cwd = workspace.open_folder(args.cwd)
    except FileError as error:
        return Outcome(ending=Ending.FAILED, error=f"working directory {error}")
    try:
        process = await launcher.start(args.argv, {**env, **args.env}, cwd, args.stdin.encode())
    except OSError as error:
        return Outcome(ending=Ending.FAILED, error=f"can't start {args.argv[0]!r}: {error.strerror}")
    finally:
        os.close(cwd)
    if process.reaper is not None:
        started(process.reaper)

    def sink(stream: Stream) -> Callable[[bytes], None]:
        def take(data: bytes) -> None:
            if kept := capture.take(stream, data):
                emit(stream, kept)

        return take

    pumps = [Pump(process.stdout, sink("stdout")), Pump(process.stderr, sink("stderr"))]
    await asyncio.wait((process.over, stop.asked), return_when=asyncio.FIRST_COMPLETED)
    status = process.status  # what comes after this is of our own killing
    await launcher.end(process)
    for pump in pumps:
        pump.finish()
    ending, problem, result = _ending(args, status, stop)
    return Outcome(
        ending=ending,
        error=problem,
        result=msgspec.to_builtins(result) if result else None,
        stdout=capture.captured("stdout"),
        stderr=capture.captured("stderr"),
    )


def _ending(args: ShellExec, status: Status | None, stop: Stop) -> tuple[Ending, str, ShellResult | None]:
    if status is None and stop.ending is not None:
        return stop.ending, stop.error, None
    if status is None:
        return Ending.FAILED, "the process that watches over the program was killed", None
    if status.kind == "exit":
        return Ending.FINISHED, "", ShellResult(exit_code=status.number)
    if status.kind == "signal":
        return Ending.FINISHED, "", ShellResult(signal=status.number)
    if status.kind == "exec":
        return Ending.FAILED, _exec_error(args.argv[0], status.number), None
    if status.kind == "cwd":
        return Ending.FAILED, f"working directory {args.cwd!r}: {os.strerror(status.number)}", None
    return Ending.FAILED, f"can't start {args.argv[0]!r}: {os.strerror(status.number)}", None


def _exec_error(program: str, number: int) -> str:
    if number == errno.ENOENT:
        return f"there is no program {program!r} (searched in PATH), or the interpreter it names is missing"
    if number == errno.EACCES:
        return f"{program!r} is not executable"
    if number == errno.EAGAIN:
        return f"can't start {program!r}: the computer's limit of processes is reached"
    if number == errno.E2BIG:
        return f"arguments and environment of {program!r} are too long"
    return f"can't run {program!r}: {os.strerror(number)}"
