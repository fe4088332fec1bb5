"""Attacks from inside a sandbox, each with what stopped it."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from rynxs.action.outcome import Ending
from rynxs.action.tool import FileDelete, FileRead, FileWrite, ShellExec
from rynxs.computer.client import ConnectionLost
from rynxs.computer.limits import MIB, Limits
from rynxs.sandbox.bubblewrap import SandboxUnavailable, check

ZYGOTE = 3
"""Its pid inside: 1 is the daemon, and 2 was the child that tried to make a user namespace."""

ERRNO_PRELUDE = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def tried(result):
    print(errno.errorcode[ctypes.get_errno()] if result == -1 else "open")
"""


async def errno_of(computer, call: str) -> str:
    """The name of the errno that a call of libc meets inside, or "open"."""
    outcome, output = await computer.python(f"{ERRNO_PRELUDE}tried(libc.{call})")
    assert outcome.result == {"exit_code": 0}, output
    return output.strip()


# Files of the host


@pytest.mark.parametrize(
    "path", ["/etc/shadow", "/root", "/home", "/var/log", "/run", "/sys/kernel", "/proc/1/root/etc"]
)
async def test_the_hosts_files_are_not_there(computer, path):
    _, output = await computer.exec("ls", path)
    assert "No such file" in output or "Permission denied" in output


async def test_the_hosts_passwd_is_not_shown(computer):
    _, output = await computer.exec("cat", "/etc/passwd")
    assert [line.split(":")[0] for line in output.splitlines()] == ["agent", "nobody"]


@pytest.mark.parametrize("path", ["/usr/bin/x", "/etc/x", "/x", "/opt/rynxs/lib/x", "/opt/rynxs/lib/rynxs/x", "/dev/x"])
async def test_the_system_is_read_only(computer, path):
    outcome, output = await computer.exec("touch", path)
    assert outcome.result == {"exit_code": 1}
    assert "Read-only file system" in output or "Permission denied" in output


async def test_no_write_outside_by_a_link(computer, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("kept")
    _, output = await computer.sh(f"ln -s {victim} link && echo changed > link")
    assert "nonexistent" in output, "the shell follows the link to where nothing is"
    await computer.sh(f"ln -s {tmp_path} folder; ln -s /tmp tmp")
    for path in ("folder/victim", "tmp/x"):
        outcome = await computer.tool(FileWrite(path=path, content="changed"))
        assert "leads out of the workspace" in outcome.error
    assert "leads out of the workspace" in (await computer.tool(FileRead(path="link"))).error
    assert victim.read_text() == "kept"


async def test_another_agents_workspace_is_not_there(computers):
    one, other = await computers(), await computers()
    (other.workspace / "secret").write_text("x")
    for path in (other.workspace / "secret", Path("/workspace/../workspace-1/secret"), Path("/mnt")):
        _, output = await one.exec("ls", str(path))
        assert "No such file" in output
    assert other.uid is None or one.uid != other.uid


async def test_the_hosts_environment_is_not_seen(computers, monkeypatch):
    monkeypatch.setenv("PLANTED", "planted-value")
    computer = await computers()
    _, output = await computer.sh("env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null")
    assert "HOME=/workspace" in output
    assert "PLANTED" not in output
    assert "planted-value" not in output


# Network and other processes


async def test_the_hosts_loopback_is_not_reached(computer):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        _, output = await computer.python(f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)")
        assert "ConnectionRefusedError" in output
        _, output = await computer.python("import socket; socket.create_connection(('192.0.2.1', 80), 5)")
        assert "Network is unreachable" in output


async def test_abstract_sockets_of_the_host_are_not_reached(computer):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0rynxs-test")
        listener.listen()
        _, output = await computer.python("import socket; socket.socket(socket.AF_UNIX).connect('\\0rynxs-test')")
        assert "ConnectionRefusedError" in output


async def test_a_process_of_the_host_is_not_signalled(computer):
    victim = await asyncio.create_subprocess_exec("sleep", "60")
    _, output = await computer.sh(f"kill -9 {victim.pid}")
    assert "No such process" in output
    with contextlib.suppress(ConnectionLost):
        await computer.sh("kill -9 -1")
    await computer.sandbox.wait()  # all that it could reach is its own computer, the zygote included
    assert _alive(victim.pid)
    victim.kill()
    await victim.wait()


# The daemon


async def test_the_daemon_is_not_killed_or_stopped(computer):
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGSEGV):
        await computer.sh(f"kill -{number} 1")
    _, output = await computer.exec("echo", "alive")
    assert output == "alive\n"


