"""What keeps an image from being a computer, and what only makes it a poorer one."""

import pytest
from imagearchive import layer

from rynxs.computer.check import FOLDERS, check, fits
from rynxs.computer.filetree import FileTree
from rynxs.computer.image import Image
from rynxs.computer.pod import BUNDLE, SECRETS
from rynxs.computer.tar import members
from rynxs.operator import resources

COMPLETE = (
    "usr/bin/sh usr/bin/git usr/bin/python3 usr/bin/chromium bin>usr/bin etc/passwd etc/group tmp/ "
    "etc/ssl/certs/ca-certificates.crt"
)


def image(words: str, platform: str = "linux/amd64", environment=None, volumes=()) -> Image:
    import io

    files = FileTree()
    files.apply(members(io.BytesIO(layer(words)), 1 << 30))
    return Image(platform, environment or {}, list(volumes), files)


def found(image: Image) -> dict[str, tuple[str, str]]:
    return {finding.about: (finding.state, finding.message) for finding in check(image)}


def test_a_complete_image():
    findings = check(image(COMPLETE))
    assert {finding.state for finding in findings} == {"ok"}
    assert fits(findings)


def test_an_empty_image_fits_but_lacks_all():
    findings = check(image(""))
    assert fits(findings)
    missing = [finding.about for finding in findings if finding.state == "missing"]
    assert missing == ["shell", "git", "Python", "browser", "certificates"]


@pytest.mark.parametrize("platform", ["linux/arm64", "windows/amd64", "unknown"])
def test_another_platform_does_not_fit(platform):
    findings = check(image(COMPLETE, platform))
    assert not fits(findings)
    assert findings[0].message == f"is {platform}; computers are linux/amd64"


def test_a_folder_that_says_no_platform():
    assert found(image(COMPLETE, ""))["platform"][0] == "note"


@pytest.mark.parametrize(
    ("words", "about", "message"),
    [
        ("opt", "/opt/rynxs", "/opt is a file"),
        ("opt/rynxs", "/opt/rynxs", "/opt/rynxs is a file"),
        ("data opt>data", "/opt/rynxs", "/data is a file"),
        ("opt>opt", "/opt/rynxs", "link without end"),
        ("workspace", "/workspace", "/workspace is a file"),
        ("etc/passwd/", "/etc/passwd", "/etc/passwd is a folder"),
        ("etc", "/etc/group", "/etc is a file"),
    ],
)
def test_places_that_are_taken(words, about, message):
    made = image(words)
    assert found(made)[about][0] == "wrong"
    assert message in found(made)[about][1]
    assert not fits(check(made))


def test_links_to_places_are_followed():
    made = image("var/run/ run>var/run opt>usr/local/opt tmp>/var/tmp")
    assert fits(check(made))


@pytest.mark.parametrize(("words", "said"), [("workspace/a", "1 entry"), ("workspace/a workspace/b", "2 entries")])
def test_what_is_hidden_is_told(words, said):
    state, message = found(image(words))["/workspace"]
    assert (state, message.startswith(f"has {said}")) == ("note", True)


def test_programs_are_searched_in_the_images_path():
    there = image("srv/tools/python opt/busybox bin/sh>/opt/busybox", environment={"PATH": "/nowhere:/srv/tools"})
    assert found(there)["Python"] == ("ok", "/srv/tools/python")
    assert found(there)["shell"][0] == "missing"
    assert found(image("opt/busybox bin/sh>/opt/busybox"))["shell"] == ("ok", "/bin/sh")


def test_a_folder_is_no_program():
    assert found(image("usr/bin/git/"))["git"][0] == "missing"


def test_settings_that_reach_the_daemon():
    assert found(image("", environment={"LD_PRELOAD": "/lib/x.so"}))["LD_PRELOAD"][0] == "note"
    assert "LD_PRELOAD" not in found(image("", environment={"LD_PRELOAD": ""}))
    notes = found(image("", volumes=["/data", "/tmp", "/workspace/a/", "/workspaces"]))
    assert notes["/data"][0] == notes["/workspaces"][0] == "note"
    assert "/workspace/a/" not in notes


def test_the_places_are_those_of_the_pod():
    assert str(BUNDLE) in FOLDERS
    assert str(SECRETS) in FOLDERS
    assert resources.BUNDLE is BUNDLE
