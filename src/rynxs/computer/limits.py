"""Limits: what a computer may use, and those of them that the kernel enforces per process."""

from __future__ import annotations

import resource

from msgspec import Struct

MIB = 1024 * 1024
GIB = 1024 * MIB


class Limits(Struct, frozen=True, kw_only=True):
    """What one computer may use. Sizes are in bytes.

    `processes` counts threads, too, and holds for the whole computer (RLIMIT_NPROC of its user); `open_files`
    is per process. `memory` bounds each process (RLIMIT_DATA) and, watched, all of them together. `workspace`
    bounds each file (RLIMIT_FSIZE) and, watched, the folder. `tmp` sizes /tmp and /dev/shm, each.
    """

    processes: int = 512
    open_files: int = 4096
    memory: int = 2 * GIB
    workspace: int = 5 * GIB
    tmp: int = 256 * MIB

    def apply(self) -> None:
        """Set this process's limits, soft and hard, for it and all that it starts.

        Raises OSError, ValueError.
        """
        for kind, value in (
            (resource.RLIMIT_NPROC, self.processes),
            (resource.RLIMIT_NOFILE, self.open_files),
            (resource.RLIMIT_DATA, self.memory),
            (resource.RLIMIT_FSIZE, self.workspace),
            (resource.RLIMIT_CORE, 0),
        ):
            _, hard = resource.getrlimit(kind)
            lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (lower, lower))


def size(count: int) -> str:
    """A byte count for people: `5 GiB`, `1.2 MiB`, `17 B`."""
    value = float(count)
    units = ["B", "KiB", "MiB", "GiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        del units[0]
    return f"{value:.1f}".removesuffix(".0") + f" {units[0]}"
