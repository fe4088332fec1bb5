"""Steps, and in which order each does what it does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509

from rynxs.api.agent import Agent
from rynxs.api.shape import read
from rynxs.computer.reach import Target
from rynxs.kube.client import ApiError
from rynxs.operator.certificate import Authority, computer_host
from rynxs.operator.plan import EndComputer, MakeNetwork, MakeWorkspace, StartComputer, computer_name
from rynxs.operator.settings import ComputerSettings
from rynxs.operator.steps import Steps

UID = "agent-uid"
NOW = datetime.now(UTC)
NAMES = {number: computer_name("dev", UID, number) for number in (1, 2)}
START = StartComputer(name=NAMES[2], number=2, digest="C")
AGENT = read(
    {"apiVersion": "rynxs.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "dev", "namespace": "team-a"}}, Agent
)


@pytest.fixture
def run(api):
    async def targets():
        return [Target(name="x", host="192.0.2.1", port=1)]

    settings = ComputerSettings(image="a", daemon_image="b")
    steps = Steps(api, Authority.create("Rynxs", NOW), settings, "sys", targets)
    return lambda step: steps.run(step, AGENT, UID, NOW)


async def test_the_certificate_is_there_before_the_pod(api, run) -> None:
    await run(START)
    assert api.calls == [
        ("delete", "secrets", NAMES[1]),
        ("delete", "secrets", NAMES[2]),
        ("create", "secrets", NAMES[2]),
        ("create", "pods", NAMES[2]),
    ]
    files = api.objects["secrets", "team-a", NAMES[2]]["stringData"]
    certificate = x509.load_pem_x509_certificate(files["tls.crt"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [computer_host("team-a", NAMES[2])]
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert x509.ExtendedKeyUsageOID.CLIENT_AUTH not in uses


async def test_a_try_that_came_to_nothing_is_begun_again(api, run) -> None:
    api.refuse["create", "pods"] = ApiError("POST", "/x", 503, "", "overloaded")
    with pytest.raises(ApiError):
        await run(START)
    first = api.objects["secrets", "team-a", NAMES[2]]["metadata"]["uid"]
    api.refuse.clear()
    await run(START)
    assert api.objects["secrets", "team-a", NAMES[2]]["metadata"]["uid"] != first
    assert ("pods", "team-a", NAMES[2]) in api.objects


async def test_a_pod_that_is_there_keeps_its_certificate(api, run) -> None:
    await run(START)
    api.calls.clear()
    await run(START)
    assert api.calls == []


async def test_no_secret_is_ever_read(api, run) -> None:
    for verb in ("get", "list", "apply", "merge"):
        api.refuse[verb, "secrets"] = AssertionError(f"{verb} secrets")
    await run(START)
    await run(EndComputer(name=NAMES[2], uid="u", reason="x"))


async def test_an_end_is_of_that_pod_and_its_certificate(api, run) -> None:
    await run(START)
    await run(EndComputer(name=NAMES[2], uid="another", reason="x"))
    assert ("pods", "team-a", NAMES[2]) in api.objects
    uid = api.objects["pods", "team-a", NAMES[2]]["metadata"]["uid"]
    await run(EndComputer(name=NAMES[2], uid=uid, reason="x"))
    assert api.objects == {}


async def test_volume_and_network_are_applied(api, run) -> None:
    for _ in range(2):
        await run(MakeWorkspace(digest="W"))
        await run(MakeNetwork(digest="N"))
    assert {kind for kind, _, _ in api.objects} == {"persistentvolumeclaims", "networkpolicies"}
    assert {verb for verb, _, _ in api.calls} == {"apply"}
