import pytest

from rynxs.api.agent import Agent
from rynxs.api.manifest import ManifestErrors, parse
from rynxs.api.policy import AgentPolicy, ClusterAgentPolicy
from rynxs.api.problem import Problem

AGENT = """\
apiVersion: rynxs.dev/v1alpha1
kind: Agent
metadata: {name: dev, namespace: team-a, labels: {role: coder}}
spec:
  image: registry.example/coder@sha256:00
  resources: {requests: {cpu: 250m, memory: 512Mi}, limits: {cpu: "2", memory: 2Gi}}
  workspace: {size: 5Gi, storageClassName: standard, retain: Retain}
  env: [{name: LANG, value: C.UTF-8}]
  runtimeClassName: gvisor
"""
POLICY = """\
apiVersion: rynxs.dev/v1alpha1
kind: AgentPolicy
metadata: {name: coder, namespace: team-a}
spec:
  selector: {matchLabels: {role: coder}, matchExpressions: [{key: x, operator: DoesNotExist}]}
  mode: Enforce
  rules:
  - {name: read, tools: [file_read, file_list], when: "true", effect: Allow}
  - name: no-force-push
    tools: [shell_exec]
    when: action.args.argv[0] == "git" && "--force" in action.args.argv
    effect: Deny
    message: Force pushes are not allowed.
"""

NAME = "lower-case letters, digits and '-', beginning and ending with a letter or digit"
LABEL = "at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit"
QUANTITY = "write a number and a suffix, as 250m, 2, 512Mi or 1.5G"
TOOLS = "the tools are file_delete, file_list, file_read, file_write, shell_exec"


def errors(text, check=None):
    with pytest.raises(ManifestErrors) as error:
        parse(text, "coder.yaml", check)
    return [str(one) for one in error.value.errors]


def test_the_documents_of_a_file_in_order():
    agent, policy = parse(f"# ours\n---\n{AGENT}---\n---\n{POLICY}", "coder.yaml")
    assert isinstance(agent, Agent)
    assert isinstance(policy, AgentPolicy)
    assert (agent.metadata.namespace, agent.spec.resources.limits.memory) == ("team-a", "2Gi")
    assert [rule.effect for rule in policy.spec.rules] == ["Allow", "Deny"]


def test_json_is_yaml():
    text = '{"apiVersion": "rynxs.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "dev"}}'
    (agent,) = parse(text.encode(), "a.json")
    assert (agent.metadata.namespace, agent.spec.workspace.size) == ("default", "5Gi")


AGENT_CHANGES = [
    ("retain: Retain", "retan: Retain", "spec.workspace.retan: unknown field (did you mean 'retain'?)"),
    (
        "retain: Retain",
        "retain: Keep",
        "spec.workspace.retain: 'Keep' is not supported; this version knows Delete, Retain",
    ),
    ("  image:", "  template: coder\n  image:", "spec.template: unknown field"),
    ("  image:", "  idleAfter: 30m\n  image:", "spec.idleAfter: unknown field"),
    ("image: registry.example/coder@sha256:00", "image: 5", "spec.image: expected a string, got 5: write it in quotes"),
    (
        "image: registry.example/coder@sha256:00",
        "image: a b",
        "spec.image: 'a b' is not valid: printable ASCII without spaces",
    ),
    ("value: C.UTF-8", "value: yes", "spec.env[0].value: expected a string, got true: write it in quotes"),
    ("value: C.UTF-8", "value: 1:30, valu: x", "spec.env[0].valu: unknown field"),
    (
        "name: LANG",
        "name: 1LANG",
        "spec.env[0].name: '1LANG' is not valid: letters, digits and '_', not beginning with a digit",
    ),
    (
        "[{name: LANG, value: C.UTF-8}]",
        "[{name: A, value: a}, {name: A, value: b}]",
        "spec.env[1].name: 'A' is there twice",
    ),
    ("[{name: LANG, value: C.UTF-8}]", "{LANG: C.UTF-8}", "spec.env: expected a list, got a mapping"),
    ("size: 5Gi", "size: 5Gb", f"spec.workspace.size: '5Gb' is not a quantity: {QUANTITY}"),
    ("size: 5Gi", "size: 0", "spec.workspace.size: must be more than 0"),
    ("cpu: 250m", "cpu: 3", "spec.resources.requests.cpu: 3 is over the limit of 2"),
    ("cpu: 250m", "gpu: 3", "spec.resources.requests.gpu: unknown field (did you mean 'cpu'?)"),
    (
        "memory: 2Gi",
        "memory: 512m",
        "spec.resources.limits.memory: '512m' is not a whole number of bytes: for mebibytes write Mi, as 512Mi",
    ),
    ("spec:", "status: {phase: Ready}\nspec:", "status: unknown field"),
    ("namespace: team-a", "uid: x", "metadata.uid: unknown field"),
    ("{role: coder}", "{role: 'a b'}", f"metadata.labels.role: 'a b' is not a valid label value: {LABEL}"),
    ("name: dev,", f"name: {'x' * 54},", "metadata.name: has 54 characters, over the limit of 53 for an agent"),
    ("namespace: team-a", "namespace: Team", f"metadata.namespace: 'Team' is not valid: {NAME}"),
]


