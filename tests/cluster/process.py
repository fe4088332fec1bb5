"""Long-running programs that outlive the process which started them, each known by a name.

What is kept of each is one file: its command, its pid and the time that pid was started, so that a later process can
stop, kill and restart it, and never takes another program with a recycled pid for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

MARK = "RYNXS_CLUSTER"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Processes:
    """The programs of one folder. `mark` is in the environment of each, and of what it starts.

    With `tied` they do not outlive the thread that starts them, however it ends.
    """

    def __init__(self, folder: Path, mark: str, *, tied: bool = False) -> None:
        self.records = folder / "processes"
        self.logs = folder / "logs"
        self.mark = mark
        self._before = ["setpriv", "--pdeathsig", "KILL"] if tied else []

    def start(self, name: str, command: list[str]) -> None:
        """Start it, or another one under a name that is free again; returns at once."""
        assert not self.alive(name), f"{name} runs already"
        self.records.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        whole = [*self._before, *command]
        executable = shutil.which(whole[0], path=PATH)
        if executable is None:
            raise FileNotFoundError(f"{name}: there is no program {whole[0]}")
        environment = {"PATH": PATH, "HOME": "/root", MARK: f"{self.mark}/{name}"}
        log = os.open(self.log(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:  # not Popen: it complains when it is forgotten, and these are meant to stay
            files = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
            files += [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
            pid = os.posix_spawn(executable, whole, environment, file_actions=files, setsid=True)
        finally:
            os.close(log)
        record = {"command": command, "pid": pid, "started": started(pid)}
        self._record(name).write_text(json.dumps(record))

    def restart(self, name: str) -> None:
        """Start it again as it was started before, unless it runs. Raises FileNotFoundError for an unknown name."""
        if not self.alive(name):
            self.start(name, json.loads(self._record(name).read_text())["command"])

    def names(self) -> list[str]:
        """All that were ever started here."""
        return sorted(file.stem for file in self.records.glob("*.json"))

    def pid(self, name: str) -> int | None:
        """Its pid, or None when it has ended."""
        try:
            record = json.loads(self._record(name).read_text())
        except (FileNotFoundError, ValueError):
            return None
        pid: int = record["pid"]
        return pid if record["started"] is not None and started(pid) == record["started"] else None

    def alive(self, name: str) -> bool:
        """Whether it runs (or is paused)."""
        return self.pid(name) is not None

    def running(self, name: str) -> bool:
        """Whether it runs and is not paused."""
        pid = self.pid(name)
        return pid is not None and state(pid) != "T"

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send it a signal. Raises ProcessLookupError when it has ended."""
        pid = self.pid(name)
        if pid is None:
            raise ProcessLookupError(f"{name} does not run")
        os.kill(pid, number)

    def kill(self, name: str) -> None:
        """End it at once; returns when it has gone. Nothing happens when it has ended before."""
        if pid := self.pid(name):
            kill([pid])

    def log(self, name: str) -> Path:
        """What it prints."""
        return self.logs / f"{name}.log"

    def wait(self, name: str, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Return when `ready()`. Raises RuntimeError with the end of the log when it ends first, or takes longer."""
        deadline = time.monotonic() + seconds
        while not ready():
            ended = not self.alive(name)
            if ended or time.monotonic() > deadline:
                lines = self.log(name).read_text(errors="replace").splitlines()[-15:]
                what = "ended" if ended else f"is not ready after {seconds:.0f} s"
                raise RuntimeError("\n".join([f"{name} {what}; the end of {self.log(name)}:", *lines]))
            time.sleep(0.03)

    def _record(self, name: str) -> Path:
        return self.records / f"{name}.json"


def started(pid: int) -> int | None:
    """The time that a pid was started, in clock ticks since the machine's; None when it has ended."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # a child of ours that ended would stay as a zombie
    fields = _stat(pid)
    return None if fields[0] in "ZX" and not _threads(pid) else int(fields[19])


def state(pid: int) -> str:
    """The state of a process in one letter, as in proc(5): T is paused, X has ended."""
    return _stat(pid)[0]


def marked(mark: str = "") -> Iterator[tuple[int, str]]:
    """The pid and the name of every process on the machine that was started under a mark; by default, under any."""
    wanted = f"{MARK}={mark}/".encode() if mark else f"{MARK}=".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for variable in (folder / "environ").read_bytes().split(b"\0"):
                if variable.startswith(wanted) and started(int(folder.name)) is not None:
                    yield int(folder.name), variable.removeprefix(wanted).decode()


def kill(pids: list[int]) -> None:
    """End these at once and return when they have gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while any(started(pid) is not None for pid in pids):
        time.sleep(0.005)


def _threads(pid: int) -> int:
    """How many threads a process has left beside its first one: until the last has gone its sockets stay open."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir())) - 1
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["X"]