async def test_the_daemons_socket_has_no_path_and_no_open_door(computer):
    _, output = await computer.sh("cat /proc/net/unix | tail -n +2 | awk '{print $8}'")
    assert output.strip() == ""
    for path in ("/proc/1/fd", "/proc/1/mem", "/proc/1/environ", f"/proc/{ZYGOTE}/mem", f"/proc/{ZYGOTE}/fd"):
        _, output = await computer.python(f"import os; os.open({path!r}, os.O_RDONLY); os.listdir({path!r})")
        assert "PermissionError" in output, path
    assert await errno_of(computer, "syscall(438, os.pidfd_open(1), 7, 0)") == "EPERM"
    _, output = await computer.sh("ls -l /proc/self/fd")
    assert "socket" not in output


@pytest.mark.parametrize(
    ("call", "met"),
    [
        ("ptrace(16, 1, 0, 0)", "EPERM"),
        ("unshare(0x10000000)", "EPERM"),
        ("mount(b'x', b'/tmp', b'tmpfs', 0, 0)", "EPERM"),
        ("umount2(b'/usr', 2)", "EPERM"),
        ("chroot(b'/tmp')", "EPERM"),
        ("setns(os.pidfd_open(1), 0x10000000)", "EPERM"),
        ("prlimit(1, 7, ctypes.byref((ctypes.c_ulong * 2)(0, 0)), 0)", "EPERM"),
        ("setpriority(0, 1, 19)", "EPERM"),
        ("memfd_create(b'x', 0)", "ENOSYS"),
        ("ioctl(0, 0x5412, b'x')", "EPERM"),
        ("personality(0x0040000)", "EPERM"),
        ("socket(38, 5, 0)", "EPERM"),
        ("setuid(0)", "EINVAL"),
    ],
)
async def test_what_reaches_further_is_denied(computer, call, met):
    assert await errno_of(computer, call) == met


@pytest.mark.parametrize("how", ["KILL", "STOP"])
async def test_a_program_that_turns_on_its_reaper_dies_with_its_tree(computer, how):
    outcome, _ = await computer.sh(f"setsid sleep 60 & setsid sleep 61 & kill -{how} $PPID; sleep 62", timeout=1)
    assert outcome.ending is (Ending.FAILED if how == "KILL" else Ending.TIMED_OUT)
    assert computer.strangers() == []
    assert (await computer.exec("echo", "alive"))[1] == "alive\n"


async def test_a_computer_without_its_zygote_ends(computer):
    before = computer.processes()
    with pytest.raises(ConnectionLost):
        await computer.sh(f"setsid sleep 60 & kill -9 {ZYGOTE}; sleep 60")
    await computer.sandbox.wait()
    assert not [pid for pid in before if _alive(pid)]


# Outliving the action and the sandbox

DAEMON = """
import os, time
for _ in range(3):
    if os.fork(): os._exit(0)
    os.setsid()
time.sleep(60)
"""
SUBREAPER = """
import ctypes, os, time
ctypes.CDLL(None).prctl(36, 1)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: time.sleep(60)
"""
ESCAPES = {
    "setsid": "setsid sleep 60 & echo",
    "nohup": "nohup sleep 60 >/dev/null 2>&1 & echo",
    "double fork": "(setsid sh -c 'setsid sleep 60 & setsid sleep 61 &' &) ; echo",
    "daemon": f"python3 -c '{DAEMON}'",
    "subreaper": f"python3 -c '{SUBREAPER}'",
}


@pytest.mark.parametrize("way", ESCAPES)
async def test_nothing_outlives_its_action(computer, way):
    outcome, _ = await computer.sh(ESCAPES[way])
    assert outcome.result == {"exit_code": 0}
    assert computer.strangers() == []


