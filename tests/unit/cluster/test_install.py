"""What the first installation makes, what every later one keeps, and what nobody may quietly make again."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from rynxs.cluster.anchors import STREAMS
from rynxs.cluster.install import CannotInstall, Installer
from rynxs.eventlog import Signer, Trust
from rynxs.kube.client import ApiError
from rynxs.kube.resource import CONFIG_MAPS, SECRETS

NOW = datetime(2026, 11, 23, 14, 2, tzinfo=UTC)
EVERYTHING = {
    ("secrets", "rynxs-ca"),
    ("secrets", "rynxs-gateway-tls"),
    ("secrets", "rynxs-gateway-key"),
    ("secrets", "rynxs-operator-key"),
    ("configmaps", "rynxs-trust"),
    ("configmaps", "rynxs-anchor-shard-0"),
    ("configmaps", "rynxs-anchor-operator"),
}


@pytest.fixture
def install(api):
    said = []

    async def run(*, first=False, now=NOW):
        said.clear()
        await Installer(api, "sys", now, said.append).run(first=first)
        return said

    return run


def files(api, name):
    return {key: base64.b64decode(value) for key, value in api.objects["secrets", "sys", name]["data"].items()}


def data(api, name):
    return api.objects["configmaps", "sys", name]["data"]


async def test_the_first_makes_everything(api, install):
    said = await install(first=True)
    assert {(kind, name) for kind, _, name in api.objects} == EVERYTHING
    assert len(said) == len(EVERYTHING)
    assert "secret sys/rynxs-ca made" in said
    assert api.calls[-1] == ("create", "configmaps", "rynxs-trust")  # while it is missing nothing has started
    assert all("annotations" not in item["metadata"] for item in api.objects.values())


async def test_the_trust_file_is_that_of_the_keys(api, install):
    await install(first=True)
    trust = Trust.parse(data(api, "rynxs-trust")["trust.json"].encode(), "trust")
    for component, stream in (("gateway", "shard-*"), ("operator", "operator")):
        signer = Signer.parse(files(api, f"rynxs-{component}-key")["signing.key"], component)
        assert signer.trusted([stream]) in trust.keys
        assert signer.name == f"{component}-2026"
    assert data(api, "rynxs-trust")["ca.crt"].encode() == files(api, "rynxs-ca")["tls.crt"]
    assert all(data(api, f"rynxs-anchor-{stream}") == {} for stream in STREAMS)


async def test_the_gateway_certificate(api, install):
    await install(first=True)
    found = files(api, "rynxs-gateway-tls")
    certificate = x509.load_pem_x509_certificate(found["tls.crt"])
    assert found["ca.crt"] == files(api, "rynxs-ca")["tls.crt"]
    assert certificate.subject.rfc4514_string() == "CN=rynxs-gateway"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [
        "localhost",
        "rynxs-gateway",
        "rynxs-gateway.sys",
        "rynxs-gateway.sys.svc",
        "rynxs-gateway.sys.svc.cluster.local",
    ]
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert len(list(uses)) == 2


@pytest.mark.parametrize("first", [True, False])
async def test_later_ones_keep_everything(api, install, first):
    await install(first=True)
    before = dict(api.objects)
    assert await install(first=first) == []
    assert api.objects == before


async def test_half_of_an_installation_is_finished(api, install):
    await install(first=True)
    kept = files(api, "rynxs-operator-key")
    for kind, name in (("configmaps", "rynxs-trust"), ("secrets", "rynxs-gateway-key")):
        del api.objects[kind, "sys", name]
    await install(first=True)
    assert {(kind, name) for kind, _, name in api.objects} == EVERYTHING
    assert files(api, "rynxs-operator-key") == kept


async def test_two_at_once_agree(api, install):
    """A second one makes everything just before the first one creates its authority."""
    other = Installer(api, "sys", NOW, lambda _: None)
    api.before["create", "secrets"] = lambda: other.run(first=True)
    said = await install(first=True)
    assert said == []
    assert await install() == []


@pytest.mark.parametrize("name", ["rynxs-anchor-shard-0", "rynxs-anchor-operator"])
@pytest.mark.parametrize("first", [True, False])
async def test_an_anchor_that_was_deleted_is_not_made_again(api, install, name, first):
    await install(first=True)
    del api.objects["configmaps", "sys", name]
    with pytest.raises(CannotInstall, match=f"configmap sys/{name} is missing.*Restore it from a backup"):
        await install(first=first)
    assert ("configmaps", "sys", name) not in api.objects


async def test_a_trust_file_that_was_deleted_is_not_made_again(api, install):
    await install(first=True)
    del api.objects["configmaps", "sys", "rynxs-trust"]
    with pytest.raises(CannotInstall, match=r"configmap sys/rynxs-trust is missing.*Restore"):
        await install()
    await api.merge(CONFIG_MAPS, "sys", "rynxs-anchor-operator", {"data": {"note": "of a log"}})
    with pytest.raises(CannotInstall, match="rynxs-anchor-operator speaks of a log"):
        await install(first=True)
    assert ("configmaps", "sys", "rynxs-trust") not in api.objects


@pytest.mark.parametrize("component", ["gateway", "operator"])
async def test_a_key_that_was_replaced_is_refused(api, install, component):
    await install(first=True)
    del api.objects["secrets", "sys", f"rynxs-{component}-key"]
    with pytest.raises(CannotInstall, match=f"rynxs-trust does not trust the key in secret sys/rynxs-{component}-key"):
        await install()


@pytest.mark.parametrize(
    ("name", "key"), [("rynxs-ca", "tls.key"), ("rynxs-ca", "tls.crt"), ("rynxs-gateway-key", "signing.key")]
)
async def test_what_is_damaged_is_named(api, install, name, key):
    await install(first=True)
    await api.merge(SECRETS, "sys", name, {"data": {key: base64.b64encode(b"nonsense").decode()}})
    with pytest.raises(CannotInstall, match=f"secret sys/{name}.*backup"):
        await install()


async def test_a_damaged_trust_file_is_named(api, install):
    await install(first=True)
    await api.merge(CONFIG_MAPS, "sys", "rynxs-trust", {"data": {"trust.json": "{}"}})
    with pytest.raises(CannotInstall, match=r"configmap sys/rynxs-trust.*backup"):
        await install()


async def test_the_gateway_certificate_is_renewed_at_half_its_life(api, install):
    await install(first=True)
    first = files(api, "rynxs-gateway-tls")
    assert await install(now=NOW + timedelta(days=180)) == []
    assert await install(now=NOW + timedelta(days=184)) == ["secret sys/rynxs-gateway-tls renewed"]
    second = files(api, "rynxs-gateway-tls")
    assert second["tls.crt"] != first["tls.crt"]
    assert second["tls.key"] != first["tls.key"]
    assert second["ca.crt"] == first["ca.crt"]


async def test_a_new_authority_signs_the_gateway_anew_and_says_what_it_breaks(api, install):
    await install(first=True)
    del api.objects["secrets", "sys", "rynxs-ca"]
    said = await install()
    assert "delete their pods" in said[0]
    assert files(api, "rynxs-gateway-tls")["ca.crt"] == files(api, "rynxs-ca")["tls.crt"]
    assert data(api, "rynxs-trust")["ca.crt"].encode() == files(api, "rynxs-ca")["tls.crt"]
    assert await install() == []


async def test_what_the_api_server_refuses_ends_it(api, install):
    api.refuse["create", "secrets"] = ApiError("POST", "/x", 403, "Forbidden", "no")
    with pytest.raises(ApiError):
        await install(first=True)
