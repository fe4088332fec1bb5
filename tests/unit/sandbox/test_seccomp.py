"""The filter, run by an evaluator of classic BPF as the kernel does (Documentation/networking/filter.rst)."""

import struct

import pytest

from rynxs.sandbox.seccomp import ALLOW, ENOSYS, EPERM, KILL_PROCESS, RULES, program
from rynxs.sandbox.syscalls import ARCHITECTURES, NUMBERS

NEWUSER, NEWNS, NEWTIME = 0x10000000, 0x00020000, 0x80
THREAD_FLAGS = 0x3D0F00  # what glibc gives clone() for a thread


def evaluate(code: bytes, data: bytes) -> int:
    accumulator = 0
    position = 0
    while True:
        operation, if_true, if_false, value = struct.unpack_from("=HBBI", code, 8 * position)
        position += 1
        if operation == 0x06:
            return value
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
            continue
        holds = {
            0x15: accumulator == value,
            0x25: accumulator > value,
            0x35: accumulator >= value,
            0x45: bool(accumulator & value),
        }[operation]
        position += if_true if holds else if_false


def meets(machine: str, name: str, *args: int) -> int:
    return call(machine, NUMBERS[machine][name], *args)


def call(machine: str, number: int, *args: int, arch: int | None = None) -> int:
    padded = [arg & 0xFFFFFFFFFFFFFFFF for arg in (*args, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("=IIQ6Q", number, ARCHITECTURES[machine] if arch is None else arch, 0, *padded)
    return evaluate(program(machine), data)


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request):
    return request.param


def test_every_plain_denial_denies(machine):
    for name, rule in RULES.items():
        if name in NUMBERS[machine] and not rule.allow_if and not rule.deny_if:
            assert meets(machine, name) == rule.action, name


def test_what_programs_need_is_allowed(machine):
    numbers = {
        "x86_64": {"read": 0, "execve": 59, "fork": 57, "openat2": 437, "seccomp": 317, "pidfd_open": 434},
        "aarch64": {"read": 63, "execve": 221, "openat2": 437, "seccomp": 277, "pidfd_open": 434},
    }
    for number in numbers[machine].values():
        assert call(machine, number) == ALLOW


def test_numbers_without_a_rule_are_allowed(machine):
    ruled = set(NUMBERS[machine].values())
    assert all(call(machine, n) == ALLOW for n in range(600) if n not in ruled)


def test_another_architecture_is_killed(machine):
    other = "aarch64" if machine == "x86_64" else "x86_64"
    assert call(machine, 0, arch=ARCHITECTURES[other]) == KILL_PROCESS
    assert call(machine, 0, arch=0x40000003) == KILL_PROCESS  # AUDIT_ARCH_I386: int 0x80


def test_x32_is_not_there():
    assert call("x86_64", 0x40000000) == ENOSYS
    assert call("x86_64", 0x40000000 + 520) == ENOSYS


def test_clone_makes_threads_and_processes_but_no_namespaces(machine):
    assert meets(machine, "clone", THREAD_FLAGS) == ALLOW
    assert meets(machine, "clone", 17) == ALLOW
    for flag in (NEWUSER, NEWNS, NEWTIME, 0x02000000, 0x04000000, 0x08000000, 0x20000000, 0x40000000):
        assert meets(machine, "clone", flag | 17) == EPERM


def test_typing_into_a_terminal_is_denied(machine):
    assert meets(machine, "ioctl", 0, 0x5412) == EPERM
    assert meets(machine, "ioctl", 0, 0x541C) == EPERM
    assert meets(machine, "ioctl", 0, 0xFFFFFFFF00005412) == EPERM, "the kernel reads the lower half only"
    assert meets(machine, "ioctl", 0, 0x5413) == ALLOW


def test_socket_families(machine):
    for name in ("socket", "socketpair"):
        assert all(meets(machine, name, family) == ALLOW for family in (1, 2, 10, 16))
        assert all(meets(machine, name, family) == EPERM for family in (0, 3, 17, 31, 38, 40, 44))


def test_personalities(machine):
    assert all(meets(machine, "personality", p) == ALLOW for p in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF))
    assert meets(machine, "personality", 0x0040000) == EPERM


def test_only_the_own_process_is_limited_and_scheduled(machine):
    for name in ("prlimit64", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler"):
        assert meets(machine, name, 0) == ALLOW
        assert meets(machine, name, 1) == EPERM
    assert meets(machine, "setpriority", 0, 0) == ALLOW
    assert meets(machine, "setpriority", 0, 1) == EPERM
    assert meets(machine, "setpriority", 2, 0) == EPERM, "all processes of the user"
    assert meets(machine, "ioprio_set", 1, 0) == ALLOW
    assert meets(machine, "ioprio_set", 3, 0) == EPERM


def test_large_segments_are_denied(machine):
    assert meets(machine, "shmget", 0, 65536) == ALLOW
    assert meets(machine, "shmget", 0, 65537) == EPERM
    assert meets(machine, "shmget", 0, 1 << 32) == EPERM


def test_every_rule_has_a_number_somewhere_and_every_number_a_rule(machine):
    assert set(NUMBERS[machine]) <= set(RULES)
    assert set(RULES) == set(NUMBERS["x86_64"])


def test_the_program_is_one_the_kernel_takes(machine):
    code = program(machine)
    count = len(code) // 8
    assert len(code) % 8 == 0
    assert count <= 4096
    for position in range(count):
        operation, if_true, if_false, _ = struct.unpack_from("=HBBI", code, 8 * position)
        if operation not in (0x06, 0x20):
            assert position + 1 + max(if_true, if_false) < count


def test_an_unknown_machine_has_no_filter():
    with pytest.raises(KeyError):
        program("riscv64")
