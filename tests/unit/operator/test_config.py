"""The configuration file: what is read, and how mistakes are said."""

from __future__ import annotations

import pytest

from rynxs.operator.config import BadConfig, Config

GOOD = """
namespace: rynxs-system
log: {url: s3://audit/prod, endpoint: "http://store.sys.svc:7070", region: eu-west-1, credentials: keys}
computers: {image: r/computer:1, daemonImage: r/daemon:1, port: 7444, imagePullPolicy: Always, runtimeClassName: gvisor}
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return Config.load(path)

    return load


def test_all_of_it(load) -> None:
    config = load(GOOD)
    assert config.namespace == "rynxs-system"
    assert (config.log.url, config.log.endpoint) == ("s3://audit/prod", "http://store.sys.svc:7070")
    assert (config.log.region, config.log.credentials) == ("eu-west-1", "keys")
    assert (config.computers.image, config.computers.daemon_image) == ("r/computer:1", "r/daemon:1")
    assert (config.computers.port, config.computers.image_pull_policy) == (7444, "Always")
    assert config.computers.runtime_class_name == "gvisor"


def test_what_may_be_left_out(load) -> None:
    config = load(
        "namespace: sys\nlog: {url: s3://b, credentials: k}\n"
        "computers: {image: a, daemonImage: b, runtimeClassName: null}\n"
    )
    assert (config.log.endpoint, config.log.region) == (None, "us-east-1")
    assert (config.computers.port, config.computers.image_pull_policy) == (7443, "IfNotPresent")
    assert config.computers.runtime_class_name is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("namespace: rynxs-system\n", "", "config.yaml, namespace: is required"),
        ("s3://audit/prod", "file:///x", "log.url: 'file:///x' is not valid: write s3://bucket/prefix"),
        ("http://store", "store", "log.endpoint: 'store.sys.svc:7070' is not valid: write http"),
        ("credentials", "credential", "log.credential: unknown field (did you mean 'credentials'?)"),
        ("7444", "80", "computers.port: 80 is not a port from 1024 to 65535"),
        ("7444", '"7444"', "computers.port: expected a number, got '7444'"),
        ("Always", "Sometimes", "computers.imagePullPolicy: 'Sometimes' is not supported"),
        ("image: r/computer:1", 'image: ""', "computers.image: must not be empty"),
        ("namespace: rynxs-system", "namespace: A", "namespace: 'A' is not valid"),
        ("log:", "log: {}\nlog:", "key 'log' is there twice"),
    ],
)
def test_mistakes_name_file_and_field(load, old, new, said) -> None:
    assert old in GOOD
    with pytest.raises(BadConfig) as caught:
        load(GOOD.replace(old, new))
    assert "config.yaml" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(("text", "said"), [("", "found 0"), ("a: 1\n---\na: 1\n", "found 2"), ("- 1\n", "expected")])
def test_what_is_no_configuration(load, text, said) -> None:
    with pytest.raises(BadConfig, match=said):
        load(text)


def test_a_file_that_is_not_there(tmp_path) -> None:
    with pytest.raises(BadConfig, match="nothing: No such file"):
        Config.load(tmp_path / "nothing")