async def test_nothing_is_left_of_many_actions_at_once(computer):
    await asyncio.gather(*(computer.sh(way) for way in ESCAPES.values() for _ in range(3)))
    assert computer.strangers() == []


SERVE = """
import asyncio, json, os, sys
from pathlib import Path
import msgspec
from rynxs.action.tool import ShellExec
from rynxs.computer.protocol import Fence, Run
from rynxs.sandbox.bubblewrap import Spec, start

async def main():
    uid = int(sys.argv[2]) if os.geteuid() == 0 else None
    sandbox = await start(Spec(name="team/dev", workspace=Path(sys.argv[1]), uid=uid))
    await sandbox.client.claim(Fence(1, 1), [])
    args = ShellExec(argv=["sh", "-c", "setsid sleep 60 & echo on; sleep 60"])
    run = Run(action="a", fence=Fence(1, 1), boot=sandbox.client.hello.boot, tool="shell_exec",
              args=msgspec.json.encode(args), timeout=60, max_output=100)
    async for _ in sandbox.client.run(run):
        print(json.dumps({"pid": sandbox.host_pid}), flush=True)

asyncio.run(main())
"""


async def test_nothing_outlives_the_server(tmp_path):
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, str(tmp_path), "40999", stdout=asyncio.subprocess.PIPE
    )
    pid = json.loads(await server.stdout.readline())["pid"]
    pidfd = os.pidfd_open(pid)
    assert _alive(pid)
    server.kill()
    await server.wait()
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(pidfd, over.set)
    async with asyncio.timeout(10):
        await over.wait()
    asyncio.get_running_loop().remove_reader(pidfd)
    os.close(pidfd)


# Using up the machine

BOMB = "import os\nwhile True:\n  try:\n    if os.fork() == 0: os.setsid()\n  except OSError: pass"


async def test_a_fork_bomb_is_bounded_and_ends(computer):
    bomb = asyncio.create_task(computer.python(BOMB, timeout=1))
    while len(computer.processes()) < 90 and not bomb.done():
        await asyncio.sleep(0.02)
    assert len(computer.processes()) <= 101, "RLIMIT_NPROC of 100, and the daemon, which has none"
    start = time.monotonic()
    outcome, _ = await bomb
    assert outcome.ending is Ending.TIMED_OUT
    assert time.monotonic() - start < 15
    assert computer.strangers() == []
    assert (await computer.exec("echo", "alive"))[1] == "alive\n"


async def test_a_fork_bomb_leaves_other_actions_alone(computer):
    run = computer.run(ShellExec(argv=["sh", "-c", "echo on; read line; sleep 0.2; echo off"], stdin="x\n"))
    frames = computer.client.run(run)
    assert (await anext(frames)).data == b"on\n"
    await computer.python(BOMB, timeout=0.5)
    rest = [frame async for frame in frames]
    assert rest[0].data == b"off\n"
    assert rest[-1].outcome.result in ({"exit_code": 0}, {"exit_code": 254}), "254: its own fork met the limit"


async def test_killing_a_crowd_disturbs_no_start(computers):
    computer = await computers(Limits(processes=400))

    async def lane(script: str, count: int) -> None:
        for _ in range(count):
            outcome, _ = await computer.sh(script)
            assert outcome.result == {"exit_code": 0}

    crowd = "for i in $(seq 40); do sleep 60 & done"  # more than are killed one by one
    await asyncio.gather(*(lane(crowd, 8) for _ in range(3)), *(lane("true", 60) for _ in range(4)))
    assert computer.strangers() == []


FILL = """
import os
block = bytes(1 << 20)
i = 0
while True:
    i += 1
    with open(f"{'%s'}{i}", "wb") as f:
        for _ in range(16): f.write(block)
"""


