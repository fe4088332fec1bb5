"""What the API server takes, fills in and refuses, and what it says then."""

from __future__ import annotations

import pytest

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
  selector: {matchLabels: {role: coder}, matchExpressions: [{key: x/y, operator: DoesNotExist}]}
  mode: Enforce
  rules:
  - {name: read, tools: [file_read, file_list], when: "true", effect: Allow}
  - name: no-force-push
    tools: [shell_exec]
    when: action.args.argv[0] == "git" && action.args.argv.exists(a, a == "--force" || a == "-f")
    effect: Deny
    message: Force pushes are not allowed.
"""
CLUSTER_POLICY = POLICY.replace("kind: Agent", "kind: ClusterAgent").replace(
    "  mode:", "  namespaceSelector: {matchLabels: {env: prod}}\n  mode:"
)
BARE = "apiVersion: rynxs.dev/v1alpha1\nkind: Agent\nmetadata: {name: %s}\n"


@pytest.mark.parametrize("text", [AGENT, POLICY, CLUSTER_POLICY, BARE % "dev"])
async def test_what_is_right_is_taken(server, text) -> None:
    assert isinstance(await server.create(text), dict)


async def test_what_is_left_out_is_filled_in(server) -> None:
    assert (await server.create(BARE % "dev"))["spec"] == {"workspace": {"size": "5Gi", "retain": "Retain"}}
    made = await server.create(POLICY.replace("  mode: Enforce\n", ""))
    assert made["spec"]["mode"] == "Enforce"


@pytest.mark.parametrize("size", ["1.5Gi", "100", '"100"', "1e3", ".5Gi", "2E"])
async def test_sizes(server, size) -> None:
    assert isinstance(await server.create(AGENT.replace("size: 5Gi", f"size: {size}")), dict)


AGENT_CHANGES = [
    ("retain: Retain", "retan: Retain", 'unknown field "spec.workspace.retan"'),
    ("  image:", "  template: coder\n  image:", 'unknown field "spec.template"'),
    ("  image:", "  init: {script: x}\n  image:", 'unknown field "spec.init"'),
    ("  image:", "  idleAfter: 30m\n  image:", 'unknown field "spec.idleAfter"'),
    ("retain: Retain", "retain: Keep", 'spec.workspace.retain: Unsupported value: "Keep": supported values: "Delete"'),
    ("image: registry.example/coder@sha256:00", "image: a b", "spec.image: Invalid value"),
    ("name: LANG", "name: 1LANG", "spec.env[0].name: Invalid value"),
    (", value: C.UTF-8", "", "spec.env[0].value: Required value"),
    (
        "[{name: LANG, value: C.UTF-8}]",
        "[{name: A, value: a}, {name: A, value: b}]",
        'spec.env[1]: Duplicate value: {"name":"A"}',
    ),
    ("size: 5Gi", "size: 5Gb", "spec.workspace.size: Invalid value"),
    ("size: 5Gi", "size: 0", 'spec.workspace.size: Invalid value: "": must be more than 0'),
    ("size: 5Gi", "size: 0Gi", 'spec.workspace.size: Invalid value: "": must be more than 0'),
    ("cpu: 250m", 'cpu: "3"', 'spec.resources.requests.cpu: Invalid value: "object": 3 is over the limit of 2'),
    ("memory: 512Mi", "memory: 3Gi", 'requests.memory: Invalid value: "object": 3Gi is over the limit of 2Gi'),
    ("memory: 2Gi", "memory: 0", 'spec.resources.limits.memory: Invalid value: "": must be more than 0'),
    ("cpu: 250m", "cpu: 0.5", 'spec.resources.requests.cpu: Invalid value: "number"'),
    ("name: dev,", f"name: {'x' * 54},", "an agent's name has at most 53 characters and no '.'"),
    ("name: dev,", "name: dev.x,", "an agent's name has at most 53 characters and no '.'"),
]


@pytest.mark.parametrize(("before", "after", "message"), AGENT_CHANGES)
async def test_bad_agents(server, before, after, message) -> None:
    assert AGENT.count(before) == 1
    assert message in await server.create(AGENT.replace(before, after))


POLICY_CHANGES = [
    ("    when:", "    wehn:", 'unknown field "spec.rules[1].wehn"'),
    ("    tools: [shell_exec]\n", "", "spec.rules[1].tools: Required value"),
    ("tools: [shell_exec]", "tools: []", "spec.rules[1].tools: Invalid value"),
    ("tools: [shell_exec]", "tools: [shel_exec]", 'spec.rules[1].tools[0]: Unsupported value: "shel_exec": supported'),
    ("tools: [shell_exec]", "tools: ['*']", 'Unsupported value: "*"'),
    ("tools: [shell_exec]", "tools: [shell_exec, shell_exec]", 'spec.rules[1].tools[1]: Duplicate value: "shell_exec"'),
    ('when: "true"', "when: true", "spec.rules[0].when: Invalid value"),
    ('when: "true"', "when: ''", "spec.rules[0].when: Invalid value"),
    ('when: "true"', f"when: {'x' * 4097}", "spec.rules[0].when: Too long: may not be more than 4096"),
    ("effect: Deny", "effect: RequireApproval", 'spec.rules[1].effect: Unsupported value: "RequireApproval"'),
    ("    effect: Deny\n", "", "spec.rules[1].effect: Required value"),
    ("mode: Enforce", "mode: Audit", 'spec.mode: Unsupported value: "Audit"'),
    ("  mode:", "  egress: []\n  mode:", 'unknown field "spec.egress"'),
    ("  mode:", "  limits: {}\n  mode:", 'unknown field "spec.limits"'),
    ("name: no-force-push", "name: read", 'spec.rules[1]: Duplicate value: {"name":"read"}'),
    ("name: no-force-push", "name: a/b", "spec.rules[1].name: Invalid value"),
    ("operator: DoesNotExist", "operator: Gt", 'operator: Unsupported value: "Gt"'),
    ("operator: DoesNotExist", "operator: In", "operators In and NotIn need values, and the others take none"),
    ("operator: DoesNotExist", "operator: Exists, values: [a]", "In and NotIn need values, and the others take none"),
    ("key: x/y", "key: 'x y'", "spec.selector.matchExpressions[0].key: Invalid value"),
    ("role: coder", "role: a b", "spec.selector.matchLabels.role: Invalid value"),
    ("role: coder", f"{'k' * 318}: coder", "a label's key has at most 317 characters"),
    ("name: coder,", "name: coder.x,", "a policy's name has at most 63 characters and no '.'"),
]


@pytest.mark.parametrize("text", [POLICY, CLUSTER_POLICY], ids=["AgentPolicy", "ClusterAgentPolicy"])
@pytest.mark.parametrize(("before", "after", "message"), POLICY_CHANGES)
async def test_bad_policies(server, text, before, after, message) -> None:
    assert text.count(before) == 1
    assert message in await server.create(text.replace(before, after))


async def test_a_policy_says_whom_it_is_for(server) -> None:
    assert "spec.selector: Required value" in await server.create(POLICY.replace("  selector: {", "  x: {"), **LOOSE)
    assert "spec: Required value" in await server.create(POLICY.partition("spec:")[0])
    assert 'unknown field "spec.namespaceSelector"' in await server.create(
        POLICY.replace("  mode:", "  namespaceSelector: {}\n  mode:")
    )


LOOSE = {"fieldValidation": "Ignore"}


async def test_without_strict_validation_unknown_fields_are_pruned_and_required_ones_missed(server) -> None:
    made = await server.create(AGENT.replace("  image:", "  idleAfter: 30m\n  image:"), **LOOSE)
    assert "idleAfter" not in made["spec"]
    message = await server.create(POLICY.replace("    when:", "    wehn:"), **LOOSE)
    assert "spec.rules[1].when: Required value" in message


async def test_a_workspace_only_grows_where_it_is(server) -> None:
    await server.create(BARE % "grows", keep=True)

    async def change(**workspace):
        answer = await server.patch("Agent", "grows", {"spec": {"workspace": workspace}})
        return answer if isinstance(answer, str) else answer["spec"]["workspace"]

    assert (await change(size="5368709120"))["size"] == "5368709120"
    assert (await change(size="6Gi"))["size"] == "6Gi"
    assert "a workspace can't shrink from 6Gi to 5Gi" in await change(size="5Gi")
    assert "a workspace can't shrink from 6Gi to 100" in await change(size=100)
    assert "a workspace can't change its storage class" in await change(storageClassName="fast")
    assert (await change(retain="Delete"))["retain"] == "Delete"


async def test_the_largest_policy_is_within_the_server_s_budget(server) -> None:
    labels = ", ".join(f"{'k' * 60}{number}: {'v' * 60}" for number in range(64))
    values = ", ".join("v" * 60 + str(number) for number in range(100, 356))
    expressions = ", ".join(f"{{key: k{number}, operator: In, values: [{values}]}}" for number in range(16))
    rules = "".join(
        f"\n  - {{name: r{number}, tools: [shell_exec], when: '{'x' * 1000}', effect: Allow}}" for number in range(256)
    )
    text = POLICY.partition("spec:")[0] + (
        f"spec:\n  selector: {{matchLabels: {{{labels}}}, matchExpressions: [{expressions}]}}\n  rules:{rules}\n"
    )
    assert isinstance(await server.create(text), dict)
