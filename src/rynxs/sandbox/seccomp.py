"""The seccomp filter of a sandbox: a classic BPF program that denies what no tool needs.

A deny list, like flatpak's and Docker's default profile: it takes away the kernel's rarely used corners, and
what would let a program reach past its own processes. What it denies fails with EPERM, so that programs can
say so; `clone3`, whose flags a filter can't read, and `memfd_create`, whose memory no limit covers, fail with
ENOSYS, and libraries fall back. seccomp(2), linux/seccomp.h, linux/filter.h.
"""

from __future__ import annotations

import errno
import struct
from typing import Literal, NamedTuple

from rynxs.sandbox.syscalls import ARCHITECTURES, NUMBERS

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000

EPERM = _ERRNO | errno.EPERM
ENOSYS = _ERRNO | errno.ENOSYS

_X32_BIT = 0x40000000

_LOAD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_GREATER = 0x25
_JUMP_GREATER_OR_EQUAL = 0x35
_JUMP_ANY_BIT = 0x45
_RETURN = 0x06

_NEW_NAMESPACES = 0x7E020080
"""CLONE_NEW{TIME,NS,CGROUP,UTS,IPC,USER,PID,NET}."""

_MAX_SYSV_SEGMENT = 65536


class Test(NamedTuple):
    """A condition on one argument (its lower 32 bits, as the kernel reads these arguments).

    `in`: it is one of the values; `bits`: it shares a bit with one; `above`: as 64 bits it is above the
    value.
    """

    argument: int
    kind: Literal["in", "bits", "above"]
    values: tuple[int, ...]


class Rule(NamedTuple):
    """What a call meets.

    With `allow_if` it is allowed when all tests hold; with `deny_if`, denied when one does.
    """

    action: int = EPERM
    allow_if: tuple[Test, ...] = ()
    deny_if: tuple[Test, ...] = ()


def _is(argument: int, *values: int) -> Test:
    return Test(argument, "in", values)


_SOCKET = Rule(EPERM, allow_if=(_is(0, 1, 2, 10, 16),))
_OWN_PROCESS = Rule(EPERM, allow_if=(_is(0, 0),))
_OWN_PRIORITY = Rule(EPERM, allow_if=(_is(0, 0), _is(1, 0)))

_ALWAYS = """
    acct add_key bpf chroot clock_adjtime clock_settime create_module delete_module fanotify_init finit_module
    fsconfig fsmount fsopen fspick get_kernel_syms get_mempolicy init_module io_uring_enter io_uring_register
    io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind migrate_pages
    modify_ldt mount mount_setattr move_mount move_pages name_to_handle_at nfsservctl open_by_handle_at
    open_tree perf_event_open pidfd_getfd pivot_root process_madvise process_vm_readv process_vm_writev ptrace
    query_module quotactl quotactl_fd reboot request_key set_mempolicy set_mempolicy_home_node setdomainname
    sethostname setns settimeofday swapoff swapon sysfs syslog umount2 unshare uselib userfaultfd ustat
    vhangup _sysctl
""".split()  # noqa: SIM905 - a literal would be a line for each name

RULES: dict[str, Rule] = {
    **{name: Rule() for name in _ALWAYS},
    "clone": Rule(EPERM, deny_if=(Test(0, "bits", (_NEW_NAMESPACES,)),)),
    "clone3": Rule(ENOSYS),
    "memfd_create": Rule(ENOSYS),
    "memfd_secret": Rule(ENOSYS),
    # TIOCSTI, TIOCLINUX: typing into a terminal that others read.
    "ioctl": Rule(EPERM, deny_if=(_is(1, 0x5412, 0x541C),)),
    # As in Docker's profile: PER_LINUX, PER_LINUX32, both with UNAME26, and the query.
    "personality": Rule(EPERM, allow_if=(_is(0, 0, 8, 0x20000, 0x20008, 0xFFFFFFFF),)),
    # UNIX, INET, INET6, NETLINK.
    "socket": _SOCKET,
    "socketpair": _SOCKET,
    # Large System V segments outlive their process and are in no limit; small ones are what PostgreSQL needs.
    "shmget": Rule(EPERM, deny_if=(Test(1, "above", (_MAX_SYSV_SEGMENT,)),)),
    # The daemon runs as the same user: its limits and its share of the processor are not to be changed.
    "ioprio_set": Rule(EPERM, allow_if=(_is(0, 1), _is(1, 0))),
    "prlimit64": _OWN_PROCESS,
    "sched_setaffinity": _OWN_PROCESS,
    "sched_setattr": _OWN_PROCESS,
    "sched_setparam": _OWN_PROCESS,
    "sched_setscheduler": _OWN_PROCESS,
    "setpriority": _OWN_PRIORITY,
}
"""The rule of each system call that has one; all others are allowed."""


def program(machine: str) -> bytes:
    """The filter for a machine (`platform.machine()`): 8 bytes an instruction, in the host's byte order.

    Raises KeyError for a machine that is not in `syscalls.ARCHITECTURES`.
    """
    code = [
        _load(4),
        _jump(_JUMP_EQUAL, ARCHITECTURES[machine], 1, 0),
        _return(KILL_PROCESS),
        _load(0),
    ]
    if machine == "x86_64":
        code += [_jump(_JUMP_GREATER_OR_EQUAL, _X32_BIT, 0, 1), _return(ENOSYS)]
    for name, number in NUMBERS[machine].items():
        block = _block(RULES[name])
        code += [_jump(_JUMP_EQUAL, number, 0, len(block)), *block]
    return b"".join([*code, _return(ALLOW)])


def _block(rule: Rule) -> list[bytes]:
    """What follows when the number matches; it always returns."""
    code: list[bytes] = []
    if rule.deny_if:
        for test in rule.deny_if:
            code += _test(test, _return(rule.action))
        return [*code, _return(ALLOW)]
    for test in rule.allow_if:
        # One that does not hold denies: the test jumps over the denial where it holds.
        code += _unless(test, _return(rule.action))
    return [*code, _return(ALLOW if rule.allow_if else rule.action)]


def _test(test: Test, then: bytes) -> list[bytes]:
    """Do `then` if the test holds."""
    low = 16 + 8 * test.argument
    if test.kind == "above":
        # A high half that is not zero is above any 32-bit value.
        [value] = test.values
        return [
            _load(low + 4),
            _jump(_JUMP_GREATER, 0, 2, 0),
            _load(low),
            _jump(_JUMP_GREATER, value, 0, 1),
            then,
        ]
    operation = _JUMP_ANY_BIT if test.kind == "bits" else _JUMP_EQUAL
    count = len(test.values)
    jumps = [_jump(operation, value, count - i - 1, 0 if i < count - 1 else 1) for i, value in enumerate(test.values)]
    return [_load(low), *jumps, then]


def _unless(test: Test, then: bytes) -> list[bytes]:
    """Do `then` if the argument is none of the values."""
    count = len(test.values)
    jumps = [_jump(_JUMP_EQUAL, value, count - i, 0) for i, value in enumerate(test.values)]
    return [_load(16 + 8 * test.argument), *jumps, then]


def _load(offset: int) -> bytes:
    """Load 32 bits of struct seccomp_data: number at 0, architecture at 4, 64-bit arguments from 16."""
    return struct.pack("=HBBI", _LOAD, 0, 0, offset)


def _jump(operation: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("=HBBI", operation, if_true, if_false, value)


def _return(action: int) -> bytes:
    return struct.pack("=HBBI", _RETURN, 0, 0, action)
