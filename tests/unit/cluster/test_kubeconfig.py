"""Kubeconfigs: the context, and as whom; what can't be used is said in a line."""

from __future__ import annotations

import base64
import json
import ssl
from datetime import UTC, datetime

import pytest
import yaml

from rynxs.cluster.kubeconfig import Unusable, load, tls, token_of
from rynxs.operator.certificate import Authority


def written(path, user=None, **changes):
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "clusters": [{"name": "c", "cluster": {"server": "https://c:6443"} | changes.pop("cluster", {})}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "n"}},
            {"name": "two", "context": {"cluster": "c", "user": "other"}},
        ],
        "users": [{"name": "u", "user": user or {"token": "t"}}, {"name": "other", "user": {"token": "o"}}],
    } | changes
    path.write_text(yaml.safe_dump(config))
    return str(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config"


@pytest.fixture
def plugin(tmp_path, path):
    """A function that makes a kubeconfig with an exec plugin of that script."""

    def make(script, **more):
        (tmp_path / "plugin").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "plugin").chmod(0o755)
        plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", **more}
        return written(path, {"exec": plugin})

    return make


def test_the_current_context_and_another_one(path) -> None:
    file = written(path)
    config = load(file)
    assert (config.context_name, config.cluster.server, config.namespace) == ("one", "https://c:6443", "n")
    assert token_of(config) == "t"
    assert token_of(load(file, "two")) == "o"


def test_which_file_counts(path, tmp_path, monkeypatch) -> None:
    other = tmp_path / "other"
    written(path)
    written(other, {"token": "other"})
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert token_of(load()) == "t"
    assert token_of(load(str(other))) == "other"
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'none'}:{other}:{path}")
    assert token_of(load()) == "other"
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".kube").mkdir()
    written(tmp_path / ".kube" / "config", {"token": "home"})
    assert token_of(load()) == "home"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "can't be read: No such file or directory"),
        (b"a: [", "is not YAML"),
        (b"\xff", "is not YAML"),
        (b"", "does not hold what a kubeconfig should"),
        (b"[]", "does not hold what a kubeconfig should"),
        (b"{}", "does not hold what a kubeconfig should (KeyError('clusters'))"),
        (b"{clusters: [], contexts: []}", "No current context"),
        (b"{clusters: [], contexts: [], current-context: x}", "Context 'x' not found"),
        (b"{clusters: [], contexts: [{name: x, context: {cluster: y}}], current-context: x}", "KeyError('y')"),
        (b"{clusters: [{name: c, cluster: 1}], contexts: []}", "Expected `object`"),
        (b"{clusters: [1], contexts: []}", "does not hold what a kubeconfig should"),
    ],
)
def test_what_is_no_kubeconfig(path, content, reason) -> None:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Unusable) as unusable:
        load(str(path))
    assert str(unusable.value).startswith(f"kubeconfig {path}")
    assert reason in str(unusable.value)
    assert len(str(unusable.value).splitlines()) == 1


def test_a_context_that_is_not_there(path) -> None:
    file = written(path)
    with pytest.raises(Unusable, match=f"kubeconfig {path} has no context 'three'; it has one, two"):
        load(file, "three")
    with pytest.raises(Unusable, match="has no context ''"):
        load(file, "")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"user": {"token": "t", "as": "admin"}}, "as"),
        ({"user": {"token": "t", "as-groups": ["g"]}}, "as-groups"),
        ({"user": {"auth-provider": {"name": "gcp"}}}, "auth-provider"),
        ({"cluster": {"proxy-url": "http://proxy"}}, "proxy-url"),
        ({"cluster": {"tls-server-name": "x"}}, "tls-server-name"),
    ],
)
def test_what_would_make_us_somebody_else_is_refused(path, changes, field) -> None:
    file = written(path, **changes)
    with pytest.raises(Unusable, match=f"context one: rynxs does not support {field} in a kubeconfig"):
        load(file)
    assert token_of(load(file, "two")) == "o" if "user" in changes else True


def test_a_token_in_a_file_beside_it(path, tmp_path) -> None:
    (tmp_path / "token").write_text("kept\n")
    config = load(written(path, {"tokenFile": "token"}))
    assert token_of(config) == "kept"
    (tmp_path / "token").unlink()
    with pytest.raises(Unusable, match="context one: the token can't be read: "):
        token_of(config)


def test_a_user_without_a_token(path) -> None:
    assert token_of(load(written(path, {"client-certificate": "c", "client-key": "k"}))) is None
    contexts = [{"name": "one", "context": {"cluster": "c"}}]
    assert token_of(load(written(path, contexts=contexts))) is None


def test_an_exec_plugin(plugin, path) -> None:
    said = 'echo "{\\"status\\": {\\"token\\": \\"$A-$1\\"}}"'
    file = plugin(said, args=["b"], env=[{"name": "A", "value": "a"}])
    assert token_of(load(file)) == "a-b"
    told = load(plugin('printf \'{"status": {"token": "%s"}}\' $(echo "$KUBERNETES_EXEC_INFO" | base64 -w0)'))
    info = json.loads(base64.b64decode(token_of(told)))
    assert (info["kind"], info["spec"]) == ("ExecCredential", {"interactive": False})


def test_an_exec_plugin_that_gives_a_certificate(plugin, tmp_path) -> None:
    files = Authority.create("ca", datetime.now(UTC)).sign("me", ["me"], datetime.now(UTC), client=True)
    status = {"clientCertificateData": files["tls.crt"].decode(), "clientKeyData": files["tls.key"].decode()}
    (tmp_path / "said.json").write_text(json.dumps({"status": status}))
    config = load(plugin(f"cat {tmp_path}/said.json"))
    assert token_of(config) is None
    assert isinstance(tls(config), ssl.SSLContext)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "returned non-zero exit status 3"),
        ("echo nonsense", "Expecting value"),
        ("echo '{}'", "'status'"),
        ("echo '[]'", "list indices"),
        ("""echo '{"status": {}}'""", "its status has neither token nor certificate"),
        ("""echo '{"status": {"clientCertificateData": "x"}}'""", "neither token nor certificate"),
        ("""echo '{"status": 1}'""", "no attribute"),
    ],
)
def test_an_exec_plugin_that_fails(plugin, script, reason) -> None:
    with pytest.raises(Unusable) as unusable:
        load(plugin(script, installHint="install it from there"))
    text = str(unusable.value)
    assert text.startswith("context one: the exec plugin ./plugin gave no credentials: ")
    assert reason in text
    assert text.endswith("(install it from there)")


def test_an_exec_plugin_that_is_not_there(path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin-anywhere"}
    with pytest.raises(Unusable, match=r"the exec plugin no-such-plugin-anywhere gave no credentials: .*No such file"):
        load(written(path, {"exec": plugin}))


@pytest.mark.parametrize(
    "changes",
    [
        {"cluster": {"certificate-authority": "nowhere.crt"}},
        {"cluster": {"certificate-authority-data": base64.b64encode(b"no certificate").decode()}},
        {"cluster": {"certificate-authority-data": "%%%"}},
        {"user": {"client-certificate": "nowhere.crt", "client-key": "nowhere.key"}},
        {"user": {"client-certificate": "nowhere.crt"}},
    ],
)
def test_certificates_that_can_not_be_used(path, changes) -> None:
    config = load(written(path, **changes))
    with pytest.raises(Unusable, match="context one: its certificates can't be used: "):
        tls(config)
