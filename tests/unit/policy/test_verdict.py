import itertools

import pytest

from rynxs.action.decision import Effect
from rynxs.policy.verdict import Answer, Finding, combine

ALLOW = Finding("p/allow", Effect.ALLOW, "", True)
DENY = Finding("p/deny", Effect.DENY, "Not this.", True)
FAILED = Finding("p/failed", Effect.ALLOW, "", False, "divide by zero")
FAILED_DENY = Finding("p/failed", Effect.DENY, "", False, "divide by zero")
OTHER_ALLOW = Finding("p/other-allow", Effect.ALLOW, "", False)
OTHER_DENY = Finding("p/other-deny", Effect.DENY, "", False)


def decide(*findings, policies=("p",)):
    return both([Answer(policies, findings)])


def both(answers):
    decision = combine(answers, "dev", "sha256:00")
    assert decision.policies == "sha256:00"
    return decision.effect.value, decision.rule, decision.message


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([ALLOW], ("Allow", "p/allow", "")),
        ([ALLOW, OTHER_DENY, OTHER_ALLOW], ("Allow", "p/allow", "")),
        ([DENY, ALLOW], ("Deny", "p/deny", "Not this.")),
        ([DENY, ALLOW, FAILED], ("Deny", "p/deny", "Not this.")),
        ([FAILED, ALLOW], ("Deny", "p/failed", "rule p/failed failed: divide by zero")),
        ([FAILED_DENY, ALLOW], ("Deny", "p/failed", "rule p/failed failed: divide by zero")),
        ([OTHER_ALLOW, OTHER_DENY], ("Deny", "", "no rule of policy p allows it")),
        ([], ("Deny", "", "no rule of policy p allows it")),
    ],
)
def test_verdicts_do_not_depend_on_the_order_of_rules(findings, expected):
    for order in itertools.permutations(findings):
        assert decide(*order) == expected


def test_a_deny_without_a_message_names_itself():
    assert decide(Finding("p/x", Effect.DENY, "", True))[2] == "rule p/x denies it"


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ((), "no policy selects agent dev"),
        (("a",), "no rule of policy a allows it"),
        (("a", "b"), "no rule of policies a, b allows it"),
        (("a", "b", "c", "d"), "no rule of the 4 policies that select agent dev allows it"),
    ],
)
def test_nothing_that_allows_is_deny(policies, message):
    assert decide(policies=policies) == ("Deny", "", message)


def level(*findings):
    return Answer(("p",), findings)


NOTHING_ALLOWS = ("Deny", "", "no rule of policy p allows it")
FAILURE = ("Deny", "p/failed", "rule p/failed failed: divide by zero")


@pytest.mark.parametrize(
    ("cluster", "own", "expected"),
    [
        (Answer((), ()), level(ALLOW), ("Allow", "p/allow", "")),
        (level(ALLOW), Answer((), ()), ("Allow", "p/allow", "")),
        (Answer((), ()), Answer((), ()), ("Deny", "", "no policy selects agent dev")),
        (level(ALLOW), level(), NOTHING_ALLOWS),
        (level(), level(ALLOW), NOTHING_ALLOWS),
        (level(DENY), level(ALLOW), ("Deny", "p/deny", "Not this.")),
        (level(ALLOW), level(DENY), ("Deny", "p/deny", "Not this.")),
        (level(FAILED), level(ALLOW), FAILURE),
        (level(ALLOW), level(FAILED), FAILURE),
        (level(FAILED), level(DENY), ("Deny", "p/deny", "Not this.")),
        (level(), level(FAILED), FAILURE),
        (level(FAILED), level(), FAILURE),
    ],
)
def test_the_stricter_level_counts_and_an_empty_one_says_nothing(cluster, own, expected):
    assert both([cluster, own]) == expected


def test_which_of_two_equal_levels_is_named():
    other_allow, other_deny = Finding("q/allow", Effect.ALLOW, "", True), Finding("q/deny", Effect.DENY, "", True)
    assert both([level(ALLOW), level(other_allow)])[1] == "q/allow"
    assert both([level(DENY), level(other_deny)])[1] == "p/deny"


def test_nothing_is_asked_once_the_cluster_denied():
    def asked():
        yield DENY
        raise AssertionError("asked for more")

    assert both([Answer(("p",), asked()), Answer(("p",), asked())])[0] == "Deny"
