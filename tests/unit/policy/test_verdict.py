import itertools

import pytest

from rynxs.action.decision import Effect
from rynxs.policy.verdict import Finding, combine

ALLOW = Finding("p/allow", Effect.ALLOW, "", True)
DENY = Finding("p/deny", Effect.DENY, "Not this.", True)
FAILED = Finding("p/failed", Effect.ALLOW, "", False, "divide by zero")
FAILED_DENY = Finding("p/failed", Effect.DENY, "", False, "divide by zero")
OTHER_ALLOW = Finding("p/other-allow", Effect.ALLOW, "", False)
OTHER_DENY = Finding("p/other-deny", Effect.DENY, "", False)


def decide(*findings, policies=("p",)):
    decision = combine(findings, "dev", policies, "sha256:00")
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
