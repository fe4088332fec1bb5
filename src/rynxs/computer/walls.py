"""The walls of a computer, as the daemon finds them from inside, before anything untrusted runs.

Each is a text; what it must be is not decided here but by whoever started the computer (`sandbox.wall`).
"""

from __future__ import annotations

import errno
import os
import socket

from rynxs.computer import syscall

_CLONE_NEWUSER = 0x10000000
_PROBED_PATHS = ("/etc/shadow", "/home", "/media", "/mnt", "/root", "/run", "/srv", "/sys", "/var")
_STATUS = ("NoNewPrivs", "Seccomp", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def probe() -> dict[str, str]:
    """What confines this process, by name. Reads /proc and tries what must not work; leaves no trace."""
    status = _status()
    walls = {name.lower(): status[name] for name in _STATUS}
    walls["pid"] = str(os.getpid())
    walls["pids"] = " ".join(sorted(filter(str.isdecimal, os.listdir("/proc")), key=int))
    walls["user"] = " ".join(sorted({str(each) for each in (*os.getresuid(), *os.getresgid())}))
    walls["groups"] = " ".join(str(group) for group in os.getgroups())
    walls["interfaces"] = " ".join(name for _, name in socket.if_nameindex())
    walls["network"] = _network()
    walls["user_namespace"] = _user_namespace()
    walls["dumpable"] = str(syscall.prctl(syscall.PR_GET_DUMPABLE))
    walls["writable"] = " ".join(sorted(_writable()))
    walls["host_paths"] = " ".join(path for path in _PROBED_PATHS if os.path.lexists(path))
    walls["environment"] = " ".join(sorted(os.environ))
    walls["session"] = "own" if os.getsid(0) == os.getpid() else "inherited"
    walls["descriptors"] = " ".join(_descriptors())
    return walls


def _descriptors() -> list[str]:
    """What every open descriptor is, by number: a leaked one of the host would show."""
    kinds = []
    for number in sorted(map(int, os.listdir("/proc/self/fd"))):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue  # the listing's own
        kinds.append("null" if target == os.devnull else target.partition(":")[0])
    return kinds


def _status() -> dict[str, str]:
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def _network() -> str:
    """What a datagram to an address of TEST-NET-1 (RFC 5737) meets; connecting one sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError as error:
            return _name(error)
    return "open"


def _user_namespace() -> str:
    """Tried by a child: whoever succeeds is nobody in its new namespace."""
    pid = os.fork()
    if pid == 0:
        number = 1
        try:
            syscall.unshare(_CLONE_NEWUSER)
            number = 0
        except OSError as error:
            number = error.errno or 1
        finally:
            os._exit(number)
    number = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return errno.errorcode.get(number, str(number)) if number else "open"


def _writable() -> set[str]:
    """Mount points of file systems that are not read-only, by mount point. proc_pid_mountinfo(5)."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        mounts = [line.split() for line in file]
    return {fields[4] for fields in mounts if "ro" not in fields[5].split(",")}


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error.errno))
