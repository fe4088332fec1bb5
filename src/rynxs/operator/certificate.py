"""Certificates: the installation's own authority, and what it signs for gateways and computers (RFC 5280)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rynxs.computer.protocol import GATEWAY

AUTHORITY_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=365)
_EARLIER = timedelta(minutes=10)
"""Certificates begin this long before now, for clocks that are behind."""


class Authority:
    """A certificate authority: its certificate and key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls, name: str, now: datetime) -> Authority:
        """A new authority, valid for AUTHORITY_LIFE."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = (
            _builder(subject, subject, key.public_key(), now, AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """Read `tls.crt` and `tls.key`. Raises OSError, ValueError."""
        return cls.parse({name: (folder / name).read_bytes() for name in ("tls.crt", "tls.key")}, str(folder))

    @classmethod
    def parse(cls, files: dict[str, bytes], where: str) -> Authority:
        """Make it of `files`; `where` says in errors where they came from. Raises ValueError."""
        try:
            certificate = x509.load_pem_x509_certificate(files["tls.crt"])
            key = serialization.load_pem_private_key(files["tls.key"], password=None)
        except (KeyError, ValueError, TypeError) as error:
            raise ValueError(f"{where}: tls.crt and tls.key can't be read: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{where}: tls.key is not a key of an elliptic curve")
        if key.public_key() != certificate.public_key():
            raise ValueError(f"{where}: tls.key is not the key of tls.crt")
        return cls(certificate, key)

    @property
    def certificate(self) -> bytes:
        """Its certificate (PEM)."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def files(self) -> dict[str, bytes]:
        """`tls.crt` and `tls.key`, as `load` reads them."""
        return {"tls.crt": self.certificate, "tls.key": _pem(self._key)}

    def sign(self, name: str, hosts: Sequence[str], now: datetime, *, client: bool = False) -> dict[str, bytes]:
        """A new key and its certificate for these host names, as `tls.crt`, `tls.key` and `ca.crt`.

        Without `client` it is of no use to whoever would connect to a computer with it.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if client else [])]
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        certificate = (
            _builder(self._certificate.subject, _name(name), key.public_key(), now, LEAF_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return {
            "tls.crt": certificate.public_bytes(serialization.Encoding.PEM),
            "tls.key": _pem(key),
            "ca.crt": self.certificate,
        }


def gateway_hosts(namespace: str) -> list[str]:
    """The names that gateways answer to: those of their Service in the system namespace, and a port-forward's."""
    service = f"{GATEWAY}.{namespace}"
    return ["localhost", GATEWAY, service, f"{service}.svc", f"{service}.svc.cluster.local"]


def computer_host(namespace: str, computer: str) -> str:
    """The host name in a computer's certificate; no DNS knows it."""
    return f"{computer}.{namespace}.computer.rynxs.internal"


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _builder(
    issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + life)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
