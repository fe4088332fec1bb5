import pytest

from rynxs.eventlog import Signer, Trust
from rynxs.eventlog.batch import Header, InvalidObject, check_signature, encode, object_name, parse

SIGNER = Signer.generate("k")
TRUST = Trust(log="test", keys=[SIGNER.trusted(["shard-*"])])
LINES = [b'{"seq":0}', b'{"seq":1}']


def header(**changes):
    fields = {
        "format": 1,
        "log": "test",
        "stream": "shard-0",
        "first": 0,
        "count": 2,
        "epoch": 1,
        "incarnation": 1,
        "writer": "w",
        "put": "p",
        "prev": "",
        "time": "2026-11-23T12:00:00.000Z",
    }
    return Header(**(fields | changes))


def opened(data):
    batch = parse(data)
    check_signature(batch.sealed, "shard-0", TRUST)
    return batch


def test_what_is_encoded_is_parsed():
    batch = opened(encode(header(), LINES, SIGNER))
    assert (batch.header, batch.lines) == (header(), LINES)


def test_every_flipped_bit_is_found():
    data = encode(header(), LINES, SIGNER)
    for index in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[index] ^= 1 << bit
            with pytest.raises(InvalidObject):
                opened(bytes(changed))


def test_every_cut_and_every_added_byte_is_found():
    data = encode(header(), LINES, SIGNER)
    for end in range(len(data)):
        with pytest.raises(InvalidObject):
            opened(data[:end])
        with pytest.raises(InvalidObject):
            opened(data[:end] + b" " + data[end:])
    with pytest.raises(InvalidObject):
        opened(data + b"\n")


def test_another_spelling_of_the_signature_line_is_found():
    signed, line = encode(header(), LINES, SIGNER).rsplit(b"\n", 2)[0:2]
    for other in (
        line.replace(b":", b": ", 1),
        line.replace(b'"k"', b'"\\u006b"'),
        line[:-1] + b',"more":1}',
    ):
        with pytest.raises(InvalidObject):
            opened(signed + b"\n" + other + b"\n")


def test_a_cut_object_is_called_so():
    data = encode(header(), LINES, SIGNER)
    with pytest.raises(InvalidObject, match="cut short"):
        parse(data[:-1])


def test_the_count_is_true():
    with pytest.raises(InvalidObject, match="says 3 events, it has 2"):
        parse(encode(header(count=3), LINES, SIGNER))
    with pytest.raises(InvalidObject, match="says 0 events"):
        parse(encode(header(count=0), [], SIGNER))


def test_an_unknown_format_is_refused():
    data = encode(header(), LINES, SIGNER).replace(b'"format":1', b'"format":2')
    with pytest.raises(InvalidObject, match="header can't be read"):
        parse(data)


def test_only_a_trusted_key_may_sign():
    data = encode(header(), LINES, SIGNER)
    with pytest.raises(InvalidObject, match="may not sign stream operator"):
        check_signature(parse(data).sealed, "operator", TRUST)
    forged = encode(header(), LINES, Signer.generate("k"))
    with pytest.raises(InvalidObject, match="does not fit"):
        opened(forged)


def test_object_names():
    assert object_name(412) == "0000000412"
    assert object_name(9_999_999_999) == "9999999999"
    for bad in (-1, 10_000_000_000):
        with pytest.raises(ValueError, match="ten digits"):
            object_name(bad)
