"""What no computer may reach, as addresses: what the probe in a computer's pod tries before anything else runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rynxs.computer.reach import Target
from rynxs.kube.client import Client
from rynxs.kube.resource import ENDPOINT_SLICES

KUBELET = 10250
METADATA = "169.254.169.254"

HEALTH = 8081
"""Where components answer about their health; the operator to anybody, so that computers have a pod to try."""

_RESOLVER = Path("/etc/resolv.conf")


async def targets(client: Client, environment: Mapping[str, str], resolver: Path = _RESOLVER) -> list[Target]:
    """The targets as they are now.

    `environment` has the service of the API server as Kubernetes tells every pod (KUBERNETES_SERVICE_HOST and
    _PORT), and POD_IP, our own address. Raises httpx2.HTTPError, OSError, and KeyError for what is missing.
    """
    found = [
        Target(
            name="the API server",
            host=environment["KUBERNETES_SERVICE_HOST"],
            port=int(environment["KUBERNETES_SERVICE_PORT"]),
        ),
        *await _servers(client),
        Target(name="the metadata address", host=METADATA, port=80),
        Target(name="the kubelet", host="$(HOST_IP)", port=KUBELET),  # Kubernetes puts the node's address there
        Target(name="another pod", host=environment["POD_IP"], port=HEALTH),
    ]
    for address in _nameservers(resolver):
        found.append(Target(name="DNS", host=address, port=53, kind="dns"))
        found.append(Target(name="DNS by TCP", host=address, port=53))
    return found


async def _servers(client: Client) -> list[Target]:
    """The API servers behind their service: a rule that closes one address need not close the other."""
    found = await client.get(ENDPOINT_SLICES, "default", "kubernetes")
    if found is None:
        return []
    ports = [port["port"] for port in found.get("ports") or () if port.get("port")]
    addresses = [address for endpoint in found.get("endpoints") or () for address in endpoint["addresses"]]
    return [Target(name="an API server", host=address, port=port) for address in addresses for port in ports]


def _nameservers(resolver: Path) -> list[str]:
    lines = (line.split() for line in resolver.read_text().splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
