"""An installation as people see it from outside, with their own rights: where its parts are, and what it published."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from urllib.parse import urlsplit

from rynxs.eventlog import Trust
from rynxs.eventlog.bucket import Credentials
from rynxs.kube.client import Client, Object, Resource, selector
from rynxs.kube.resource import CONFIG_MAPS, PODS, SECRETS, SERVICES
from rynxs.operator.config import Config
from rynxs.operator.observation import is_ready

_GATEWAYS = {"app.kubernetes.io/name": "rynxs", "app.kubernetes.io/component": "gateway"}


class NotThere(Exception):
    """A part of the installation is not there, or not ready; the message says what to do."""


class Installation:
    """The installation in a system namespace. Every call raises NotThere, and what the client raises."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self.namespace = namespace

    async def gateway(self) -> str:
        """The name of a gateway's pod that is ready."""
        found = await self._client.list(PODS, self.namespace, selector(_GATEWAYS))
        if not found:
            raise NotThere(
                f"there is no gateway in namespace {self.namespace}: if Rynxs is installed in another one, "
                "name it with --system-namespace"
            )
        return _ready(found, f"no gateway in namespace {self.namespace} is ready")["metadata"]["name"]  # type: ignore[no-any-return]

    async def authority(self) -> str:
        """The certificate of the installation's authority (PEM)."""
        return await self._published("rynxs-trust", "ca.crt")

    async def trust(self) -> Trust:
        """The log's trust file. Raises BadKey."""
        where = f"configmap {self.namespace}/rynxs-trust"
        return Trust.parse((await self._published("rynxs-trust", "trust.json")).encode(), where)

    async def config(self) -> Config:
        """The components' configuration. Raises BadConfig."""
        where = f"configmap {self.namespace}/rynxs-config"
        return Config.parse(await self._published("rynxs-config", "config.yaml"), where)

    async def credentials(self, secret: str) -> Credentials:
        """The keys of the log's store, from the Secret of that name."""
        data = (await self._get(SECRETS, self.namespace, secret)).get("data") or {}
        try:
            pair = [base64.b64decode(data[key]).decode() for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
        except (KeyError, binascii.Error, UnicodeDecodeError) as error:
            where = f"secret {self.namespace}/{secret}"
            raise NotThere(f"{where} does not hold AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: {error}") from error
        return Credentials(*pair)

    async def behind(self, url: str) -> tuple[str, str, int] | None:
        """Namespace, name and port of a pod behind the URL of a Service; None when the URL is of no Service."""
        parts = urlsplit(url)
        host = (parts.hostname or "").removesuffix(".cluster.local").split(".")
        if len(host) != 3 or host[2] != "svc":
            return None
        if parts.scheme != "http":
            raise NotThere(f"{url} is reached inside the cluster only, and its certificate is not for this machine")
        name, namespace = host[0], host[1]
        spec = (await self._get(SERVICES, namespace, name))["spec"]
        asked = parts.port or 80
        port = next((each for each in spec["ports"] if each["port"] == asked), None)
        if port is None:
            raise NotThere(f"service {namespace}/{name} has no port {asked}")
        labels = selector(spec.get("selector") or {})
        pods = await self._client.list(PODS, namespace, labels) if labels else []
        pod = _ready(pods, f"no pod of service {namespace}/{name} is ready")
        return namespace, pod["metadata"]["name"], _port(pod, port.get("targetPort", asked))

    async def _published(self, name: str, key: str) -> str:
        data = (await self._get(CONFIG_MAPS, self.namespace, name)).get("data") or {}
        if key not in data:
            raise NotThere(
                f"configmap {self.namespace}/{name} does not hold {key}: run helm upgrade, which restores it"
            )
        text: str = data[key]
        return text

    async def _get(self, resource: Resource, namespace: str, name: str) -> Object:
        found = await self._client.get(resource, namespace, name)
        if found is None:
            raise NotThere(
                f"there is no {resource.plural.removesuffix('s')} {name} in namespace {namespace}: if Rynxs is "
                "installed in another one, name it with --system-namespace"
            )
        return found


def _ready(pods: Iterable[Object], otherwise: str) -> Object:
    """The first pod that is ready. Raises NotThere."""
    states = []
    for pod in pods:
        if is_ready(pod) and not pod["metadata"].get("deletionTimestamp"):
            return pod
        states.append(f"{pod['metadata']['name']} is {(pod.get('status') or {}).get('phase', 'unknown')}")
    raise NotThere(f"{otherwise}" + (f": {', '.join(states)}" if states else ""))


def _port(pod: Object, target: int | str) -> int:
    """The number of a pod's port, which may be named. Raises NotThere."""
    if isinstance(target, int):
        return target
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == target:
                number: int = port["containerPort"]
                return number
    raise NotThere(f"pod {pod['metadata']['name']} has no port {target}")
