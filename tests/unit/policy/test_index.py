from rynxs.action.decision import Effect
from rynxs.api.agent import Agent
from rynxs.api.metadata import ClusterMetadata, Metadata
from rynxs.api.policy import AgentPolicy, AgentPolicySpec, ClusterAgentPolicy, ClusterAgentPolicySpec, Rule
from rynxs.api.problem import Problem
from rynxs.api.selector import Selector
from rynxs.policy import index
from rynxs.policy.index import Index
from rynxs.policy.rule import BrokenPolicy, compile_policy


def policy(name, namespace="team-a", tool="shell_exec", when="true", labels=None, about=None):
    rule = Rule(name="r", tools=[tool], when=when, effect=Effect.ALLOW)
    return AgentPolicy(
        metadata=Metadata(name=name, namespace=namespace, labels=about or {}),
        spec=AgentPolicySpec(selector=Selector(match_labels=labels or {}), rules=[rule]),
    )


def cluster_policy(name, there=None, **more):
    spec = policy(name, **more).spec
    return ClusterAgentPolicy(
        metadata=ClusterMetadata(name=name),
        spec=ClusterAgentPolicySpec(
            selector=spec.selector, rules=spec.rules, namespace_selector=Selector(match_labels=there or {})
        ),
    )


def broken(kind="AgentPolicy", namespace="team-a", selector=None, there=None):
    return BrokenPolicy(
        kind=kind,
        namespace=namespace,
        name="bad",
        selector=selector,
        namespace_selector=there,
        problem=Problem("spec.mode", "'Audit' is not supported"),
    )


def agent(namespace="team-a", **labels):
    return Agent(metadata=Metadata(name="dev", namespace=namespace, labels=labels))


class made:  # noqa: N801
    """An index, and namespaces without labels unless the test says otherwise."""

    def __init__(self, *policies):
        self.index = Index(compile_policy(one) for one in policies)

    def select(self, agent, **namespace_labels):
        return self.index.select(agent, namespace_labels)


def test_policies_select_agents_of_their_namespace_by_labels():
    made_of = made(policy("z"), policy("b", labels={"role": "coder"}), policy("a", namespace="team-b"))
    assert made_of.select(agent()).names == ("z",)
    assert made_of.select(agent(role="coder")).names == ("b", "z")
    assert made_of.select(agent("team-b", role="coder")).names == ("a",)
    assert made_of.select(agent("team-c")).names == ()


def test_rules_are_found_by_tool():
    selection = made(policy("b"), policy("a", tool="file_read"), policy("c")).select(agent())
    assert {tool: [rule.name for rule in rules] for tool, rules in selection.levels[1].rules.items()} == {
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
        hash_of(cluster_policy("a")),
        hash_of(cluster_policy("b")),
        hash_of(first, cluster_policy("a")),
        hash_of(broken()),
        hash_of(broken(kind="ClusterAgentPolicy", namespace="")),
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
    assert made_of.select(agent(role="coder")).broken == (
        """agentpolicy/bad rule "r": undeclared reference to 'nope'""",
    )


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(index, "MAX_SELECTIONS", 2)
    made_of = made(policy("a"), policy("b", labels={"n": "3"}))
    for number in range(5):
        expected = ("a", "b") if number == 3 else ("a",)
        assert made_of.select(agent(n=str(number))).names == expected
    assert len(made_of.index._selections) <= 2


def test_policies_of_the_cluster_select_namespaces_and_agents():
    made_of = made(
        cluster_policy("all"),
        cluster_policy("prod", there={"env": "prod"}),
        cluster_policy("coders", labels={"role": "coder"}),
        policy("all"),
    )
    assert made_of.select(agent()).names == ("cluster:all", "all")
    assert made_of.select(agent("team-b")).names == ("cluster:all",)
    assert made_of.select(agent("team-b"), env="prod").names == ("cluster:all", "cluster:prod")
    assert made_of.select(agent("team-b"), env="test").names == ("cluster:all",)
    selection = made_of.select(agent("team-b", role="coder"), env="prod")
    assert [level.names for level in selection.levels] == [("cluster:all", "cluster:coders", "cluster:prod"), ()]
    assert [rule.name for rule in selection.levels[0].rules["shell_exec"]] == [
        "cluster:all/r",
        "cluster:coders/r",
        "cluster:prod/r",
    ]


CODERS, PROD = Selector(match_labels={"role": "coder"}), Selector(match_labels={"env": "prod"})


def test_a_policy_that_can_not_be_read_is_for_what_its_selector_says():
    made_of = made(broken(selector=CODERS))
    assert made_of.select(agent(role="coder")).broken == ("agentpolicy/bad spec.mode: 'Audit' is not supported",)
    assert made_of.select(agent()).broken == ()
    assert made_of.select(agent("team-b", role="coder")).broken == ()


def test_one_whose_selector_can_not_be_read_is_for_everything_there():
    made_of = made(broken())
    assert made_of.select(agent()).broken
    assert made_of.select(agent("team-b")).broken == ()


def test_of_the_cluster_each_selector_counts_that_can_be_read():
    def breaks(there, selector):
        made_of = made(broken("ClusterAgentPolicy", "", selector, there))
        return [
            bool(made_of.select(agent(**labels), **namespace_labels).broken)
            for labels in ({}, {"role": "coder"})
            for namespace_labels in ({}, {"env": "prod"})
        ]

    assert breaks(None, None) == [True, True, True, True]
    assert breaks(None, CODERS) == [False, False, True, True]
    assert breaks(PROD, None) == [False, True, False, True]
    assert breaks(PROD, CODERS) == [False, False, False, True]
