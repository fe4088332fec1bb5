"""What the chart makes, what it refuses, and that an API server takes it."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path

import pytest
import yaml

import rynxs
from rynxs.cluster.anchors import STREAMS
from rynxs.cluster.install import TRUST, key_secret
from rynxs.computer.protocol import GATEWAY
from rynxs.operator.config import Config
from rynxs.operator.walls import HEALTH

CHART = Path(__file__).parents[3] / "charts" / "rynxs"
REGISTRY = "--set=image.registry=registry.test"


def containers(template):
    return [*template["spec"].get("initContainers", ()), *template["spec"]["containers"]]


def selected(policy, labels):
    return policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def rules_of(rendering, account):
    """All the rules that are bound to a service account of the release."""
    roles = {}
    for kind in ("ClusterRole", "Role"):
        roles |= {
            (kind, each["metadata"]["name"], each["metadata"].get("namespace")): each for each in rendering.all(kind)
        }
    found = []
    for binding in rendering.all("ClusterRoleBinding") + rendering.all("RoleBinding"):
        if any(subject["name"] == account for subject in binding["subjects"]):
            namespace = binding["metadata"].get("namespace")
            found += roles[binding["roleRef"]["kind"], binding["roleRef"]["name"], namespace]["rules"]
    assert found
    return found


@pytest.mark.parametrize("options", [(), (f"--values={CHART / 'values-dev.yaml'}",)])
def test_lint(lint, options) -> None:
    done = lint("--strict", *options)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_version_is_ours() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == rynxs.__version__


def test_an_api_server_takes_it(rendering, controlplane) -> None:
    with contextlib.suppress(subprocess.CalledProcessError):
        controlplane.kubectl("create", "namespace", "rynxs-system")
    crds, rest = [], []
    for each in rendering.objects:
        (crds if each["kind"] == "CustomResourceDefinition" else rest).append(each)
    assert len(crds) == 3
    for said, given in (
        (controlplane.apply(items, "--dry-run=server", "--validate=strict"), items) for items in (crds, rest)
    ):
        assert len(said.splitlines()) == len(given)


def test_pods_are_restricted(rendering, controlplane) -> None:
    """Pod Security `restricted`, by the API server's own word, and a read-only root besides."""
    for name, template in rendering.pods.items():
        assert template["spec"]["securityContext"]["runAsNonRoot"] is True
        assert template["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(template):
            locked = container["securityContext"]
            assert locked["allowPrivilegeEscalation"] is False, name
            assert locked["readOnlyRootFilesystem"] is True, name
            assert locked["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["limits"]["memory"], name
            assert container["resources"]["requests"]["cpu"], name
        assert "hostPath" not in json.dumps(template)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "t-restricted"}}
    namespace["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "restricted"}
    controlplane.apply(namespace)
    for name, template in rendering.pods.items():
        pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {"name": name, "namespace": "t-restricted"}}
        controlplane.apply(pod, "--dry-run=server")


def test_who_has_a_token(rendering) -> None:
    has = {name: template["spec"].get("automountServiceAccountToken") for name, template in rendering.pods.items()}
    assert has.pop("rynxs-store", False) is False
    assert has == {"rynxs-operator": True, "rynxs-gateway": True, "rynxs-install": True}
    accounts = {template["spec"]["serviceAccountName"] for template in rendering.pods.values()}
    assert accounts == {each["metadata"]["name"] for each in rendering.all("ServiceAccount")}
    assert all(each["automountServiceAccountToken"] is False for each in rendering.all("ServiceAccount"))


def test_images(render) -> None:
    made = render("--set=image.tag=t")
    found = {container["image"] for template in made.pods.values() for container in containers(template)}
    assert found == {"registry.test/rynxs:t", "registry.test/rynxs-store:t"}
    assert {container["image"] for template in render().pods.values() for container in containers(template)} == {
        f"registry.test/rynxs:{rynxs.__version__}",
        f"registry.test/rynxs-store:{rynxs.__version__}",
    }


def test_no_wildcards(rendering) -> None:
    for role in rendering.all("ClusterRole") + rendering.all("Role"):
        assert "*" not in json.dumps(role["rules"])


