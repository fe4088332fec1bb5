"""`rynxs install`: makes what an installation needs once and keeps for ever: keys, certificates, trust, anchors.

It runs before every installation and upgrade, creates what is missing and overwrites nothing. None of it belongs to
the Helm release, so that nothing of it goes with the release. The trust file comes last: while it is missing no
component has started, and no log of this installation can exist.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import httpx2
from cryptography import x509

from rynxs.cluster.anchors import PREFIX, STREAMS
from rynxs.computer.protocol import GATEWAY
from rynxs.eventlog import BadKey, Signer, Trust, uuid7
from rynxs.kube.client import ApiError, Client, ConfigError, Object, Resource
from rynxs.kube.resource import CONFIG_MAPS, SECRETS
from rynxs.operator.certificate import Authority, gateway_hosts
from rynxs.operator.config import BadConfig, Config

AUTHORITY = "rynxs-ca"
GATEWAY_TLS = "rynxs-gateway-tls"
TRUST = "rynxs-trust"

SIGNED = {"gateway": "shard-*", "operator": "operator"}
"""Which streams each component's key may sign."""

_LABELS = {"app.kubernetes.io/name": "rynxs", "app.kubernetes.io/component": "install"}


class CannotInstall(Exception):
    """Something is missing or does not fit; the message names the object and says what to do."""


def install(config: Path, *, first: bool, say: Callable[[str], None]) -> None:
    """Make what is missing for that configuration, as the pod's service account. Raises CannotInstall."""
    try:
        asyncio.run(_install(Config.load(config), first=first, say=say))
    except (BadConfig, ConfigError, httpx2.HTTPError) as error:
        raise CannotInstall(str(error) or repr(error)) from error


async def _install(config: Config, *, first: bool, say: Callable[[str], None]) -> None:
    async with Client(manager="rynxs-install") as client:
        await Installer(client, config.namespace, datetime.now(UTC), say).run(first=first)


