"""The layout of a sandbox: bubblewrap's arguments, as pure functions of what the host has.

Inside: the host's /usr read-only, a made-up /etc, the daemon's Python and package below /opt/rynxs, the
workspace, and private /proc, /dev, /tmp and /dev/shm. Nothing else of the host. bwrap(1).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from rynxs.computer.limits import Limits

UID = 1000
"""User and group id inside every sandbox."""

PREFIX = "/opt/rynxs"

FILES = {
    "/etc/passwd": f"agent:x:{UID}:{UID}::/workspace:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "/etc/group": f"agent:x:{UID}:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
"""Files that every sandbox has, by path."""

ETC = (
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
)
"""What is shown of the host's /etc where it exists: nothing secret, nothing of this host only."""

TOP = ("/bin", "/lib", "/lib32", "/lib64", "/sbin")
"""Folders beside /usr: links into it, or folders of their own, as the host has them."""


@dataclass(frozen=True)
class Source:
    """What the host has: `python` is the interpreter's real path and `prefix` its installation.

    `packages` are the folders of `rynxs` and of what the daemon imports. `links` are the TOP folders that are
    links, with their targets; `folders` are those that are not, and the ETC entries that exist.
    """

    python: Path
    prefix: Path
    packages: tuple[Path, ...]
    workspace: Path
    links: dict[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    mounts: tuple[tuple[Path, str], ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    shared_python: bool = False

    @property
    def own_python(self) -> bool:
        """Whether Python is outside of /usr, and so has to be mounted."""
        return not self.prefix.is_relative_to("/usr")

    @property
    def interpreter(self) -> str:
        """Python's path inside."""
        if self.own_python:
            return f"{PREFIX}/python/{self.python.relative_to(self.prefix)}"
        return str(self.python)


def environment(source: Source) -> dict[str, str]:
    """The environment that the daemon and programs start with: nothing of the host's."""
    path = ["/usr/local/bin", "/usr/bin", "/bin"]
    env = {"HOME": "/workspace", "LANG": "C.UTF-8", "TMPDIR": "/tmp", "USER": "agent"}  # noqa: S108 - inside
    if source.own_python:
        path.append(f"{PREFIX}/python/bin")
        if source.shared_python:
            env["LD_LIBRARY_PATH"] = f"{PREFIX}/python/lib"
    return {**env, "PATH": ":".join(path), **source.env}


def inner(source: Source, limits: Limits, files: dict[str, int], seccomp: int, info: int) -> list[str]:
    """Arguments of the bubblewrap that makes the sandbox, up to the `--` before the daemon's command.

    `files` has an open descriptor with the content of each of FILES; `seccomp` one of the filter; bubblewrap
    writes the daemon's pid to `info`.
    """
    tmp = str(limits.tmp)
    args = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1"]
    args += ["--uid", str(UID), "--gid", str(UID), "--hostname", "computer", "--cap-drop", "ALL"]
    for folder in ("/etc", "/opt", PREFIX, f"{PREFIX}/lib"):
        args += ["--perms", "0755", "--dir", folder]
    args += ["--ro-bind", "/usr", "/usr"]
    for inside, target in source.links.items():
        args += ["--symlink", target, inside]
    for folder in source.folders:
        args += ["--ro-bind", folder, folder]
    for inside, descriptor in files.items():
        args += ["--perms", "0444", "--ro-bind-data", str(descriptor), inside]
    for package in source.packages:
        args += ["--ro-bind", str(package), f"{PREFIX}/lib/{package.name}"]
    if source.own_python:
        args += ["--ro-bind", str(source.prefix), f"{PREFIX}/python"]
    args += ["--bind", str(source.workspace), "/workspace"]
    for path, inside in source.mounts:
        args += ["--ro-bind", str(path), inside]
    args += ["--proc", "/proc", "--dev", "/dev"]
    args += ["--perms", "1777", "--size", tmp, "--tmpfs", "/dev/shm"]  # noqa: S108 - inside
    args += ["--perms", "1777", "--size", tmp, "--tmpfs", "/tmp"]  # noqa: S108 - inside
    args += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/workspace", "--clearenv"]
    for name, value in environment(source).items():
        args += ["--setenv", name, value]
    return [*args, "--seccomp", str(seccomp), "--info-fd", str(info), "--"]


def outer(source: Source, uid: int) -> tuple[list[str], Source]:
    """For a start by root: the stage before `inner`, and the source as `inner` then finds it.

    RLIMIT_NPROC does not bind what root started, so the sandbox is started by an unprivileged user, `uid`.
    That user can't reach into root's folders: the first stage mounts what is needed of them at /mnt.
    """
    args = ["bwrap", "--die-with-parent", "--dev-bind", "/", "/", "--tmpfs", "/mnt"]
    for folder in ("/mnt/lib", "/mnt/mounts"):
        args += ["--perms", "0755", "--dir", folder]
    args += ["--bind", str(source.workspace), "/mnt/workspace"]
    moved = replace(
        source,
        workspace=Path("/mnt/workspace"),
        packages=tuple(Path("/mnt/lib", package.name) for package in source.packages),
        mounts=tuple((Path(f"/mnt/mounts/{i}"), inside) for i, (_, inside) in enumerate(source.mounts)),
    )
    pairs = [*zip(source.packages, moved.packages, strict=True)]
    pairs += [(before, after) for (before, _), (after, _) in zip(source.mounts, moved.mounts, strict=True)]
    if source.own_python:
        inside = Path("/mnt/python")
        pairs.append((source.prefix, inside))
        moved = replace(moved, prefix=inside, python=inside / source.python.relative_to(source.prefix))
    for before, after in pairs:
        args += ["--ro-bind", str(before), str(after)]
    args += ["--remount-ro", "/mnt", "--"]
    args += ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--no-new-privs"]
    return args, moved
