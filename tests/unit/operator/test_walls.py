"""What the probe of a computer's walls tries."""

from __future__ import annotations

import pytest

from rynxs.computer.reach import Target
from rynxs.operator.walls import targets

ENVIRONMENT = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", "POD_IP": "10.244.1.7"}
SLICE = {
    "metadata": {"name": "kubernetes", "namespace": "default", "uid": "u"},
    "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
    "endpoints": [{"addresses": ["192.0.2.1"]}, {"addresses": ["192.0.2.2"]}],
}


@pytest.fixture
def resolver(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text("search default.svc\nnameserver 10.96.0.10\noptions ndots:5\n\nnameserver fd00::a\n# nameserver\n")
    return path


async def test_all_of_them(api, resolver) -> None:
    api.objects["endpointslices", "default", "kubernetes"] = SLICE
    found = await targets(api, ENVIRONMENT, resolver)
    assert [(target.host, target.port, target.kind) for target in found] == [
        ("10.96.0.1", 443, "tcp"),
        ("192.0.2.1", 6443, "tcp"),
        ("192.0.2.2", 6443, "tcp"),
        ("169.254.169.254", 80, "tcp"),
        ("$(HOST_IP)", 10250, "tcp"),
        ("10.244.1.7", 8081, "tcp"),
        ("10.96.0.10", 53, "dns"),
        ("10.96.0.10", 53, "tcp"),
        ("fd00::a", 53, "dns"),
        ("fd00::a", 53, "tcp"),
    ]
    assert Target(name="another pod", host="10.244.1.7", port=8081) in found


@pytest.mark.parametrize("found", [None, {**SLICE, "endpoints": None}, {**SLICE, "ports": None}])
async def test_a_service_without_endpoints(api, resolver, found) -> None:
    if found:
        api.objects["endpointslices", "default", "kubernetes"] = found
    assert [target.host for target in await targets(api, ENVIRONMENT, resolver)][:2] == ["10.96.0.1", "169.254.169.254"]
