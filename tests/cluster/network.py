"""The cluster's network on the host: a bridge, a cable to each node, routes to its pods, and the way out.

A node's end of all this is in the node's own network namespace and goes away with it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from cluster.layout import Layout
from cluster.programs import CACHE

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


class Network:
    """The network of one layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._before = layout.folder / "ip_forward"

    def up(self) -> None:
        """Make the bridge, and let pods out under the host's address."""
        layout = self.layout
        _run("ip", "link", "add", layout.bridge, "type", "bridge")
        _run("ip", "address", "add", f"{layout.address}/24", "dev", layout.bridge)
        _run("ip", "link", "set", layout.bridge, "up")
        self._before.write_text(FORWARD.read_text())
        FORWARD.write_text("1")
        inside = f"{{ {layout.network}, {layout.pods} }}"
        rules = f"""table ip {layout.name} {{
            chain leaving {{
                type nat hook postrouting priority srcnat;
                ip saddr {inside} ip daddr != {inside} masquerade
            }}
        }}"""
        _run("nft", "-f", "-", given=rules)
        if shutil.which("modprobe"):  # without it packets between pods of one node pass no policy; often built in
            subprocess.run(["modprobe", "--quiet", "br_netfilter"], check=False)
        if "-P FORWARD DROP" in _run("iptables", "--list-rules", "FORWARD"):  # Docker's doing
            for rule in self._forwarding():
                _run("iptables", "--insert", *rule)

    def attach(self, node: str, pid: int) -> None:
        """Lay a cable from the bridge to the network namespace of that process, which becomes the node's."""
        layout, link, address = self.layout, self.layout.link(node), self.layout.node_address(node)
        _run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        _run("ip", "link", "set", link, "master", layout.bridge, "up")
        inside = ["nsenter", "--target", str(pid), "--net"]
        for command in (
            ["ip", "link", "set", "lo", "up"],
            ["ip", "address", "add", f"{address}/24", "dev", "eth0"],
            ["ip", "link", "set", "eth0", "up"],
            ["ip", "route", "add", "default", "via", layout.address],
            *(
                ["ip", "route", "add", layout.node_pods(other), "via", layout.node_address(other)]
                for other in layout.nodes
                if other != node
            ),
            ["sysctl", "-qw", "net.ipv4.ip_forward=1"],
        ):
            _run(*inside, *command)
        _run("ip", "route", "replace", layout.node_pods(node), "via", address)

    def detach(self, node: str) -> None:
        """Take the cable away, if there is one."""
        self._delete(self.layout.link(node))

    def cut(self, node: str) -> None:
        """Nothing reaches the node, and nothing comes from it, until `mend`."""
        _run("ip", "link", "set", self.layout.link(node), "down")

    def mend(self, node: str) -> None:
        """Undo `cut`."""
        _run("ip", "link", "set", self.layout.link(node), "up")
        _run("ip", "route", "replace", self.layout.node_pods(node), "via", self.layout.node_address(node))

    def whole(self, node: str) -> bool:
        """Whether the node has its cable and it is not cut."""
        return self._links().get(self.layout.link(node)) == "UP"

    def down(self) -> None:
        """Remove all of it; what is not there is no error."""
        for link in (*map(self.layout.link, self.layout.nodes), self.layout.bridge):
            self._delete(link)
        if self._table() in _run("nft", "list", "tables").splitlines():
            _run("nft", "delete", *self._table().split())
        for rule in self._forwarding():
            if _accepted(rule):
                _run("iptables", "--delete", *rule)
        if self._before.exists():
            if self._before.read_text().strip() == "0":
                others = [file for file in CACHE.glob(f"cluster*/{self._before.name}") if file != self._before]
                for record in others[:1] or [FORWARD]:  # another cluster still needs it, and sets it back instead
                    record.write_text("0")
            self._before.unlink()

    def leftovers(self) -> list[str]:
        """What of it is on the host."""
        ours = {self.layout.bridge, *map(self.layout.link, self.layout.nodes)}
        found = [f"interface {link}" for link in sorted(ours & self._links().keys())]
        routes = _run("ip", "route", "show", "root", self.layout.pods).splitlines()
        found += [f"route {route.strip()}" for route in routes]
        found += [f"iptables {' '.join(rule)}" for rule in self._forwarding() if _accepted(rule)]
        found += [f"nftables {table}" for table in _run("nft", "list", "tables").splitlines() if table == self._table()]
        return found

    def _delete(self, link: str) -> None:
        if link in self._links():
            try:
                _run("ip", "link", "delete", link)
            except RuntimeError:
                if link in self._links():  # else it went away by itself, with the node's network namespace
                    raise

    def _forwarding(self) -> list[tuple[str, ...]]:
        return [("FORWARD", side, self.layout.bridge, "--jump", "ACCEPT") for side in ("-i", "-o")]

    def _table(self) -> str:
        return f"table ip {self.layout.name}"

    def _links(self) -> dict[str, str]:
        return {link["ifname"]: link["operstate"] for link in json.loads(_run("ip", "-json", "link", "show"))}


def _accepted(rule: tuple[str, ...]) -> bool:
    return subprocess.run(["iptables", "--check", *rule], capture_output=True, check=False).returncode == 0


def _run(*command: str, given: str | None = None) -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
