"""build, up, down or status of the test cluster of this machine: `python -m cluster up`."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from cluster.cluster import Cluster
from cluster.leftovers import leftovers


def main(arguments: list[str]) -> int:
    """The exit code."""
    cluster = Cluster()
    if arguments not in (["build"], ["up"], ["down"], ["status"]):
        print("usage: scripts/cluster build|up|down|status", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("rynxs: the test cluster needs root (network namespaces, mounts, control groups)", file=sys.stderr)
        return 1
    start = time.monotonic()
    try:
        if arguments == ["build"]:
            cluster.build()
            return 0
        if arguments == ["up"]:
            started = cluster.up()
            print(
                f"rynxs: cluster {'started' if started else 'is up'}, {time.monotonic() - start:.1f} s", file=sys.stderr
            )
            print(cluster.kubeconfig)
            return 0
        if arguments == ["down"]:
            cluster.down()
            print(f"rynxs: cluster removed, {time.monotonic() - start:.1f} s", file=sys.stderr)
            return 0
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        print("\n".join([f"rynxs: {error}", *getattr(error, "__notes__", ())]), file=sys.stderr)
        return 1
    for component in cluster.components:
        print(f"{component:20} {cluster.processes.pid(component) or 'ended'}")
    if cluster.healthy():
        print("healthy")
        return 0
    print("not healthy", *leftovers(cluster.layout), sep="\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
