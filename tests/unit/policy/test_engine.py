import pytest

from rynxs.action.request import Principal
from rynxs.action.tool import FileDelete, FileList, FileRead, ShellExec
from rynxs.api.agent import Agent
from rynxs.api.manifest import ManifestErrors, parse
from rynxs.api.metadata import Metadata
from rynxs.api.problem import Problem
from rynxs.policy.engine import Engine, check
from rynxs.policy.rule import BrokenPolicy, compile_policy

POLICY = """\
apiVersion: rynxs.dev/v1alpha1
kind: AgentPolicy
metadata: {name: coder, namespace: team-a}
spec:
  selector: {matchLabels: {role: coder}}
  rules:
  - {name: read, tools: [file_read, file_list], when: "true", effect: Allow}
  - name: everyday
    tools: [shell_exec]
    when: action.args.argv[0] in ["pytest", "python", "git", "ls"]
    effect: Allow
  - name: no-force-push
    tools: [shell_exec]
    when: action.args.argv[0] == "git" && action.args.argv.exists(a, a == "--force" || a == "-f")
    effect: Deny
    message: Force pushes are not allowed.
  - name: no-root
    tools: [shell_exec]
    when: principal.name == "root" && !("admins" in principal.groups)
    effect: Deny
"""
EVERYDAY = 'action.args.argv[0] in ["pytest", "python", "git", "ls"]'
CODER = Agent(metadata=Metadata(name="dev", namespace="team-a", labels={"role": "coder"}))
ALICE = Principal(name="alice")


def engine(*texts):
    return Engine(parse("\n---\n".join(texts), "coder.yaml"))


def decide(made, tool, args, agent=CODER, principal=ALICE):
    decision = made.decide(agent, principal, tool, args)
    assert decision.policies == made.hash_for(agent)
    return decision.effect.value, decision.rule, decision.message


@pytest.mark.parametrize(
    ("tool", "args", "expected"),
    [
        ("shell_exec", ShellExec(argv=["git", "status"]), ("Allow", "coder/everyday", "")),
        (
            "shell_exec",
            ShellExec(argv=["git", "push", "-f"]),
            ("Deny", "coder/no-force-push", "Force pushes are not allowed."),
        ),
        ("shell_exec", ShellExec(argv=["rm", "-rf", "/"]), ("Deny", "", "no rule of policy coder allows it")),
        ("file_read", FileRead(path="a"), ("Allow", "coder/read", "")),
        ("file_delete", FileDelete(path="a"), ("Deny", "", "no rule of policy coder allows it")),
    ],
)
def test_decisions(tool, args, expected):
    assert decide(engine(POLICY), tool, args) == expected


def test_the_principal_counts():
    made, args = engine(POLICY), ShellExec(argv=["ls"])
    root = decide(made, "shell_exec", args, principal=Principal(name="root"))
    assert root == ("Deny", "coder/no-root", "rule coder/no-root denies it")
    admin = Principal(name="root", groups=["admins"])
    assert decide(made, "shell_exec", args, principal=admin)[0] == "Allow"


@pytest.mark.parametrize(
    "metadata",
    [
        Metadata(name="dev", namespace="team-a"),
        Metadata(name="dev", namespace="team-b", labels={"role": "coder"}),
        Metadata(name="dev", namespace="team-a", labels={"role": "tester"}),
    ],
)
def test_an_agent_that_no_policy_selects_may_do_nothing(metadata):
    expected = ("Deny", "", "no policy selects agent dev")
    assert decide(engine(POLICY), "file_read", FileRead(path="a"), agent=Agent(metadata=metadata)) == expected


def test_no_policies_deny_everything():
    assert decide(Engine([]), "file_read", FileRead(path="a")) == ("Deny", "", "no policy selects agent dev")


def test_a_rule_that_fails_denies_what_another_allows():
    failing = POLICY.replace("name: coder", "name: extra").replace(EVERYDAY, 'action.args.argv[1] == "x"')
    expected = ("Deny", "extra/everyday", "rule extra/everyday failed: Index error: index=1 size=1")
    assert decide(engine(POLICY, failing), "shell_exec", ShellExec(argv=["ls"])) == expected
    assert decide(engine(POLICY, failing), "file_read", FileRead(path="a"))[0] == "Allow"


def test_a_rule_over_its_budget_denies():
    greedy = POLICY.replace(EVERYDAY, "action.args.argv.all(a, action.args.argv.all(b, a == b))")
    args = ShellExec(argv=["ls"] * 4096)
    expected = ("Deny", "coder/everyday", "rule coder/everyday failed: Iteration budget exceeded")
    assert decide(engine(greedy), "shell_exec", args) == expected


