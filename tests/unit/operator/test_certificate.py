"""The installation's own authority, tried in real handshakes."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from rynxs.operator.certificate import LEAF_LIFE, Authority, computer_host

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def authority():
    return Authority.create("Rynxs", NOW)


def write(folder, files):
    for name, data in files.items():
        (folder / name).write_bytes(data)


def context(folder, purpose):
    made = ssl.SSLContext(purpose)
    made.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    made.load_verify_locations(folder / "ca.crt")
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def shake(server, client, host):
    """A handshake in memory. Raises ssl.SSLError for either side."""
    one, two = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(one, two, server_side=True)
    theirs = client.wrap_bio(two, one, server_hostname=host)
    waiting = [theirs, ours]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass
    assert not waiting
    with pytest.raises(ssl.SSLWantReadError):
        ours.read()  # what the client's certificate lacks shows here in TLS 1.3
    return theirs


@pytest.fixture
def parties(authority, tmp_path):
    """The server of computer dev-1, the gateway that connects to it, and another computer."""
    made = {}
    host = computer_host("team-a", "dev-1")
    for name, hosts, client in (("dev-1", [host], False), ("gateway", ["g"], True), ("other", ["o"], False)):
        folder = tmp_path / name
        folder.mkdir()
        write(folder, authority.sign(name, hosts, NOW, client=client))
        purpose = ssl.PROTOCOL_TLS_SERVER if name == "dev-1" else ssl.PROTOCOL_TLS_CLIENT
        made[name] = context(folder, purpose)
    return made


def test_a_gateway_reaches_a_computer(parties) -> None:
    assert shake(parties["dev-1"], parties["gateway"], computer_host("team-a", "dev-1"))


def test_not_another_one(parties) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(parties["dev-1"], parties["gateway"], computer_host("team-a", "dev-2"))


def test_a_computer_can_not_pose_as_a_gateway(parties) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)unsuitable certificate purpose|verify failed"):
        shake(parties["dev-1"], parties["other"], computer_host("team-a", "dev-1"))


def test_how_long_they_are_good_for(authority) -> None:
    certificate = x509.load_pem_x509_certificate(authority.sign("x", ["h"], NOW)["tls.crt"])
    assert certificate.not_valid_before_utc < NOW - timedelta(minutes=9)
    assert certificate.not_valid_after_utc - NOW < LEAF_LIFE + timedelta(seconds=1)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


def test_it_is_saved_and_loaded(authority, tmp_path) -> None:
    write(tmp_path, authority.files())
    loaded = Authority.load(tmp_path)
    assert loaded.certificate == authority.certificate
    leaf = x509.load_pem_x509_certificate(loaded.sign("x", ["h"], NOW)["tls.crt"])
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))


@pytest.mark.parametrize("change", [{"tls.key": b"x"}, {"tls.crt": b""}, {"tls.key": None}])
def test_what_is_no_authority(authority, change) -> None:
    files = {**authority.files(), **change}
    with pytest.raises(ValueError, match="secret sys/ca"):
        Authority.parse({name: data for name, data in files.items() if data is not None}, "secret sys/ca")


def test_a_key_of_another_authority(authority) -> None:
    other = Authority.create("Other", NOW).files()
    with pytest.raises(ValueError, match=r"tls\.key is not the key of tls\.crt"):
        Authority.parse({**authority.files(), "tls.key": other["tls.key"]}, "x")
