"""What each wall of a sandbox must be, checked against what its daemon found before anything ran in it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rynxs.sandbox.layout import UID

_NO_CAPABILITIES = "0" * 16

_WRITABLE = [
    "/dev/full",
    "/dev/null",
    "/dev/pts",
    "/dev/random",
    "/dev/shm",  # noqa: S108 - a mount inside
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
    "/proc",
    "/tmp",  # noqa: S108 - a mount inside
    "/workspace",
]


class WallDown(Exception):
    """A wall is not as it must be; the message names it, what was found and what was expected."""


def verify(walls: Mapping[str, str], environment: set[str]) -> None:
    """Accept the walls of a sandbox whose daemon was given these variables. Raises WallDown."""
    for name, must in _EXPECTED.items():
        found = walls.get(name)
        if found is None or not re.fullmatch(must, found):
            raise WallDown(f"the sandbox's wall {name!r} is {found!r}, and must match {must!r}; nothing was run")
    _subset(walls, "writable", set(_WRITABLE))
    _subset(walls, "environment", environment | {"PWD"})  # bubblewrap's --chdir sets it


_EXPECTED = {
    "nonewprivs": "1",
    "seccomp": "2",
    "capinh": _NO_CAPABILITIES,
    "capprm": _NO_CAPABILITIES,
    "capeff": _NO_CAPABILITIES,
    "capbnd": _NO_CAPABILITIES,
    "capamb": _NO_CAPABILITIES,
    "pid": "1",
    "pids": "1",
    "user": str(UID),
    "groups": r"(65534( 65534)*)?",
    "interfaces": "lo",
    "network": "ENETUNREACH",
    "user_namespace": "EPERM",
    "dumpable": "0",
    "host_paths": "",
    "session": "own",
    "descriptors": "null null /memfd socket",
}


def _subset(walls: Mapping[str, str], name: str, allowed: set[str]) -> None:
    found = walls.get(name)
    if found is None or not set(found.split()) <= allowed:
        extra = "nothing said" if found is None else " ".join(sorted(set(found.split()) - allowed))
        raise WallDown(f"the sandbox's wall {name!r} is open: {extra}; nothing was run")


def verify_user(pid: int, uid: int) -> None:
    """Accept the daemon if the host sees it run as `uid` throughout. Raises WallDown and OSError.

    From inside this can't be seen: a user namespace shows its ids as its parent has them, and bubblewrap
    nests two.
    """
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    if status["Uid"].split() != [str(uid)] * 4:
        raise WallDown(f"the sandbox runs as the host's users {status['Uid']!r}, not {uid}; nothing was run")
