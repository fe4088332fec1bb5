"""The files of an image: layers over layers, and links."""

import pytest

from rynxs.computer import filetree
from rynxs.computer.filetree import FileTree
from rynxs.computer.tar import BadTar, Member


def member(name: str) -> Member:
    """`name/` is a folder, `name>target` a link, `name=target` a hard link; others are files."""
    if ">" in name:
        name, _, target = name.partition(">")
        return Member(name, "link", target, 0, 0)
    if "=" in name:
        name, _, target = name.partition("=")
        return Member(name, "hardlink", target, 0, 0)
    return Member(name, "folder" if name.endswith("/") else "file", "", 0, 0)


def tree(*layers: str) -> FileTree:
    made = FileTree()
    for layer in layers:
        made.apply(member(name) for name in layer.split())
    return made


def found(files: FileTree, path: str) -> tuple[str, str]:
    kind, at, _ = files.find(path)
    return kind, at


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("/", ("folder", "/")),
        ("/usr/bin/sh", ("file", "/usr/bin/sh")),
        ("usr//bin/./sh", ("file", "/usr/bin/sh")),
        ("/bin/sh", ("file", "/usr/bin/sh")),
        ("/bin", ("folder", "/usr/bin")),
        ("/bin/../lib", ("folder", "/usr/lib")),
        ("/../../usr", ("folder", "/usr")),
        ("/lib64/ld.so", ("file", "/usr/lib/ld.so")),
        ("/usr/bin/vi", ("missing", "/usr/bin/vi")),
        ("/opt/a/b", ("missing", "/opt/a/b")),
        ("/dangling/x", ("missing", "/data/y/x")),
        ("/usr/bin/sh/x", ("blocked", "/usr/bin/sh")),
        ("/loop/x", ("blocked", "/loop")),
        ("/hard", ("file", "/hard")),
    ],
)
def test_find(path, result):
    files = tree(
        "usr/ usr/bin/ ./usr/bin/sh bin>usr/bin usr/lib/ld.so lib>/usr/lib lib64>../../lib "
        "dangling>data/y loop>pool pool>loop hard=usr/bin/sh"
    )
    assert found(files, path) == result


def test_upper_layers_take_away_and_replace():
    files = tree(
        "a/ a/one a/two b/ b/one c d>a e/ e/x",
        "a/.wh.one b/.wh..wh..opq b/new c/ c/x d/three e",
    )
    assert sorted(files.find("/a").folder) == ["three", "two"], "through a link into a folder of a lower layer"
    assert sorted(files.find("/b").folder) == ["new"]
    assert found(files, "/c/x") == ("file", "/c/x")
    assert found(files, "/e") == ("file", "/e")


def test_a_layer_takes_nothing_of_its_own_away():
    files = tree("a/old", "a/new .wh.a a/.wh..wh..opq")
    assert sorted(files.find("/a").folder) == ["new"]


def test_taking_away_what_is_not_there():
    assert found(tree("a", ".wh.b x/y/.wh.c x/.wh..wh..opq a/.wh.d"), "/a") == ("file", "/a")


def test_a_folder_said_again_keeps_what_it_has():
    assert found(tree("a/b", "a/"), "/a/b") == ("file", "/a/b")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "a/.."])
def test_a_way_out_is_refused(name):
    with pytest.raises(BadTar, match="outside"):
        tree(name)


def test_a_link_out_leads_nowhere_else():
    assert found(tree("etc>../../../../etc etc2>/../etc3 etc3/passwd"), "/etc2/passwd") == ("file", "/etc3/passwd")


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(filetree, "MAX_FILES", 3)
    with pytest.raises(BadTar, match="more than 3 files"):
        tree("a b", "c d")
    monkeypatch.setattr(filetree, "MAX_NAMES", 10)
    with pytest.raises(BadTar, match="too long"):
        tree("a>123456789x")


def test_a_link_in_place_of_a_folder_that_leads_nowhere_becomes_one():
    assert found(tree("a>nowhere a/b"), "/a/b") == ("file", "/a/b")
