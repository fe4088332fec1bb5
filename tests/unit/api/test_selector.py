import pytest

from rynxs.api.problem import InvalidField
from rynxs.api.selector import Requirement, Selector


@pytest.mark.parametrize(
    ("operator", "values", "labels", "met"),
    [
        ("In", ["a", "b"], {"k": "a"}, True),
        ("In", ["a", "b"], {"k": "c"}, False),
        ("In", ["a"], {}, False),
        ("In", [""], {}, False),
        ("NotIn", ["a"], {"k": "a"}, False),
        ("NotIn", ["a"], {"k": "b"}, True),
        ("NotIn", ["a"], {}, True),
        ("Exists", [], {"k": ""}, True),
        ("Exists", [], {}, False),
        ("DoesNotExist", [], {"k": ""}, False),
        ("DoesNotExist", [], {"j": "x"}, True),
    ],
)
def test_requirements_mean_what_they_mean_in_kubernetes(operator, values, labels, met):
    assert Requirement(key="k", operator=operator, values=values).matches(labels) is met


def test_a_selector_wants_all_of_it():
    exists = Requirement(key="team", operator="Exists")
    selector = Selector(match_labels={"role": "coder", "tier": "x"}, match_expressions=[exists])
    assert selector.matches({"role": "coder", "tier": "x", "team": "a", "other": "y"})
    assert not selector.matches({"role": "coder", "tier": "x"})
    assert not selector.matches({"role": "coder", "team": "a"})


def test_an_empty_selector_selects_everything():
    assert Selector().matches({})
    assert Selector().matches({"a": "b"})


@pytest.mark.parametrize(
    ("operator", "values", "message"),
    [
        ("In", [], "values: must not be empty with operator In"),
        ("NotIn", [], "values: must not be empty with operator NotIn"),
        ("Exists", ["a"], "values: must be empty with operator Exists"),
        ("DoesNotExist", ["a"], "values: must be empty with operator DoesNotExist"),
    ],
)
def test_values_belong_to_in_and_not_in(operator, values, message):
    with pytest.raises(InvalidField) as error:
        Requirement(key="k", operator=operator, values=values)
    assert str(error.value) == message
