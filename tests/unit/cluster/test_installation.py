"""An installation from outside: its parts are found, or it is said what is missing."""

from __future__ import annotations

import base64

import pytest

from rynxs.cluster.installation import Installation, NotThere
from rynxs.eventlog import BadKey, Signer, Trust
from rynxs.operator.config import BadConfig

GATEWAY = {"app.kubernetes.io/name": "rynxs", "app.kubernetes.io/component": "gateway"}
CONFIG = """
namespace: sys
log: {url: "s3://rynxs/log", endpoint: "http://rynxs-store.sys.svc:7070", credentials: rynxs-store}
computers: {image: i, daemonImage: d}
"""


@pytest.fixture
def installation(api):
    return Installation(api, "sys")


def put(api, plural, name, namespace="sys", labels=None, **item):
    item["metadata"] = {"name": name, "namespace": namespace, "labels": labels or {}, "uid": "u"}
    api.objects[plural, namespace, name] = item


def pod(api, name, ready="True", labels=GATEWAY, **more):
    status = {"phase": "Running", "conditions": [{"type": "Initialized", "status": "True"}]}
    status["conditions"].append({"type": "Ready", "status": ready})
    ports = [{"name": "https", "containerPort": 8443}, {"name": "s3", "containerPort": 9000}]
    spec = {"containers": [{"name": "a"}, {"name": "b", "ports": ports}]}
    put(api, "pods", name, labels=labels, status=status, spec=spec, **more)


async def test_a_gateway_that_is_ready(installation, api) -> None:
    pod(api, "old", ready="False")
    pod(api, "new")
    pod(api, "store", labels={**GATEWAY, "app.kubernetes.io/component": "store"})
    assert await installation.gateway() == "new"


async def test_no_gateway(installation, api) -> None:
    with pytest.raises(NotThere, match=r"there is no gateway in namespace sys: .* name it with --system-namespace"):
        await installation.gateway()
    pod(api, "x", ready="False")
    put(api, "pods", "y", labels=GATEWAY)
    pod(api, "z")
    api.objects["pods", "sys", "z"]["metadata"]["deletionTimestamp"] = "now"
    with pytest.raises(NotThere) as missing:
        await installation.gateway()
    assert str(missing.value) == "no gateway in namespace sys is ready: x is Running, y is unknown, z is Running"


async def test_what_it_published(installation, api) -> None:
    trust = Trust(log="l", keys=[Signer.generate("gateway").trusted(["shard-*"])])
    put(api, "configmaps", "rynxs-trust", data={"ca.crt": "pem", "trust.json": trust.encode().decode()})
    put(api, "configmaps", "rynxs-config", data={"config.yaml": CONFIG})
    assert await installation.authority() == "pem"
    assert await installation.trust() == trust
    assert (await installation.config()).log.url == "s3://rynxs/log"


async def test_what_is_not_published(installation, api) -> None:
    with pytest.raises(NotThere, match=r"there is no configmap rynxs-trust in namespace sys"):
        await installation.trust()
    put(api, "configmaps", "rynxs-trust")
    with pytest.raises(NotThere, match=r"configmap sys/rynxs-trust does not hold ca\.crt"):
        await installation.authority()
    put(api, "configmaps", "rynxs-trust", data={"trust.json": "{"})
    with pytest.raises(BadKey, match="configmap sys/rynxs-trust is not a trust file"):
        await installation.trust()
    put(api, "configmaps", "rynxs-config", data={"config.yaml": "namespace: [sys"})
    with pytest.raises(BadConfig, match="configmap sys/rynxs-config"):
        await installation.config()


async def test_the_keys_of_the_store(installation, api) -> None:
    encoded = {"AWS_ACCESS_KEY_ID": base64.b64encode(b"id").decode()}
    put(api, "secrets", "keys", data=encoded)
    with pytest.raises(NotThere, match="secret sys/keys does not hold AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        await installation.credentials("keys")
    put(api, "secrets", "keys", data={**encoded, "AWS_SECRET_ACCESS_KEY": base64.b64encode(b"key").decode()})
    assert await installation.credentials("keys") == ("id", "key")
    put(api, "secrets", "keys", data={**encoded, "AWS_SECRET_ACCESS_KEY": "a"})
    with pytest.raises(NotThere):
        await installation.credentials("keys")


@pytest.mark.parametrize("host", ["store.sys.svc", "store.sys.svc.cluster.local"])
@pytest.mark.parametrize(("target", "port"), [("s3", 9000), (7070, 7070)])
async def test_the_pod_behind_a_service(installation, api, host, target, port) -> None:
    ports = [{"port": 80, "targetPort": 1}, {"port": 7070, "targetPort": target}]
    put(api, "services", "store", spec={"selector": {"a": "b"}, "ports": ports})
    pod(api, "other")
    pod(api, "store-1", labels={"a": "b"})
    assert await installation.behind(f"http://{host}:7070") == ("sys", "store-1", port)
    assert await installation.behind(f"http://{host}") == ("sys", "store-1", 1)


@pytest.mark.parametrize(
    "url", ["https://s3.example.com", "http://10.0.0.1:9000", "http://svc", "http://a.svc", "http://a.b.c.svc"]
)
async def test_what_is_no_service(installation, url) -> None:
    assert await installation.behind(url) is None


async def test_a_service_that_does_not_lead_to_a_pod(installation, api) -> None:
    with pytest.raises(NotThere, match="there is no service store in namespace sys"):
        await installation.behind("http://store.sys.svc")
    ports = [{"port": 80, "targetPort": "nothing"}, {"port": 81}]
    put(api, "services", "store", spec={"selector": {"a": "b"}, "ports": ports})
    with pytest.raises(NotThere, match="service sys/store has no port 82"):
        await installation.behind("http://store.sys.svc:82")
    with pytest.raises(NotThere, match=r"no pod of service sys/store is ready$"):
        await installation.behind("http://store.sys.svc")
    pod(api, "store-1", labels={"a": "b"})
    with pytest.raises(NotThere, match="pod store-1 has no port nothing"):
        await installation.behind("http://store.sys.svc")
    assert await installation.behind("http://store.sys.svc:81") == ("sys", "store-1", 81)
    put(api, "services", "store", spec={"ports": ports})
    with pytest.raises(NotThere, match="no pod of service"):
        await installation.behind("http://store.sys.svc")
    with pytest.raises(NotThere, match="inside the cluster only"):
        await installation.behind("https://store.sys.svc")
