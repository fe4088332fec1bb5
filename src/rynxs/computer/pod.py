"""`rynxs-computer`: the program in a computer's pod, one subcommand for each of its containers.

`prepare` puts what the computer needs into the pod's volumes, `walls` tries what must not be reachable, and `serve`
is the daemon.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec import Struct

from rynxs.computer.limits import Limits

BUNDLE = Path("/opt/rynxs")
"""Where the daemon's bundle is in its own image, and in every computer."""

SECRETS = Path("/run/rynxs")
"""Where `prepare` leaves the certificates for the daemon, in memory."""

PREPARED = Path("/prepared")
"""Where `prepare` finds the volumes, and under `certificate` what is to go into `SECRETS`."""

_NOT_FOR_PROGRAMS = ("KUBERNETES_PORT", "KUBERNETES_SERVICE_", "_PYI_")
"""Begins of variables that no program needs: where the API server is, which none can reach, and the bootloader's."""


class Serve(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The argument of `serve`, as JSON: the port to listen on, and the limits."""

    port: int
    limits: Limits


def main() -> NoReturn:
    """Run the subcommand that is the first argument. Never returns."""
    match sys.argv[1:]:
        case ["prepare"]:
            prepare(PREPARED, Path(sys.executable).parent)
        case ["walls", targets]:
            from rynxs.computer import reach

            reach.main(targets)
        case ["serve", settings]:
            serve(msgspec.json.decode(settings, type=Serve))
        case _:
            sys.exit("usage: rynxs-computer prepare | walls TARGETS | serve SETTINGS")
    sys.exit(0)


def prepare(root: Path, bundle: Path) -> None:
    """Fill the volumes below `root`: `bundle`, `run` with the certificates, and `etc` with a user for our uid.

    Raises OSError.
    """
    for part in bundle.iterdir():  # one by one: the volume itself is root's, and we can't change its mode or times
        if part.is_dir():
            shutil.copytree(part, root / "bundle" / part.name, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(part, root / "bundle")
    for name in ("tls.crt", "tls.key", "ca.crt"):
        target = root / "run" / name
        target.write_bytes((root / "certificate" / name).read_bytes())
        target.chmod(0o600)
    user, group = os.getuid(), os.getgid()
    (root / "etc" / "passwd").write_text(
        f"root:x:0:0:root:/root:/bin/sh\nagent:x:{user}:{group}::/workspace:/bin/sh\n"
        "nobody:x:65534:65534::/:/bin/false\n"
    )
    (root / "etc" / "group").write_text(f"root:x:0:\nagent:x:{group}:\nnogroup:x:65534:\n")


def serve(settings: Serve) -> NoReturn:
    """Become the daemon of a pod. Never returns."""
    from rynxs.computer import init, listener

    tls = listener.context(SECRETS)
    for secret in SECRETS.iterdir():
        secret.unlink()
    for name in [name for name in os.environ if name.startswith(_NOT_FOR_PROGRAMS)]:
        del os.environ[name]
    library_path = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
    found, zygote_pid, orders = init.become_pid_1(settings.limits)
    if library_path is not None:
        os.environ["LD_LIBRARY_PATH"] = library_path  # as the image has it: the bundle's own is gone now

    import asyncio

    asyncio.run(listener.serve(settings.port, tls, zygote_pid, orders, settings.limits, found))
    os._exit(0)  # not by way of the interpreter's end: a thread in a system call would hold it up


if __name__ == "__main__":
    main()