@pytest.mark.parametrize(("before", "after", "message"), AGENT_CHANGES)
def test_bad_agents(before, after, message):
    assert AGENT.count(before) == 1
    name = "x" * 54 if "x" * 54 in after else "dev"
    assert errors(AGENT.replace(before, after)) == [f"coder.yaml, document 1 (agent/{name}), {message}"]


POLICY_CHANGES = [
    (
        "    when:",
        "    wehn:",
        ["spec.rules[1].wehn: unknown field (did you mean 'when'?)", "spec.rules[1].when: is required"],
    ),
    ("    tools: [shell_exec]\n", "", ["spec.rules[1].tools: is required"]),
    ("tools: [shell_exec]", "tools: []", ["spec.rules[1].tools: must not be empty"]),
    ("tools: [shell_exec]", "tools: shell_exec", ["spec.rules[1].tools: expected a list, got 'shell_exec'"]),
    (
        "tools: [shell_exec]",
        "tools: [shel_exec]",
        [f"spec.rules[1].tools[0]: there is no tool 'shel_exec'; {TOOLS} (did you mean 'shell_exec'?)"],
    ),
    ("tools: [shell_exec]", "tools: ['*']", [f"spec.rules[1].tools[0]: there is no tool '*'; {TOOLS}"]),
    ("tools: [shell_exec]", "tools: [shell_exec, shell_exec]", ["spec.rules[1].tools[1]: 'shell_exec' is there twice"]),
    ('when: "true"', "when: true", ["spec.rules[0].when: expected a string, got true: write it in quotes"]),
    ('when: "true"', "when: ''", ["spec.rules[0].when: must not be empty"]),
    ('when: "true"', f"when: {'x' * 4097}", ["spec.rules[0].when: has 4097 characters, over the limit of 4096"]),
    (
        "effect: Deny",
        "effect: RequireApproval",
        ["spec.rules[1].effect: 'RequireApproval' is not supported; this version knows Allow, Deny"],
    ),
    ("    effect: Deny\n", "", ["spec.rules[1].effect: is required"]),
    ("mode: Enforce", "mode: Audit", ["spec.mode: 'Audit' is not supported; this version knows Enforce"]),
    ("  mode:", "  egress: []\n  mode:", ["spec.egress: unknown field"]),
    ("name: no-force-push", "name: read", ["spec.rules[1].name: 'read' is there twice"]),
    ("name: no-force-push", "name: a/b", [f"spec.rules[1].name: 'a/b' is not valid: {NAME}"]),
    (
        "operator: DoesNotExist",
        "operator: Gt",
        [
            "spec.selector.matchExpressions[0].operator: 'Gt' is not supported; "
            "this version knows DoesNotExist, Exists, In, NotIn"
        ],
    ),
    (
        "operator: DoesNotExist",
        "operator: In",
        ["spec.selector.matchExpressions[0].values: must not be empty with operator In"],
    ),
    (
        "matchLabels: {role",
        "matchLabel: {role",
        ["spec.selector.matchLabel: unknown field (did you mean 'matchLabels'?)"],
    ),
]


@pytest.mark.parametrize(("before", "after", "messages"), POLICY_CHANGES)
def test_bad_policies(before, after, messages):
    assert POLICY.count(before) == 1
    text = f"{AGENT}---\n{POLICY.replace(before, after)}"
    assert errors(text) == [f"coder.yaml, document 2 (agentpolicy/coder), {message}" for message in messages]


CLUSTER_POLICY = POLICY.replace("kind: Agent", "kind: ClusterAgent").replace(", namespace: team-a", "")


def test_a_policy_of_the_cluster():
    (policy,) = parse(
        CLUSTER_POLICY.replace("  mode:", "  namespaceSelector: {matchLabels: {env: prod}}\n  mode:"), "c"
    )
    assert isinstance(policy, ClusterAgentPolicy)
    assert (policy.metadata.namespace, policy.spec.namespace_selector.match_labels) == ("", {"env": "prod"})
    (policy,) = parse(CLUSTER_POLICY, "c")
    assert policy.spec.namespace_selector.matches({})


