import pytest

from rynxs.eventlog import BadKey, Signer, Trust
from rynxs.eventlog.key import fits


def test_what_is_saved_is_loaded(tmp_path):
    signer = Signer.generate("gateway-2026")
    path = tmp_path / "key"
    signer.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    loaded = Signer.load(path)
    assert (loaded.name, loaded.public) == (signer.name, signer.public)
    assert fits(signer.public, b"data", loaded.sign(b"data"))
    assert not fits(signer.public, b"data.", loaded.sign(b"data"))
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_a_key_is_never_overwritten(tmp_path):
    Signer.generate("a").save(tmp_path / "key")
    before = (tmp_path / "key").read_bytes()
    with pytest.raises(FileExistsError):
        Signer.generate("b").save(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_refuses_a_key_that_others_may_use(tmp_path, mode):
    path = tmp_path / "key"
    Signer.generate("a").save(path)
    path.chmod(mode)
    with pytest.raises(BadKey, match="chmod 600"):
        Signer.load(path)


@pytest.mark.parametrize("position", [0, 12, 14, 23, 30, -3])
def test_refuses_a_damaged_key(tmp_path, position):
    path = tmp_path / "key"
    Signer.generate("a").save(path)
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadKey, match="not a private key"):
        Signer.load(path)


@pytest.mark.parametrize("content", [b"", b"\n", b"PRIVATE+KEY+a+00000000+AQ==\n", b"\xff+\xff+\xff+\xff+\xff"])
def test_refuses_what_is_no_key(tmp_path, content):
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(BadKey):
        Signer.load(path)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\n", "-a", "é"])
def test_refuses_names_that_a_note_can_not_carry(name):
    with pytest.raises(ValueError, match="key's name"):
        Signer.generate(name)


def test_trust_is_saved_and_loaded(tmp_path):
    trust = Trust(log="prod", keys=[Signer.generate("a").trusted(["shard-*", "operator"])])
    trust.save(tmp_path / "trust.json")
    assert Trust.load(tmp_path / "trust.json") == trust


def test_trust_is_by_name_and_stream():
    a, b = Signer.generate("a"), Signer.generate("b")
    trust = Trust(log="prod", keys=[a.trusted(["shard-*"]), b.trusted(["operator"])])
    assert trust.key("a", "shard-3").public == a.public
    assert trust.key("b", "shard-3") is None
    assert trust.key("c", "shard-3") is None
    assert [key.name for key in trust.keys_of("operator")] == ["b"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"log":"a","keys":[],"format":2}',
        b'{"log":"a","keys":[],"more":1}',
        b'{"log":"a","keys":[{"name":"k","public":"AAAA","streams":["*"]}]}',
        b"\xff",
    ],
)
def test_refuses_a_bad_trust_file(tmp_path, content):
    path = tmp_path / "trust.json"
    path.write_bytes(content)
    with pytest.raises(BadKey, match="not a trust file"):
        Trust.load(path)


def test_two_keys_of_one_name_are_refused():
    with pytest.raises(ValueError, match="one name"):
        Trust(log="a", keys=[Signer.generate("k").trusted(["*"]), Signer.generate("k").trusted(["*"])])
