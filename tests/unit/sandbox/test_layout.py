from pathlib import Path

import pytest

from rynxs.computer.limits import Limits
from rynxs.sandbox import layout

SOURCE = layout.Source(
    python=Path("/root/py/bin/python3.11"),
    prefix=Path("/root/py"),
    packages=(Path("/src/rynxs"), Path("/venv/msgspec")),
    workspace=Path("/data/dev"),
    links={"/bin": "usr/bin"},
    folders=("/etc/ssl/certs",),
    mounts=((Path("/deps"), "/opt/deps"),),
    env={"A": "1"},
)
FILES = dict.fromkeys(layout.FILES, 9)


def inner(source=SOURCE, limits=Limits()):  # noqa: B008
    return layout.inner(source, limits, FILES, 10, 11)


def after(args, *option):
    """What follows each occurrence of an option."""
    return [tuple(args[i + 1 : i + 3]) for i, arg in enumerate(args) if arg in option]


def test_only_the_workspace_is_bound_writable():
    args = inner()
    assert after(args, "--bind", "--dev-bind", "--bind-try") == [("/data/dev", "/workspace")]


def test_what_of_the_host_is_shown():
    assert after(inner(), "--ro-bind") == [
        ("/usr", "/usr"),
        ("/etc/ssl/certs", "/etc/ssl/certs"),
        ("/src/rynxs", "/opt/rynxs/lib/rynxs"),
        ("/venv/msgspec", "/opt/rynxs/lib/msgspec"),
        ("/root/py", "/opt/rynxs/python"),
        ("/deps", "/opt/deps"),
    ]


def test_every_namespace_is_new_and_nothing_is_kept():
    args = inner()
    for option in ("--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"):
        assert option in args
    assert after(args, "--cap-drop")[0][0] == "ALL"
    assert after(args, "--seccomp")[0][0] == "10"
    assert "--share-net" not in args


def test_the_root_becomes_read_only_after_everything_is_mounted():
    args = inner()
    last = max(i for i, arg in enumerate(args) if arg in ("--ro-bind", "--bind", "--tmpfs", "--dev", "--proc", "--dir"))
    assert args.index("--remount-ro") > last
    assert [first for first, _ in after(args, "--remount-ro")] == ["/dev", "/"]


def test_the_private_file_systems_have_a_size():
    args = inner(limits=Limits(tmp=4096))
    for mount in ("/tmp", "/dev/shm"):
        at = next(i for i, arg in enumerate(args) if arg == "--tmpfs" and args[i + 1] == mount)
        assert args[at - 2 : at] == ["--size", "4096"]


def test_a_python_of_the_system_is_not_mounted_twice():
    source = layout.Source(
        python=Path("/usr/bin/python3.11"), prefix=Path("/usr"), packages=(), workspace=Path("/data/dev")
    )
    assert source.interpreter == "/usr/bin/python3.11"
    assert after(inner(source), "--ro-bind") == [("/usr", "/usr")]
    assert SOURCE.interpreter == "/opt/rynxs/python/bin/python3.11"


def test_the_environment_is_ours_alone(monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    assert layout.environment(SOURCE) == {
        "A": "1",
        "HOME": "/workspace",
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/rynxs/python/bin",
        "TMPDIR": "/tmp",
        "USER": "agent",
    }


def test_started_by_root_everything_is_reached_through_the_first_stage():
    args, moved = layout.outer(SOURCE, 20001)
    assert after(args, "--bind") == [("/data/dev", "/mnt/workspace")]
    shown = dict(after(args, "--ro-bind"))
    assert shown == {
        "/src/rynxs": "/mnt/lib/rynxs",
        "/venv/msgspec": "/mnt/lib/msgspec",
        "/root/py": "/mnt/python",
        "/deps": "/mnt/mounts/0",
    }
    assert moved.interpreter == SOURCE.interpreter
    inside = after(inner(moved), "--ro-bind", "--bind")
    assert not any(source.startswith(("/root", "/data", "/src", "/venv", "/deps")) for source, _ in inside)
    drop = args[args.index("setpriv") :]
    assert drop == ["setpriv", "--reuid", "20001", "--regid", "20001", "--clear-groups", "--no-new-privs"]


@pytest.mark.parametrize("path", layout.ETC)
def test_nothing_of_etc_is_secret(path):
    assert path not in ("/etc", "/etc/ssl", "/etc/ssl/private", "/etc/shadow", "/etc/passwd")