async def test_filling_the_workspace_is_cut(computer):
    size = 64 * MIB
    outcome, output = await computer.python(FILL % "big", timeout=20)
    assert outcome.ending is Ending.FAILED, output
    assert outcome.error.startswith("over the workspace's size of 64 MiB (used ")
    used = sum(path.stat().st_blocks * 512 for path in computer.workspace.iterdir())
    assert used < size + 1024 * MIB, "0.1 s and a walk, at no more than 5 GiB/s"
    for args in (ShellExec(argv=["true"]), FileWrite(path="x", content="x")):
        assert "delete files first" in (await computer.tool(args)).error
    for path in computer.workspace.iterdir():
        assert (await computer.tool(FileDelete(path=path.name))).ending is Ending.FINISHED
    assert (await computer.exec("true"))[0].result == {"exit_code": 0}


async def test_filling_the_disk_with_deleted_files_is_cut(computer):
    script = (FILL % "big").replace(
        "for _",
        "files = globals().setdefault('files', []); files.append(os.dup(f.fileno())); os.unlink(f.name)\n        for _",
    )
    outcome, output = await computer.python(script, timeout=20)
    assert (outcome.ending, outcome.error[:24]) == (Ending.FAILED, "over the workspace's siz"), output
    assert (await computer.exec("true"))[0].result == {"exit_code": 0}


@pytest.mark.parametrize("mode", ["311", "000"])
async def test_a_folder_that_is_not_to_be_listed_hides_nothing(computer, mode):
    setup = f"import os; os.mkdir('d'); os.chdir('d'); os.chmod('.', 0o{mode if mode != '000' else '700'})"
    hide = "" if mode != "000" else "\nkept = [open(f'k{i}', 'wb') for i in range(9)]; os.chmod('.', 0)"
    fill = "\nblock = bytes(1 << 20)\ni = 0\nwhile True:\n  i += 1\n"
    fill += "  kept[i % 9].write(block)" if hide else "  open(str(i), 'wb').write(block)"
    outcome, output = await computer.python(setup + hide + fill, timeout=20)
    assert outcome.error.startswith("over the workspace's size of 64 MiB (used "), output
    assert (await computer.tool(FileDelete(path="d", recursive=True))).ending is Ending.FINISHED


async def test_one_file_is_no_larger_than_the_workspace(computer):
    outcome, output = await computer.python("f = open('f', 'wb'); f.truncate(64 * 2**20 + 1)")
    assert "File too large" in output
    assert outcome.result == {"exit_code": 1}


@pytest.mark.parametrize("folder", ["/tmp/", "/dev/shm/"])
async def test_filling_a_private_file_system_meets_its_end(computer, folder):
    _, output = await computer.python(FILL % folder)
    assert "No space left on device" in output


async def test_one_process_over_the_memory_limit(computer):
    _, output = await computer.python("bytearray(1 << 30)")
    assert "MemoryError" in output


async def test_many_processes_over_the_memory_limit(computer):
    script = "import os, time\nfor _ in range(3): os.fork()\nx = b'x' * (120 << 20)\ntime.sleep(60)"
    outcome, _ = await computer.python(script, timeout=15)
    assert outcome.ending is Ending.FAILED
    assert outcome.error.startswith("over the memory limit of 512 MiB")
    assert computer.strangers() == []


async def test_shared_memory_is_counted_once(computer):
    script = "import os, time\nx = b'x' * (200 << 20)\nfor _ in range(2): os.fork()\ntime.sleep(0.5)"
    outcome, _ = await computer.python(script, timeout=15)
    assert outcome.result == {"exit_code": 0}


async def test_endless_output_is_drained_not_kept(computer):
    outcome, output = await computer.exec("yes", timeout=0.5, max_output=1000)
    assert outcome.ending is Ending.TIMED_OUT
    assert len(output) == 1000
    assert outcome.stdout.dropped > 100_000


# Without a sandbox there is no computer


async def test_no_bubblewrap_is_said_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailable, match="apt-get install bubblewrap"):
        await check()


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat[stat.rindex(b")") + 2 :][:1] not in (b"Z", b"X")


async def test_a_sandbox_that_does_not_start_says_why_and_leaves_nothing(computers):
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SandboxUnavailable, match=r"team/dev did not start: bwrap: .*/usr/nowhere"):
        await computers(mounts=((Path("/usr/bin"), "/usr/nowhere"),))
    await asyncio.sleep(0)  # the transports close in the loop's next turn
    assert len(os.listdir("/proc/self/fd")) <= before
