import pytest

from rynxs.action.request import Principal
from rynxs.action.tool import FileDelete, FileRead, ShellExec
from rynxs.api.agent import Agent
from rynxs.api.manifest import ManifestErrors, parse
from rynxs.api.metadata import Metadata
from rynxs.policy.engine import Engine, check

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
        "policy broken is broken and denies everything: "
        "spec.rules[1].when: undeclared reference to 'acton' (did you mean 'action'?)"
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