def test_a_policy_of_the_cluster_is_in_no_namespace():
    place = "coder.yaml, document 1 (clusteragentpolicy/coder)"
    text = CLUSTER_POLICY.replace("name: coder", "name: coder, namespace: team-a").replace("mode:", "mod:")
    assert errors(text) == [
        f"{place}, metadata.namespace: unknown field",
        f"{place}, spec.mod: unknown field (did you mean 'mode'?)",
    ]
    text = POLICY.replace("  mode:", "  namespaceSelector: {}\n  mode:")
    assert errors(text) == ["coder.yaml, document 1 (agentpolicy/coder), spec.namespaceSelector: unknown field"]
    assert len(parse(f"{POLICY}---\n{CLUSTER_POLICY}", "coder.yaml")) == 2


def test_a_policy_says_whom_it_is_for():
    text = POLICY.replace("  selector: {", "  other: {")
    assert errors(text) == [
        "coder.yaml, document 1 (agentpolicy/coder), spec.other: unknown field",
        "coder.yaml, document 1 (agentpolicy/coder), spec.selector: is required",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "coder.yaml: holds no object"),
        ("# only words\n---\n", "coder.yaml: holds no object"),
        (bytes(range(128, 256)), "coder.yaml: is not UTF-8 text (at byte 0)"),
        (b"x" * 5_000_000, "coder.yaml: has 5000000 bytes, over the limit of 1048576: split it"),
        ("- a", "coder.yaml, document 1: is not an object: it needs apiVersion, kind, metadata and spec"),
        ("kind: Agent", "coder.yaml, document 1, apiVersion: is required"),
        ("apiVersion: rynxs.dev/v1alpha1", "coder.yaml, document 1, kind: is required"),
        (
            "apiVersion: rynxs.dev/v1\nkind: Agent",
            "coder.yaml, document 1, apiVersion: 'rynxs.dev/v1' is not supported; "
            "this version knows rynxs.dev/v1alpha1",
        ),
        (
            "apiVersion: rynxs.dev/v1alpha1\nkind: AgentPolcy",
            "coder.yaml, document 1, kind: 'AgentPolcy' is not supported; this version knows Agent, AgentPolicy, "
            "ClusterAgentPolicy (did you mean 'AgentPolicy'?)",
        ),
        (
            "apiVersion: v1\nkind: List\nitems: []",
            "coder.yaml, document 1, apiVersion: 'v1' is not supported; this version knows rynxs.dev/v1alpha1",
        ),
        (
            AGENT + "kind: Agent\n",
            "coder.yaml, document 1: line 10: key 'kind' is there twice (first in line 2)",
        ),
        (
            AGENT.replace("  image:", "\timage:"),
            "coder.yaml, document 1: is not YAML: line 5, column 1: found character that cannot start any token",
        ),
    ],
)
def test_what_is_no_manifest(text, message):
    assert errors(text) == [message]


def test_two_objects_of_one_name():
    assert errors(f"{AGENT}---\n{POLICY}---\n{AGENT}") == [
        "coder.yaml, document 3 (agent/dev), metadata.name: the same object is in document 1"
    ]
    assert len(parse(f"{AGENT}---\n{AGENT.replace('team-a', 'team-b')}", "coder.yaml")) == 2


def test_every_document_is_checked():
    text = f"{AGENT.replace('retain:', 'retan:')}---\na: 1\na: 2\n---\n{POLICY.replace('mode:', 'mod:')}"
    assert errors(text) == [
        "coder.yaml, document 1 (agent/dev), spec.workspace.retan: unknown field (did you mean 'retain'?)",
        "coder.yaml, document 2: line 12: key 'a' is there twice (first in line 11)",
        "coder.yaml, document 3 (agentpolicy/coder), spec.mod: unknown field (did you mean 'mode'?)",
    ]


def test_what_the_check_finds_is_an_error_of_its_document():
    def check(policies):
        return [(policy, Problem("spec.rules[0].when", "no", "yes")) for policy in policies]

    text = f"---\n---\n{POLICY}---\n{AGENT.replace('retain:', 'retan:')}"
    assert errors(text, check) == [
        "coder.yaml, document 2 (agentpolicy/coder), spec.rules[0].when: no (did you mean 'yes'?)",
        "coder.yaml, document 3 (agent/dev), spec.workspace.retan: unknown field (did you mean 'retain'?)",
    ]