class Installer:
    """Makes what an installation needs in its system namespace. `say` is told each thing that was made."""

    def __init__(self, client: Client, namespace: str, now: datetime, say: Callable[[str], None]) -> None:
        self._client = client
        self._namespace = namespace
        self._now = now
        self._say = say

    async def run(self, *, first: bool) -> None:
        """Make what is missing; without `first` a missing trust file or anchor is an error.

        Raises CannotInstall, and httpx2.HTTPError.
        """
        trust = await self._client.get(CONFIG_MAPS, self._namespace, TRUST)
        if trust is None:
            await self._check_new(first)
        authority = await self._authority(established=trust is not None)
        await self._gateway_certificate(authority)
        signers = {component: await self._signer(component) for component in SIGNED}
        if trust is None:
            for stream in STREAMS:
                await self._make(CONFIG_MAPS, PREFIX + stream, self._anchor)
            trust = await self._make(CONFIG_MAPS, TRUST, lambda name: self._trust(name, authority, signers))
        await self._check_trust(trust, authority, signers)
        await self._check_anchors()

    async def _check_new(self, first: bool) -> None:
        if not first:
            raise CannotInstall(
                f"{self._where(CONFIG_MAPS, TRUST)} is missing: without it nobody can tell whose log this is. Restore "
                "it from a backup; if this installation never got ready, uninstall it and install it again"
            )
        for stream in STREAMS:
            found = await self._client.get(CONFIG_MAPS, self._namespace, PREFIX + stream)
            if found is not None and (found.get("data") or {}).get("note"):
                raise CannotInstall(
                    f"{self._where(CONFIG_MAPS, PREFIX + stream)} speaks of a log, but "
                    f"{self._where(CONFIG_MAPS, TRUST)} is missing: restore it from a backup, or delete the anchors "
                    "to begin a new log in another bucket or prefix"
                )

    async def _authority(self, *, established: bool) -> Authority:
        def make(name: str) -> Object:
            return self._secret(name, Authority.create("Rynxs", self._now).files(), "kubernetes.io/tls")

        found = await self._client.get(SECRETS, self._namespace, AUTHORITY)
        if found is None:
            if established:
                self._say(
                    "the authority is missing and is made anew: computers that run now have certificates of the old "
                    "one and can't be reached; delete their pods (label app.kubernetes.io/managed-by=rynxs)"
                )
            found = await self._make(SECRETS, AUTHORITY, make)
        try:
            return Authority.parse(_decoded(found), self._where(SECRETS, AUTHORITY))
        except ValueError as error:
            raise CannotInstall(f"{error}: restore it from a backup, or delete it to have a new one made") from error

    async def _gateway_certificate(self, authority: Authority) -> None:
        def make(name: str) -> Object:
            return self._secret(name, self._sign_gateway(authority), "kubernetes.io/tls")

        found = await self._make(SECRETS, GATEWAY_TLS, make)
        if self._fresh(_decoded(found), authority):
            return
        metadata = {"resourceVersion": found["metadata"]["resourceVersion"]}
        patch: Object = {"metadata": metadata, "data": _encoded(self._sign_gateway(authority))}
        await self._client.merge(SECRETS, self._namespace, GATEWAY_TLS, patch)
        self._say(f"{self._where(SECRETS, GATEWAY_TLS)} renewed")

    def _sign_gateway(self, authority: Authority) -> dict[str, bytes]:
        return authority.sign(GATEWAY, gateway_hosts(self._namespace), self._now, client=True)

    def _fresh(self, files: Mapping[str, bytes], authority: Authority) -> bool:
        """Whether more than half of the certificate's life is left, and it is of this authority."""
        if files.get("ca.crt") != authority.certificate or "tls.key" not in files:
            return False
        try:
            certificate = x509.load_pem_x509_certificate(files["tls.crt"])
        except (KeyError, ValueError):
            return False
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return self._now < begin + (end - begin) / 2

    async def _signer(self, component: str) -> Signer:
        def make(name: str) -> Object:
            return self._secret(name, {"signing.key": Signer.generate(f"{component}-{self._now.year}").private()})

        name = key_secret(component)
        found = await self._make(SECRETS, name, make)
        try:
            return Signer.parse(_decoded(found).get("signing.key", b""), self._where(SECRETS, name))
        except BadKey as error:
            raise CannotInstall(str(error)) from error

    def _trust(self, name: str, authority: Authority, signers: Mapping[str, Signer]) -> Object:
        trust = Trust(log=uuid7(), keys=[signer.trusted([SIGNED[component]]) for component, signer in signers.items()])
        data = {"trust.json": trust.encode().decode(), "ca.crt": authority.certificate.decode()}
        return self._object("ConfigMap", name) | {"data": data}

    def _anchor(self, name: str) -> Object:
        return self._object("ConfigMap", name) | {"data": {}}

    async def _check_trust(self, found: Object, authority: Authority, signers: Mapping[str, Signer]) -> None:
        where, data = self._where(CONFIG_MAPS, TRUST), found.get("data") or {}
        try:
            trust = Trust.parse(data.get("trust.json", "").encode(), where)
        except BadKey as error:
            raise CannotInstall(f"{error}: restore it from a backup") from error
        for component, signer in signers.items():
            if signer.trusted([SIGNED[component]]) not in trust.keys:
                raise CannotInstall(
                    f"{where} does not trust the key in {self._where(SECRETS, key_secret(component))} "
                    f"({signer.name}): restore the one that belongs to the other from a backup"
                )
        if data.get("ca.crt") != authority.certificate.decode():
            await self._client.merge(
                CONFIG_MAPS,
                self._namespace,
                TRUST,
                {
                    "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
                    "data": {"ca.crt": authority.certificate.decode()},
                },
            )
            self._say(f"{where}: ca.crt replaced")

    async def _check_anchors(self) -> None:
        """An anchor that somebody deleted must not come back empty: it would let the log be cut."""
        for stream in STREAMS:
            if await self._client.get(CONFIG_MAPS, self._namespace, PREFIX + stream) is None:
                raise CannotInstall(
                    f"{self._where(CONFIG_MAPS, PREFIX + stream)} is missing, and only a first installation makes it: "
                    "it says how far the log must reach. Restore it from a backup; if there is none, begin a new log: "
                    f"delete {self._where(CONFIG_MAPS, TRUST)} and the anchors, name another bucket or prefix, "
                    "and install again"
                )

    async def _make(self, resource: Resource, name: str, make: Callable[[str], Object]) -> Object:
        """The object of that name, created by us or, a moment before us, by somebody else."""
        found = await self._client.get(resource, self._namespace, name)
        if found is not None:
            return found
        try:
            created = await self._client.create(resource, self._namespace, make(name))
        except ApiError as error:
            if error.code != httpx2.codes.CONFLICT:
                raise
            found = await self._client.get(resource, self._namespace, name)
            if found is None:
                raise
            return found
        self._say(f"{self._where(resource, name)} made")
        return created

    def _secret(self, name: str, files: dict[str, bytes], type_: str = "Opaque") -> Object:
        return self._object("Secret", name) | {"type": type_, "data": _encoded(files)}

    def _object(self, kind: str, name: str) -> Object:
        metadata = {"name": name, "namespace": self._namespace, "labels": _LABELS}
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata}

    def _where(self, resource: Resource, name: str) -> str:
        return f"{resource.plural.removesuffix('s')} {self._namespace}/{name}"


def key_secret(component: str) -> str:
    """The name of the Secret with the signing key of `gateway` or `operator`, under `signing.key`."""
    return f"rynxs-{component}-key"


def _decoded(secret: Object) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}


def _encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in files.items()}
