"""The control groups that hold a node's pods: one of the same name in every hierarchy of the machine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def create(name: str) -> None:
    """Make it. In cgroup v1 its cpuset begins empty, so that nothing could run; in v2 it begins without controllers."""
    if (controllers := ROOT / "cgroup.controllers").exists():
        enabled = " ".join(f"+{controller}" for controller in controllers.read_text().split())
        (ROOT / "cgroup.subtree_control").write_text(enabled)
    for hierarchy in _hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if hierarchy != ROOT and (hierarchy / setting).exists():
                (hierarchy / name / setting).write_text((hierarchy / setting).read_text())


def pids(name: str) -> list[int]:
    """Every process in it or below it."""
    found: set[int] = set()
    for group in _groups(name):
        with contextlib.suppress(OSError):
            found.update(map(int, (group / "cgroup.procs").read_text().split()))
    return sorted(found)


def remove(name: str) -> None:
    """Remove it and what is below it, when its processes have ended. Raises OSError when it stays in use."""
    deadline = time.monotonic() + 10
    for group in sorted(_groups(name), key=lambda path: len(path.parts), reverse=True):
        while True:
            try:
                group.rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:  # busy: the kernel has not let go of the last process yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


def leftovers(name: str) -> list[str]:
    """Where it exists."""
    return [f"cgroup {hierarchy / name}" for hierarchy in _hierarchies() if (hierarchy / name).is_dir()]


def _groups(name: str) -> Iterator[Path]:
    for hierarchy in _hierarchies():
        if (hierarchy / name).is_dir():
            yield hierarchy / name
            yield from (folder for folder in (hierarchy / name).rglob("*") if folder.is_dir())


def _hierarchies() -> list[Path]:
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]  # cgroup v2
    return [folder for folder in sorted(ROOT.iterdir()) if not folder.is_symlink() and folder.is_dir()]
