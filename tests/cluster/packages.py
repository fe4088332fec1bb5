"""The Debian packages that a cluster is made of, installed when they are missing and this is root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "ip": "iproute2",
    "nft": "nftables",
    "iptables": "iptables",
    "ipset": "ipset",
    "conntrack": "conntrack",
    "nsenter": "util-linux",
    "sysctl": "procps",
}


def install(*programs: str) -> None:
    """Install the packages of these programs, of all by default. Raises RuntimeError naming what stays missing."""
    missing = [name for name in programs or PROGRAMS if not _there(name)]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        packages = [PROGRAMS[name] for name in missing]
        print(f"rynxs: installing the Debian packages {' '.join(packages)}", file=sys.stderr, flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            command = ["apt-get", "-qq", *arguments]
            subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
        missing = [name for name in missing if not _there(name)]
    if missing:
        packages = sorted({PROGRAMS[name] for name in missing})
        raise RuntimeError(f"missing: {', '.join(missing)}. Install the packages {' '.join(packages)} and try again")


def _there(name: str) -> bool:
    return Path(name).exists() if name.startswith("/") else shutil.which(name) is not None
