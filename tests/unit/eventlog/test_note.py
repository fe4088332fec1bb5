import base64

import pytest

from rynxs.eventlog import BadNote, Signer
from rynxs.eventlog.key import TrustedKey, vkey
from rynxs.eventlog.note import open_note, sign, text_of

# The example of Go's golang.org/x/mod/sumdb/note, which the C2SP signed-note specification describes.
SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = (
    TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()


@pytest.fixture
def peter(tmp_path):
    path = tmp_path / "key"
    path.write_text(SKEY + "\n")
    path.chmod(0o600)
    return Signer.load(path)


def trusted(signer):
    return signer.trusted(["*"])


def test_signs_the_known_note(peter):
    assert vkey(peter.name, peter.public) == VKEY
    assert sign(TEXT, peter) == NOTE
    assert open_note(NOTE, [trusted(peter)]) == TEXT == text_of(NOTE)


def test_every_flipped_bit_of_text_and_signature_is_refused(peter):
    for index in range(len(NOTE)):
        changed = bytearray(NOTE)
        changed[index] ^= 1
        with pytest.raises(BadNote):
            open_note(bytes(changed), [trusted(peter)])


def test_ignores_signatures_of_others(peter):
    other = Signer.generate("other")
    both = NOTE + sign(TEXT, other).removeprefix(TEXT.encode() + b"\n")
    assert open_note(both, [trusted(peter)]) == TEXT
    assert open_note(both, [trusted(other)]) == TEXT
    with pytest.raises(BadNote, match="no trusted key"):
        open_note(NOTE, [trusted(other)])


def test_the_same_name_with_another_key_is_another_signer(peter):
    with pytest.raises(BadNote, match="no trusted key"):
        open_note(NOTE, [trusted(Signer.generate(peter.name))])


def test_a_bad_signature_of_a_known_key_is_not_outvoted(peter):
    other = Signer.generate("other")
    blob = base64.b64encode(peter.id + bytes(64)).decode()
    forged = sign(TEXT, other) + f"— {peter.name} {blob}\n".encode()
    with pytest.raises(BadNote, match="does not fit"):
        open_note(forged, [trusted(other), trusted(peter)])


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\nno dash\n",
        b"te\x01xt\n\n\xe2\x80\x94 n AAAAAAA=\n",
        b"\xff\n\n\xe2\x80\x94 n AAAAAAA=\n",
        b"text\n\n\xe2\x80\x94 n AAAAAAA=",
        b"text\n\n\xe2\x80\x94 n A\n",
        b"text\n\n\xe2\x80\x94  AAAAAAA=\n",
        b"text\n\n" + b"\xe2\x80\x94 n AAAAAAA=\n" * 101,
    ],
)
def test_malformed(bad):
    with pytest.raises(BadNote, match="not a signed note"):
        text_of(bad)


def test_a_trusted_key_has_32_bytes():
    with pytest.raises(ValueError, match="32"):
        TrustedKey(name="a", public=b"short", streams=["*"])
