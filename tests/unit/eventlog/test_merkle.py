import hashlib

import pytest

from rynxs.eventlog.merkle import EMPTY_ROOT, Frontier, leaf, node

# The test vectors of Certificate Transparency's reference implementation: leaves and roots of 0 to 8 of them.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def recursive_root(entries):
    """RFC 6962 section 2.1, word by word."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return leaf(entries[0])
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return node(recursive_root(entries[:split]), recursive_root(entries[split:]))


@pytest.mark.parametrize("size", range(9))
def test_known_roots(size):
    tree = Frontier()
    for entry in LEAVES[:size]:
        tree.append(entry)
    assert tree.root().hex() == ROOTS[size]


def test_equals_the_definition():
    entries = [str(number).encode() for number in range(130)]
    tree = Frontier()
    for size, entry in enumerate(entries):
        assert tree.root() == recursive_root(entries[:size])
        assert len(tree.hashes) == size.bit_count()
        tree.append(entry)


def test_empty():
    assert Frontier().root() == EMPTY_ROOT == hashlib.sha256(b"").digest()
