"""The tools as the daemon runs them: from arguments to an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from msgspec import Struct

from rynxs.action.outcome import Ending, Outcome
from rynxs.action.tool import FileDelete, FileList, FileRead, FileWrite, ShellExec
from rynxs.computer.files import FileError, Workspace
from rynxs.computer.output import Capture, Stream
from rynxs.computer.process import Launcher
from rynxs.computer.removal import Stopped
from rynxs.computer.shell import shell_exec
from rynxs.computer.stop import Stop
from rynxs.computer.watch import Watch


class Tools:
    """Runs one action's tool; `env` is the environment that programs start with."""

    def __init__(self, workspace: Workspace, launcher: Launcher, watch: Watch, env: dict[str, str]) -> None:
        self._workspace = workspace
        self._launcher = launcher
        self._watch = watch
        self._env = env

    async def run(self, args: Struct, stop: Stop, max_output: int, emit: Callable[[Stream, bytes], None]) -> Outcome:
        """Run to the end, or until `stop` is set. Raises process.ZygoteLost."""
        if isinstance(args, ShellExec | FileWrite) and (over := await self._watch.still_over()):
            return Outcome(ending=Ending.FAILED, error=f"{over}: delete files first, with file_delete")
        if isinstance(args, ShellExec):
            return await self._shell_exec(args, stop, max_output, emit)
        try:
            result = await asyncio.to_thread(self._file, args, stop)
        except FileError as error:
            return Outcome(ending=Ending.FAILED, error=str(error))
        except Stopped:
            return Outcome(ending=stop.ending or Ending.CANCELLED, error=stop.error)
        if isinstance(args, FileWrite):
            self._watch.look_at_disk()
        return Outcome(ending=Ending.FINISHED, result=msgspec.to_builtins(result))

    def _file(self, args: Struct, stop: Stop) -> Struct:
        match args:
            case FileRead():
                return self._workspace.read(args)
            case FileWrite():
                return self._workspace.write(args)
            case FileList():
                return self._workspace.list(args)
            case FileDelete():
                return self._workspace.delete(args, lambda: stop.ending is not None)
            case _:
                raise FileError(f"the computer has no tool for {type(args).__name__}")

    async def _shell_exec(
        self, args: ShellExec, stop: Stop, max_output: int, emit: Callable[[Stream, bytes], None]
    ) -> Outcome:
        heads: list[int] = []

        def started(head: int) -> None:
            heads.append(head)
            self._watch.add(head, stop)

        try:
            return await shell_exec(
                args,
                launcher=self._launcher,
                workspace=self._workspace,
                env=self._env,
                capture=Capture(max_output),
                emit=emit,
                stop=stop,
                started=started,
            )
        finally:
            for head in heads:
                del self._watch.actions[head]