def test_what_may_be_done_to_secrets(rendering) -> None:
    rights = {
        account: [
            (rule["verbs"], rule.get("resourceNames"))
            for rule in rules_of(rendering, account)
            if "secrets" in rule["resources"]
        ]
        for account in ("rynxs-operator", "rynxs-gateway", "rynxs-install")
    }
    assert rights["rynxs-gateway"] == []
    assert rights["rynxs-operator"] == [(["create", "delete"], None)]
    assert [verbs for verbs, names in rights["rynxs-install"] if names is None] == [["create"]]


def test_what_install_makes_it_may_make_and_components_find(rendering) -> None:
    rules = rules_of(rendering, "rynxs-install")
    named = {name for rule in rules for name in rule.get("resourceNames", ())}
    made = {TRUST, "rynxs-ca", "rynxs-gateway-tls", key_secret("gateway"), key_secret("operator")}
    assert named == made | {f"rynxs-anchor-{stream}" for stream in STREAMS}
    mounted = set()
    for name in ("rynxs-operator", "rynxs-gateway"):
        for volume in rendering.pods[name]["spec"]["volumes"]:
            mounted.add(volume.get("secret", {}).get("secretName") or volume["configMap"]["name"])
    assert mounted == made | {"rynxs-config"}
    assert not any(each["metadata"]["name"] in named for each in rendering.objects)  # or they would go with the release


def test_only_the_operator_sees_the_authority(rendering) -> None:
    holders = [name for name, template in rendering.pods.items() if "rynxs-ca" in json.dumps(template)]
    assert holders == ["rynxs-operator"]


def test_every_pod_has_walls(rendering) -> None:
    policies = rendering.all("NetworkPolicy")
    for template in rendering.pods.values():
        labels = template["metadata"]["labels"]
        mine = [policy for policy in policies if selected(policy, labels)]
        assert len(mine) == 2  # the one that closes all, and what this component needs
        assert all(policy["spec"]["policyTypes"] == ["Ingress", "Egress"] for policy in mine)
    assert "ingress" not in rendering.one("NetworkPolicy", "rynxs")["spec"]


def test_computers_can_try_to_reach_the_operator(rendering) -> None:
    """If it were the operator's own walls that keep them out, the probe of theirs would prove nothing."""
    [rule] = rendering.one("NetworkPolicy", "rynxs-operator")["spec"]["ingress"]
    assert rule == {"ports": [{"protocol": "TCP", "port": HEALTH}]}


def test_the_gateway_is_who_computers_let_in(rendering) -> None:
    labels = rendering.pods["rynxs-gateway"]["metadata"]["labels"]
    assert (labels["app.kubernetes.io/name"], labels["app.kubernetes.io/component"]) == ("rynxs", "gateway")
    service = rendering.one("Service", GATEWAY)["spec"]
    assert service["selector"].items() <= labels.items()
    assert [(port["name"], port["port"]) for port in service["ports"]] == [("https", 8443)]


@pytest.mark.parametrize(
    ("options", "port"),
    [
        (("log.endpoint=https://minio.example.com:9000",), 9000),
        (("log.endpoint=http://minio",), 80),
        (("log.endpoint=https://[fd00::1]:9443",), 9443),
        ((), 443),
    ],
)
def test_a_store_of_ones_own_can_be_reached(render, options, port) -> None:
    made = render(
        "--set=store.enabled=false,log.url=s3://audit/prod,log.existingSecret=keys",
        *(f"--set={each}" for each in options),
    )
    for name in ("rynxs-operator", "rynxs-gateway"):
        egress = made.one("NetworkPolicy", name)["spec"]["egress"]
        assert {"ports": [{"protocol": "TCP", "port": port}]} in egress
    assert not any(each["metadata"]["name"] == "rynxs-store" for each in made.objects)
    for name in ("rynxs-operator", "rynxs-gateway"):
        keys = [each for each in made.pods[name]["spec"]["containers"][0]["env"] if each["name"].startswith("AWS_")]
        assert [each["valueFrom"]["secretKeyRef"]["name"] for each in keys] == ["keys", "keys"]


def test_the_configuration_is_one_that_we_read(rendering, tmp_path) -> None:
    for name in ("rynxs-config", "rynxs-install"):
        path = tmp_path / name
        path.write_text(rendering.one("ConfigMap", name)["data"]["config.yaml"])
        config = Config.load(path)
        assert config.namespace == "rynxs-system"
        assert (config.log.credentials == "rynxs-store") is bool(rendering.all("PersistentVolumeClaim"))


