import pytest

from rynxs.action.decision import Effect
from rynxs.api.metadata import Metadata
from rynxs.api.policy import AgentPolicy, AgentPolicySpec, Rule
from rynxs.api.selector import Selector
from rynxs.policy.rule import compile_policy


def compiled(*rules):
    spec = AgentPolicySpec(selector=Selector(), rules=list(rules))
    return compile_policy(AgentPolicy(metadata=Metadata(name="coder"), spec=spec))


def rule(name, tools, when):
    return Rule(name=name, tools=tools, when=when, effect=Effect.ALLOW)


def test_a_rule_is_compiled_for_each_of_its_tools():
    policy = compiled(
        rule("read", ["file_read", "file_list"], 'action.args.path == "x"'),
        rule("all", ["file_read"], "true"),
    )
    assert {tool: [one.name for one in rules] for tool, rules in policy.rules.items()} == {
        "file_read": ["coder/read", "coder/all"],
        "file_list": ["coder/read"],
    }
    assert policy.problems == []


@pytest.mark.parametrize(
    ("tools", "when", "message"),
    [
        (["shell_exec"], "acton.tool == ''", "undeclared reference to 'acton' (did you mean 'action'?)"),
        (
            ["shell_exec", "file_read"],
            "acton.tool == ''",
            "undeclared reference to 'acton' (did you mean 'action'?)",
        ),
        (
            ["shell_exec", "file_read", "file_list"],
            "action.args.argv.size() == 1",
            "for file_read, file_list: undeclared reference to 'action.args.argv'",
        ),
        (["file_read"], "1 +", "line 1, column 4: syntax error: unexpected end"),
    ],
)
def test_what_breaks_a_policy_is_said_once_with_its_place(tools, when, message):
    policy = compiled(rule("fine", ["shell_exec"], "true"), rule("bad", tools, when))
    assert [str(problem) for problem in policy.problems] == [f"spec.rules[1].when: {message}"]
