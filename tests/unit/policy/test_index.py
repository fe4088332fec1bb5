from rynxs.action.decision import Effect
from rynxs.api.agent import Agent
from rynxs.api.metadata import Metadata
from rynxs.api.policy import AgentPolicy, AgentPolicySpec, Rule
from rynxs.api.selector import Selector
from rynxs.policy import index
from rynxs.policy.index import Index
from rynxs.policy.rule import compile_policy


def policy(name, namespace="team-a", tool="shell_exec", when="true", labels=None, about=None):
    rule = Rule(name="r", tools=[tool], when=when, effect=Effect.ALLOW)
    return AgentPolicy(
        metadata=Metadata(name=name, namespace=namespace, labels=about or {}),
        spec=AgentPolicySpec(selector=Selector(match_labels=labels or {}), rules=[rule]),
    )


def agent(namespace="team-a", **labels):
    return Agent(metadata=Metadata(name="dev", namespace=namespace, labels=labels))


def made(*policies):
    return Index(compile_policy(one) for one in policies)


def test_policies_select_agents_of_their_namespace_by_labels():
    made_of = made(policy("z"), policy("b", labels={"role": "coder"}), policy("a", namespace="team-b"))
    assert made_of.select(agent()).names == ("z",)
    assert made_of.select(agent(role="coder")).names == ("b", "z")
    assert made_of.select(agent("team-b", role="coder")).names == ("a",)
    assert made_of.select(agent("team-c")).names == ()


def test_rules_are_found_by_tool():
    selection = made(policy("b"), policy("a", tool="file_read"), policy("c")).select(agent())
    assert {tool: [rule.name for rule in rules] for tool, rules in selection.rules.items()} == {
        "file_read": ["a/r"],
        "shell_exec": ["b/r", "c/r"],
    }


def test_the_hash_says_which_policies_apply_and_what_they_say():
    def hash_of(*policies, of=None):
        return made(*policies).select(of or agent()).hash

    first, second = policy("a"), policy("b", when="false")
    assert hash_of(first, second) == hash_of(second, first)
    assert hash_of(first).startswith("sha256:")
    different = [
        hash_of(),
        hash_of(first),
        hash_of(second),
        hash_of(first, second),
        hash_of(policy("a", when="false")),
        hash_of(policy("c")),
    ]
    assert len(set(different)) == len(different)
    assert (
        hash_of(first) == hash_of(first, policy("other", labels={"x": "y"})) == hash_of(policy("a", about={"v": "2"}))
    )


def test_the_hash_does_not_depend_on_the_order_of_labels():
    first = made(policy("a", labels={"x": "1", "y": "2"})).select(agent(x="1", y="2"))
    second = made(policy("a", labels={"y": "2", "x": "1"})).select(agent(y="2", x="1"))
    assert first.hash == second.hash


def test_broken_policies_stay_with_the_agents_they_select():
    made_of = made(policy("fine"), policy("bad", when="nope", labels={"role": "coder"}))
    assert made_of.select(agent()).broken == ()
    assert [one.policy.metadata.name for one in made_of.select(agent(role="coder")).broken] == ["bad"]


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(index, "MAX_SELECTIONS", 2)
    made_of = made(policy("a"), policy("b", labels={"n": "3"}))
    for number in range(5):
        expected = ("a", "b") if number == 3 else ("a",)
        assert made_of.select(agent(n=str(number))).names == expected
    assert len(made_of._selections) <= 2