def test_all_of_the_configuration(render) -> None:
    made = render(
        "--set=computers.image=r/c:1,computers.port=7000,computers.runtimeClassName=gvisor,computers.pullPolicy=Never",
        "--set=store.enabled=false,log.url=s3://a/b,log.endpoint=http://m:9000,log.region=x,log.existingSecret=k",
    )
    assert made.config == {
        "namespace": "rynxs-system",
        "log": {"url": "s3://a/b", "endpoint": "http://m:9000", "region": "x", "credentials": "k"},
        "computers": {
            "image": "r/c:1",
            "daemonImage": f"registry.test/rynxs-computer:{rynxs.__version__}",
            "port": 7000,
            "imagePullPolicy": "Never",
            "runtimeClassName": "gvisor",
        },
    }


def test_a_changed_configuration_rolls_the_components(render) -> None:
    one, two = render(), render("--set=computers.port=7000")
    for name in ("rynxs-operator", "rynxs-gateway"):
        assert one.pods[name]["metadata"]["annotations"] != two.pods[name]["metadata"]["annotations"]


def test_install_is_told_whether_it_is_the_first(render) -> None:
    for options, first in (((), True), (("--is-upgrade",), False)):
        [container] = render(*options).pods["rynxs-install"]["spec"]["containers"]
        assert ("--first" in container["args"]) is first


def test_hooks(rendering) -> None:
    hooks = [each for each in rendering.objects if "helm.sh/hook" in each["metadata"].get("annotations", {})]
    assert {each["kind"] for each in hooks} == {"ServiceAccount", "ConfigMap", "Role", "RoleBinding", "Job"}
    assert {each["metadata"]["name"] for each in hooks} == {"rynxs-install"}
    weights = {each["kind"]: int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) for each in hooks}
    assert all(weight < weights["Job"] for kind, weight in weights.items() if kind != "Job")


def test_what_an_uninstall_leaves(rendering) -> None:
    kept = {
        (each["kind"], each["metadata"]["name"])
        for each in rendering.objects
        if each["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
    }
    expected = {
        ("CustomResourceDefinition", each["metadata"]["name"]) for each in rendering.all("CustomResourceDefinition")
    }
    if rendering.all("PersistentVolumeClaim"):
        expected |= {("PersistentVolumeClaim", "rynxs-store"), ("Secret", "rynxs-store")}
    assert kept == expected
    assert len(rendering.all("CustomResourceDefinition")) == 3


def test_without_crds(render) -> None:
    assert render("--set=crds.enabled=false").all("CustomResourceDefinition") == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "set image.registry: where the images are"),
        ((REGISTRY, "--set=store.enabled=false"), "set log.url=s3://bucket/prefix, or store.enabled=true"),
        ((REGISTRY, "--set=store.enabled=false,log.url=s3://b"), "set log.existingSecret: the Secret with AWS_"),
        ((REGISTRY, "--set=log.url=s3://b"), "set store.enabled=false to use it instead of the bundled one"),
        ((REGISTRY, "--set=log.existingSecret=k"), "set store.enabled=false to use it instead of the bundled one"),
        ((REGISTRY, "--set=stor.enabled=false"), "additional properties 'stor' not allowed"),
        ((REGISTRY, "--set=store.enbled=false"), "additional properties 'enbled' not allowed"),
        ((REGISTRY, "--set=store.enabled=false,log.url=gs://b,log.existingSecret=k"), "at '/log/url'"),
        ((REGISTRY, "--set=image.pullPolicy=Sometimes"), "at '/image/pullPolicy'"),
        ((REGISTRY, "--set=computers.port=80"), "at '/computers/port'"),
        ((REGISTRY, "--set=store.size=big"), "at '/store/size'"),
        ((REGISTRY, "--set=operator.resources.limits.memry=1Gi"), "additional properties 'memry' not allowed"),
        (("--set=image.registry=https://registry.test",), "at '/image/registry'"),
    ],
)
def test_wrong_values_are_refused_readably(refused, options, said) -> None:
    assert said in refused(*options)


def test_every_value_is_in_the_schema_and_the_other_way_round() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]
    assert values.keys() | {"global"} == schema.keys()
    for name, value in values.items():
        if isinstance(value, dict) and "properties" in schema[name]:
            assert value.keys() == schema[name]["properties"].keys()


def test_the_notes_are_loud_about_the_bundled_store(render, notes) -> None:
    assert "FOR TRIAL ONLY" in notes()
    assert "FOR TRIAL ONLY" not in notes("--set=store.enabled=false,log.url=s3://b/p,log.existingSecret=k")