def test_a_broken_policy_denies_whatever_its_selector_matches():
    broken = POLICY.replace("name: coder,", "name: broken,").replace(EVERYDAY, "acton.tool")
    made = engine(POLICY, broken)
    message = (
        'everything is denied: agentpolicy/broken rule "everyday": '
        "undeclared reference to 'acton' (did you mean 'action'?)"
    )
    assert decide(made, "file_read", FileRead(path="a")) == ("Deny", "", message)
    assert decide(made, "shell_exec", ShellExec(argv=["ls"])) == ("Deny", "", message)
    elsewhere = broken.replace("role: coder", "role: other")
    assert decide(engine(POLICY, elsewhere), "file_read", FileRead(path="a"))[0] == "Allow"


def test_the_check_finds_what_does_not_compile():
    broken = POLICY.replace(EVERYDAY, "acton.tool == 'x'")
    (policy,) = parse(broken, "coder.yaml")
    assert [(found.metadata.name, problem.path) for found, problem in check([policy])] == [
        ("coder", "spec.rules[1].when")
    ]
    assert check(parse(POLICY, "coder.yaml")) == []
    with pytest.raises(ManifestErrors) as errors:
        parse(f"---\n---\n{broken}", "coder.yaml", check)
    assert str(errors.value) == (
        "coder.yaml, document 2 (agentpolicy/coder), spec.rules[1].when: "
        "undeclared reference to 'acton' (did you mean 'action'?)"
    )


BASELINE = """\
apiVersion: rynxs.dev/v1alpha1
kind: ClusterAgentPolicy
metadata: {name: baseline}
spec:
  selector: {}
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: team-a}}
  rules:
  - {name: most, tools: [shell_exec, file_read], when: "true", effect: Allow}
  - {name: no-git, tools: [shell_exec], when: 'action.args.argv[0] == "git"', effect: Deny}
"""


@pytest.mark.parametrize(
    ("tool", "args", "expected"),
    [
        ("shell_exec", ShellExec(argv=["ls"]), ("Allow", "coder/everyday", "")),
        (
            "shell_exec",
            ShellExec(argv=["git", "status"]),
            ("Deny", "cluster:baseline/no-git", "rule cluster:baseline/no-git denies it"),
        ),
        ("shell_exec", ShellExec(argv=["rm"]), ("Deny", "", "no rule of policy coder allows it")),
        ("file_list", FileList(path="a"), ("Deny", "", "no rule of policy cluster:baseline allows it")),
        ("file_delete", FileDelete(path="a"), ("Deny", "", "no rule of policy cluster:baseline allows it")),
    ],
)
def test_both_levels_must_allow(tool, args, expected):
    assert decide(engine(POLICY, BASELINE), tool, args) == expected


def test_a_level_alone_decides():
    args = ShellExec(argv=["make"])
    assert decide(engine(BASELINE), "shell_exec", args) == ("Allow", "cluster:baseline/most", "")
    elsewhere = Agent(metadata=Metadata(name="dev", namespace="team-b"))
    assert decide(engine(BASELINE), "shell_exec", args, agent=elsewhere) == ("Deny", "", "no policy selects agent dev")


def test_a_broken_policy_of_the_cluster_denies_what_it_selects():
    broken = BASELINE.replace('"true"', '"tru"')
    message = """everything is denied: clusteragentpolicy/baseline rule "most": undeclared reference to 'tru'"""
    assert decide(engine(POLICY, broken), "shell_exec", ShellExec(argv=["ls"])) == ("Deny", "", message)
    unreadable = BrokenPolicy(
        kind="ClusterAgentPolicy", namespace="", name="baseline", problem=Problem("spec.mode", "is new")
    )
    made = Engine([*parse(POLICY, "coder.yaml"), unreadable])
    message = "everything is denied: clusteragentpolicy/baseline spec.mode: is new"
    assert decide(made, "shell_exec", ShellExec(argv=["ls"])) == ("Deny", "", message)


def test_the_labels_of_namespaces_are_asked_for_each_time():
    labels = {"team-a": {}}
    made = Engine(parse(BASELINE, "c") + parse(POLICY, "c"), labels.get)
    args = ShellExec(argv=["git", "status"])
    before = made.hash_for(CODER)
    assert decide(made, "shell_exec", args)[1] == "coder/everyday"
    labels["team-a"] = {"kubernetes.io/metadata.name": "team-a"}
    assert decide(made, "shell_exec", args)[1] == "cluster:baseline/no-git"
    assert made.hash_for(CODER) != before


def test_nothing_is_allowed_in_a_namespace_that_is_not_known():
    made = Engine(parse(POLICY, "coder.yaml"), {}.get)
    message = "everything is denied: the labels of namespace team-a are not known"
    assert decide(made, "shell_exec", ShellExec(argv=["ls"])) == ("Deny", "", message)
    assert made.hash_for(CODER) == Engine([]).hash_for(CODER)


def test_what_is_compiled_is_not_compiled_again(monkeypatch):
    compiled = [compile_policy(one) for one in parse(POLICY, "coder.yaml")]
    monkeypatch.setattr("rynxs.policy.engine.compile_policy", None)
    assert decide(Engine(compiled), "shell_exec", ShellExec(argv=["ls"]))[0] == "Allow"
