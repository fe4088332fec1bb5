"""Images, read from archives as docker and buildah write them, and from what nobody should trust."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest
from imagearchive import DEBIAN, Layout, archive, config, docker, layer

from rynxs.computer import image
from rynxs.computer.image import Unreadable, read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "image.tar"


def test_a_saved_image(path):
    settings = config("arm64", Env=["PATH=/bin:/usr/bin", "EMPTY=", "A=b=c"], Volumes={"/data": {}, "/a": {}})
    found = read(docker(path, layer(DEBIAN), layer("usr/bin/.wh.sh opt/x"), settings=settings))
    assert found.platform == "linux/arm64"
    assert found.environment == {"PATH": "/bin:/usr/bin", "EMPTY": "", "A": "b=c"}
    assert found.volumes == ["/a", "/data"]
    assert found.files.find("/bin/sh").kind == "missing"
    assert found.files.find("/opt/x").kind == "file"


@pytest.mark.parametrize("settings", [b"", b', "config": null', b', "config": {"Env": null, "Volumes": null}'])
def test_an_image_without_settings(path, settings):
    found = read(docker(path, settings=b'{"os": "linux", "architecture": "amd64"' + settings + b"}"))
    assert (found.platform, found.environment, found.volumes) == ("linux/amd64", {}, [])


def test_a_layout(path):
    layout = Layout()
    index = layout.index(layout.manifest(layer(DEBIAN), layer("usr/bin/git")))
    found = read(archive(path, layout.parts | {"index.json": index}))
    assert found.platform == "linux/amd64"
    assert found.files.find("/bin/git").path == "/usr/bin/git"


def test_a_layout_for_several_platforms(path):
    layout = Layout()
    ours = layout.manifest(layer("ours"), platform={"os": "linux", "architecture": "amd64"})
    other = layout.manifest(layer("other"), settings=config("arm64"), platform={"os": "linux", "architecture": "arm64"})
    index = layout.index(layout.blob(layout.index(other, ours)))
    found = read(archive(path, layout.parts | {"index.json": index}))
    assert (found.platform, found.files.find("/ours").kind) == ("linux/amd64", "file")


def test_a_layout_for_another_platform_only(path):
    layout = Layout()
    other = layout.manifest(settings=config("arm64"), platform={"os": "linux", "architecture": "arm64"})
    assert read(archive(path, layout.parts | {"index.json": layout.index(other)})).platform == "linux/arm64"


def test_a_layer_that_comes_twice_is_saved_as_a_link(path):
    saved = docker(path, layer("a"), b"")
    with tarfile.open(saved) as tar:
        parts = {part.name: tar.extractfile(part).read() for part in tar}
    del parts["1/layer.tar"]
    archive(path, parts)
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("1/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../0/layer.tar"
        tar.addfile(link)
    assert read(path).files.find("/a").kind == "file"


def test_a_folder(tmp_path):
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "usr" / "bin" / "sh").symlink_to("/usr/bin/dash")
    program = b"\x7fELF" + bytes(14) + (62).to_bytes(2, "little")
    (tmp_path / "usr" / "bin" / "dash").write_bytes(program)
    found = read(tmp_path)
    assert found.platform == "linux/amd64"
    assert found.files.find("/bin/sh").path == "/usr/bin/dash"
    (tmp_path / "usr" / "bin" / "dash").write_bytes(program[:18] + b"\xff\xff")
    assert read(tmp_path).platform == "unknown"
    (tmp_path / "usr" / "bin" / "dash").write_bytes(b"#!")
    assert read(tmp_path).platform == ""


def bad_layers() -> dict[str, tuple[bytes, str]]:
    return {
        "zstd": (b"\x28\xb5\x2f\xfd" + bytes(100), "zstd"),
        "no tar": (b"x" * 2000, "no tar archive"),
        "cut short": (layer("a b c")[:700], "too early"),
        "cut gzip": (gzip.compress(layer("a b c" * 100))[:60], "ended|too early|end-of-stream"),
        "damaged gzip": (b"\x1f\x8b" + b"x" * 600, "compression|gzip"),
        "a way out": (layer("../../etc/passwd"), "outside"),
    }


@pytest.mark.parametrize("name", bad_layers())
def test_layers_that_cant_be_read(path, name):
    content, message = bad_layers()[name]
    with pytest.raises(Unreadable, match=message) as caught:
        read(docker(path, content))
    assert str(path) in str(caught.value)


def test_a_bomb_is_given_up(path, monkeypatch):
    monkeypatch.setattr(image, "MAX_UNPACKED", 1 << 20)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo("zeros")
        entry.size = 2 << 20
        tar.addfile(entry, io.BytesIO(bytes(entry.size)))
    with pytest.raises(Unreadable, match="more than 1048576 bytes"):
        read(docker(path, gzip.compress(out.getvalue())))


def saved(*, config="config.json", layers=(), count=1, extra=None):
    manifest = [{"Config": config, "RepoTags": [], "Layers": list(layers)}] * count
    return {"manifest.json": json.dumps(manifest).encode()} | (extra or {})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"a": b""}, "neither manifest.json nor index.json"),
        ({"manifest.json": b"{"}, "manifest.json can't be read"),
        ({"manifest.json": b"[" * 100_000}, "manifest.json can't be read"),
        (saved(count=2), "2 images"),
        (saved(count=0), "0 images"),
        (saved(), "config.json is missing"),
        (saved(config="../config.json"), "missing"),
        (saved(layers=["x"] * 600, extra={"config.json": config()}), "more than 512 layers"),
        (saved(layers=["x"], extra={"config.json": config()}), "x is missing"),
        ({"index.json": b'{"manifests": []}'}, "0 images"),
        ({"index.json": b'{"manifests": [{"digest": "sha256:../../x"}]}'}, "is no digest"),
        ({"index.json": b'{"manifests": [{"digest": "sha256:00"}]}'}, "sha256/00 is missing"),
        ({"index.json": b'{"layers": []}'}, "no config"),
    ],
)
def test_archives_that_are_no_image(path, parts, message):
    with pytest.raises(Unreadable, match=message):
        read(archive(path, parts))


def test_an_index_that_never_ends(path):
    name = "blobs/sha256/00"
    index = b'{"manifests": [{"digest": "sha256:00"}]}'
    with pytest.raises(Unreadable, match="no config"):
        read(archive(path, {"index.json": index, name: index}))


def test_several_images_and_none_is_ours(path):
    layout = Layout()
    others = [layout.manifest(platform={"os": "linux", "architecture": each}) for each in ("arm64", "s390x")]
    with pytest.raises(Unreadable, match="2 images, 0 of them"):
        read(archive(path, layout.parts | {"index.json": layout.index(*others)}))


def test_json_is_bounded(path, monkeypatch):
    monkeypatch.setattr(image, "MAX_JSON", 10)
    with pytest.raises(Unreadable, match="more than 10"):
        read(docker(path))


def test_parts_are_bounded(path, monkeypatch):
    monkeypatch.setattr(image, "MAX_PARTS", 3)
    with pytest.raises(Unreadable, match="more than 3 files"):
        read(docker(path, b"", b"", b""))


def test_a_compressed_archive(path):
    path.write_bytes(gzip.compress(layer("a")))
    with pytest.raises(Unreadable, match="gunzip"):
        read(path)


def test_no_archive(path):
    path.write_bytes(b"x" * 1000)
    with pytest.raises(Unreadable, match="no tar archive"):
        read(path)
    with pytest.raises(OSError, match="No such file"):
        read(path.parent / "nothing")
