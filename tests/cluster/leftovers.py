"""What a cluster left on the machine, and its removal."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from cluster import cgroup
from cluster.layout import Layout
from cluster.network import Network
from cluster.node import OWN
from cluster.process import kill, marked


def leftovers(layout: Layout) -> list[str]:
    """Processes, mounts, control groups, interfaces, routes and rules of it that are there, one a line."""
    found = [f"process {pid} {_command(pid)}" for pid in _processes(layout)]
    found += [f"mount {mount}" for mount in _mounts(layout)]
    for node in layout.nodes:
        found += cgroup.leftovers(layout.cgroup(node))
    return found + Network(layout).leftovers()


def remove(layout: Layout) -> None:
    """Remove all that. It needs nothing of the cluster's own files."""
    while ours := _processes(layout):  # what is being started while we look is seen the next time
        kill(ours)
    for mount in reversed(_mounts(layout)):
        subprocess.run(["umount", "--lazy", mount], check=True)
    for node in layout.nodes:
        cgroup.remove(layout.cgroup(node))
    Network(layout).down()
    if not any(marked()):  # removing a folder would take it away from the nodes of another cluster, too
        for path in OWN.values():
            with contextlib.suppress(OSError):  # not empty
                Path(path).rmdir()


def _processes(layout: Layout) -> list[int]:
    found = {pid for pid, _ in marked(layout.name)}
    for node in layout.nodes:
        found.update(cgroup.pids(layout.cgroup(node)))
    return sorted(found)


def _mounts(layout: Layout) -> list[str]:
    mounts = (line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())
    return [mount for mount in mounts if mount.startswith(f"{layout.folder}/")]


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return "?"
